"""Processes of ours: started so that they end with their parent, told from later ones, killed for good."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import psutil

from workq_helpers.broker.server import ProcessMark

__all__ = ["children", "find", "kill", "mark", "spawn"]

#: Two processes with one id are at least this far apart. One and the same may seem to have started at two times by a
#: little where the system dates processes by the wall clock, which is slewed.
SAME_SECONDS = 2.0

#: Where /proc/PID/stat has the ticks from the boot to the start, counted after the name, which may hold spaces.
_STARTED_FIELD = 19

# The kernel kills the process as soon as the thread that started it ends (PR_SET_PDEATHSIG is 1, SIGKILL 9), and
# that outlives exec. The parent may be gone already when this runs, so it looks afterwards.
_TIED_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    command: list[str], *, environ: Mapping[str, str], folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program that dies with the thread that calls this (on Linux), in a session of its own.

    Args:
        command: An absolute path and the arguments.
        environ: Its environment variables, all of them.
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


def mark(pid: int) -> ProcessMark | None:
    """Return what tells the process from later ones with its id, or ``None`` if it is gone."""
    try:
        return _mark(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return None


def _mark(process: psutil.Process) -> ProcessMark:
    """Date a process, by a clock that nobody sets where the system has one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ProcessMark(process.pid, process.create_time())
    # psutil adds the time of the boot, which moves when the clock is set.
    return ProcessMark(process.pid, int(fields[_STARTED_FIELD]) / os.sysconf("SC_CLK_TCK"), boot)


def find(process: ProcessMark) -> psutil.Process | None:
    """Return the process, or ``None`` if it is gone (a zombie is)."""
    try:
        found = psutil.Process(process.pid)
        now = _mark(found)
        same = now.boot == process.boot and abs(now.created - process.created) < SAME_SECONDS
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def kill(processes: Iterable[ProcessMark], timeout: float = 10.0) -> None:
    """Kill those that still live, with all their descendants, and wait until they are gone.

    Args:
        processes: Which.
        timeout: How long to wait, in seconds.
    """
    doomed: list[psutil.Process] = []
    for process in processes:
        found = find(process)
        if found is not None:
            doomed += [found, *_descendants(found)]
    for victim in doomed:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=timeout)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def children() -> tuple[ProcessMark, ...]:
    """Return the descendants of this process."""
    marks = (mark(child.pid) for child in _descendants(psutil.Process()))
    return tuple(found for found in marks if found is not None)
