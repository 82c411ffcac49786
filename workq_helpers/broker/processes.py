"""Processes of ours: started so that they end with their parent, recognized by their home, killed for good."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import psutil

__all__ = ["at_home_in", "bare", "children", "is_supervisor", "kill", "spawn", "supervisors", "why_unseen"]

# The kernel kills the process as soon as the thread that started it ends (PR_SET_PDEATHSIG is 1, SIGKILL 9), and
# that outlives exec. The parent may be gone already when this runs, so it looks afterwards.
_TIED_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

_SUPERVISOR = "workq_helpers.broker.supervisor"
#: What any program needs to run at all.
_NEEDED = frozenset({"PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"})


def bare(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those of the user's variables that Erlang gets: the few that a program needs to run at all.

    RabbitMQ takes `X` where `RABBITMQ_X` is not set, whatever `X` is there for, and Erlang listens to many of its own.
    """
    return {name: value for name, value in environ.items() if name in _NEEDED}


def spawn(
    command: list[str], *, environ: Mapping[str, str], folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program that dies with the thread that calls this (on Linux), in a session of its own.

    Args:
        command: An absolute path and the arguments.
        environ: Its environment variables, all of them; elsewhere than on Linux ``HOME`` tells whose it is.
        folder: Its working directory.
        output: Where its stdout and stderr go.
    """
    tied = sys.platform == "linux"
    wrapper = [sys.executable, "-IS", "-c", _TIED_TO_PARENT, str(os.getpid())] if tied else []
    return subprocess.Popen(
        [*wrapper, *command],
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # no Ctrl-C of any terminal reaches it
    )


def at_home_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose home is a folder of ours, so that nobody else can have one there.

    Args:
        folder: A node's own, which no other node ever had.
    """
    homes = ((each, Path(environ.get("HOME", ""))) for each, environ in _environs())
    return [each for each, home in homes if home.name == folder.name and home.resolve() == folder.resolve()]


def supervisors(runtime: Path) -> list[psutil.Process]:
    """Return the supervisor of a runtime folder, whether it answers or hangs, and the process that sweeps after it."""
    return [each for each in psutil.process_iter() if {_SUPERVISOR, str(runtime)} <= set(_command(each))]


def is_supervisor(pid: int) -> bool:
    """Return whether a process is a supervisor, of whatever runtime folder."""
    try:
        command = _command(psutil.Process(pid))
    except psutil.Error:
        return False
    return _SUPERVISOR in command


def children() -> list[psutil.Process]:
    """Return the descendants of this process."""
    return psutil.Process().children(recursive=True)


def why_unseen() -> str:
    """Return in a sentence why no process can be followed or put away here, ``""`` if each can."""
    try:
        psutil.Process()
    except psutil.NoSuchProcess:
        return (
            "/proc says nothing of this process, and the course follows its processes there. Mount it, as root: "
            "mount -t proc proc /proc"
        )
    return ""


def kill(processes: Iterable[psutil.Process], timeout: float = 10.0) -> None:
    """Kill processes with all their descendants, and wait until they are gone; no error if they are."""
    doomed: list[psutil.Process] = []
    for process in processes:
        try:
            doomed += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for victim in doomed:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=timeout)


def _environs() -> Iterator[tuple[psutil.Process, Mapping[str, str]]]:
    for process in psutil.process_iter():
        try:
            yield process, process.environ()
        except psutil.Error:
            continue  # gone, or somebody else's


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # gone, or somebody else's
