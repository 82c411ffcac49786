"""`Share`: this process's share in the course broker, which stays at least as long as anyone has one."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workq_helpers.broker import loopback, process_limit
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.protocol import ANSWER_SECONDS, GONE, Link, Ready, ask, attach, connect, converse
from workq_helpers.broker.server import Progress, silent
from workq_helpers.broker.sweep import sweep, vacated
from workq_helpers.errors import BrokerStartError, BrokerUnreachableError, WorkqError
from workq_helpers.forks import abandon_in_children, unless_forked
from workq_helpers.hidden import Environment
from workq_helpers.private_folders import unusable

__all__ = ["RESTART_SECONDS", "Share", "stop", "take_share", "why_unwanted"]

#: How many lines of the supervisor's log an error shows.
_TOLD_LINES = 15
#: How often a start is tried when the supervisor it found was just ending.
ATTEMPTS = 4
#: How long a restart or crash may take, in seconds: stopping, and booting after a crash.
RESTART_SECONDS = 180.0

# Runs a module of this package, which is found last: beside the package may lie what has the name of another module.
_RUN = """
import runpy, sys
folder, module = sys.argv[1:3]
del sys.argv[1:3]
sys.path.append(folder)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Share:
    """A share in the running course broker: an open connection to its supervisor."""

    def __init__(self, link: Link, ready: Ready, folders: Folders) -> None:
        self.ready = ready
        #: Whether the supervisor has gone.
        self.lost = False
        self._folders = folders
        self._link = link
        self._ended = False
        link.socket.settimeout(None)
        self._watch = threading.Thread(target=self._watch_supervisor, name="workq share", daemon=True)
        self._watch.start()
        _shares.add(self)
        abandon_in_children(self)

    def note(self, virtual_host: str, *, made: bool) -> None:
        """Have the supervisor delete a virtual host when this share ends, or no more.

        Args:
            virtual_host: Its name.
            made: Whether it is to be deleted then; told before it is made, since what is sent outlives its sender.

        Raises:
            BrokerUnreachableError: The supervisor has gone, or this share is closed.
        """
        try:
            self._link.send({"virtual_host": virtual_host, "made": made})
        except OSError as error:
            raise BrokerUnreachableError(GONE) from error

    def request(self, operation: str, timeout: float = ANSWER_SECONDS, **fields: object) -> Any:
        """Ask the supervisor for something and return its answer; any thread may.

        Raises:
            BrokerUnreachableError: The supervisor has gone or hangs, or this share is closed.
            WaitTimeoutError: It did not answer in time.
            BrokerError: What it was asked for failed.
        """
        answer = None if self.lost or self._ended else ask(self._folders, operation, timeout, **fields)
        if answer is None:
            raise BrokerUnreachableError(GONE)
        return answer["answer"]

    def stop(self) -> None:
        """Stop the broker for everyone; no error if it is gone."""
        if not self.lost:
            stop(self._folders)

    def close(self) -> None:
        """Give the share back; idempotent."""
        self._ended = True
        self._link.hang_up()
        if threading.current_thread() is not self._watch:
            self._watch.join()
        self._link.close()

    def abandon(self) -> None:
        """Let go of the connection in a forked child, where it would keep its parent's share alive."""
        self._ended = self.lost = True
        self._link.close()

    def _watch_supervisor(self) -> None:
        self._link.receive()
        self.lost = True
        if not self._ended:
            # It has ended, or has died and left something; whoever comes first puts it away.
            with contextlib.suppress(WorkqError, OSError):
                sweep(self._folders)


_shares: weakref.WeakSet[Share] = weakref.WeakSet()


def _close_all() -> None:
    for share in list(_shares):
        share.close()


atexit.register(unless_forked(_close_all))  # a thread that still reads can't be joined once the interpreter shuts down


# -- taking one


def take_share(
    folders: Folders, choice: BrokerChoice, environ: Mapping[str, str], progress: Progress = silent
) -> Share:
    """Attach to the course broker that runs, or start one, and return once it accepts AMQP.

    Raises:
        BrokerNotFoundError: None runs and none could be started.
        BrokerStartError: The one that was asked for can't be started, or another one runs.
        BrokerUnreachableError: The supervisor hangs.
    """
    if reason := loopback.why_unreachable():
        raise BrokerStartError(reason)
    for _ in range(ATTEMPTS):
        attached = attach(folders, lambda: _start(folders, environ, progress), progress)
        if attached is None:
            continue  # its supervisor was just ending
        link, ready = attached
        if unwanted := why_unwanted(ready, choice):
            link.close()
            raise BrokerStartError(unwanted)
        return Share(link, ready, folders)
    raise BrokerStartError(
        f"The supervisor of the course broker ended {ATTEMPTS} times before it said why. "
        f"The last lines of its log are:\n{_tail(folders.log)}"
    )


def why_unwanted(ready: Ready, choice: BrokerChoice) -> str:
    """Return in a sentence why the course broker that runs is not what was asked for, ``""`` if it is."""
    wanted = ""
    if choice.forced not in (None, ready.source):
        wanted = f"WORKQ_BROKER={choice.forced}"
    elif ready.image is not None and choice.image not in (None, ready.image):
        wanted = f"WORKQ_RABBITMQ_IMAGE={choice.image}"
    if not wanted:
        return ""
    return (
        f"A course broker runs already, as {ready.description}, and {wanted} asks for another. Stop the running one "
        f"with `workq broker stop` (its notebooks lose it), or unset {wanted.partition('=')[0]} to share it."
    )


def _start(folders: Folders, environ: Mapping[str, str], progress: Progress) -> None:
    progress("Looking for a RabbitMQ")
    with vacated(folders, wholly=False) as vacant:
        if vacant:
            _start_supervisor(folders, environ)


def _start_supervisor(folders: Folders, environ: Mapping[str, str]) -> None:
    """Start a supervisor and return once it listens; under the lock."""
    # Python's variables may be meant for the notebook, and are not for this: but it has to find the same packages.
    others = [name for name in environ if name.startswith("PYTHON") and name != "PYTHONPATH"]
    arguments = [str(Path(__file__).parents[2]), "workq_helpers.broker.supervisor", str(folders.runtime)]
    arguments += [str(folders.cache), *(["cluster"] if folders.cluster else [])]
    try:
        log = os.open(folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(log, f"{time.strftime('%F %T')} started by process {os.getpid()}\n".encode())  # if there is room
            # It comes back as soon as the supervisor is a process of its own, out of reach of any terminal's signals.
            subprocess.run(
                [sys.executable, "-P", "-c", _RUN, *arguments],
                env=Environment(environ).without(*others),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
            )
        finally:
            os.close(log)
    except OSError as error:
        folders.remove_runtime()
        if process_limit.is_meant_by(error):
            raise BrokerStartError(process_limit.sentence(error)) from error
        raise unusable(folders.runtime, error) from error
    except subprocess.CalledProcessError as error:
        said = _tail(folders.log)
        folders.remove_runtime()
        raise BrokerStartError(
            f"The course broker's supervisor could not be started: {error}. Its log says:\n{said}"
        ) from error


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-_TOLD_LINES:])
    except OSError:
        return "(there is none)"


def stop(folders: Folders) -> bool:
    """Stop the course broker for everyone and put away all it left; return whether one ran.

    Raises:
        BrokerUnreachableError: It hangs, and can't be found to be killed.
        WaitTimeoutError: It did not end in time.
        BrokerStartError: The lock can't be had, or Docker could not remove a container.
    """
    try:
        link = connect(folders)
        ran = link is not None
        if link is not None:
            with contextlib.closing(link):
                converse(link, {"op": "stop"}, RESTART_SECONDS)
    except BrokerUnreachableError:
        ran = _kill_supervisor(folders)
        if not ran:
            raise
    sweep(folders)
    return ran


def _kill_supervisor(folders: Folders) -> bool:
    """End a supervisor that hangs; return whether it could be found."""
    from workq_helpers.broker import processes  # noqa: PLC0415 - psutil, which whoever only attaches has no use for

    found = processes.supervisors(folders.runtime)
    processes.kill(found)
    return bool(found)
