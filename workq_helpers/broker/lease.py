"""`Lease`: this process's share in the course broker, which stays at least as long as anyone holds one."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

from workq_helpers.broker.burial import bury
from workq_helpers.broker.choice import Choice
from workq_helpers.broker.faults import revive_error
from workq_helpers.broker.folders import Folders, refuse_foreign, unusable
from workq_helpers.broker.locking import locked
from workq_helpers.broker.running import Ready
from workq_helpers.broker.server import Progress, Remains, silent
from workq_helpers.broker.state import State, read_state, write_state
from workq_helpers.broker.wire import Message, Wire
from workq_helpers.errors import (
    BrokerStartError,
    BrokerUnreachableError,
    StaleStateError,
    StateFileError,
    WaitTimeoutError,
)

__all__ = ["Lease", "bury_leftovers", "call", "connect", "put_away_leftovers", "take_lease", "visiting"]

#: How often a start is tried when the keeper it found was just ending.
ATTEMPTS = 4
#: How long a restart or crash may take, in seconds: stopping, and booting after a crash.
RESTART_SECONDS = 180.0
#: How long anything else may take, in seconds; a restart that somebody else asked for may be in the way.
ANSWER_SECONDS = 30.0

_GONE = (
    "The course broker has been stopped, or its keeper has died. "
    "Run the notebook's first cell again, or call find_broker(), to start another."
)


class Lease:
    """A share in the running course broker, kept by a connection to its keeper.

    Args:
        wire: The connection, on which the keeper has just said that the broker is ready.
        ready: What it said.
        folders: Whose broker it is.
    """

    def __init__(self, wire: Wire, ready: Ready, folders: Folders) -> None:
        self.ready = ready
        self._link = _Link(wire, folders)
        self._link.begin()

    @property
    def lost(self) -> bool:
        """Whether the keeper has gone."""
        return self._link.lost

    def request(self, operation: str, timeout: float = ANSWER_SECONDS, **fields: object) -> Message:
        """Ask the keeper for something and return its answer; any thread may.

        Raises:
            BrokerUnreachableError: The keeper has gone, or this lease is closed.
            WaitTimeoutError: It did not answer in time.
            BrokerError: What it was asked for failed.
        """
        return self._link.request({"op": operation, **fields}, timeout)

    def wait_until_lost(self, timeout: float) -> None:
        """Wait until the keeper has gone, having put everything away.

        Raises:
            WaitTimeoutError: It is still there after `timeout` seconds.
        """
        if not self._link.join(timeout):
            raise WaitTimeoutError(f"The course broker did not end within {timeout:.0f} s. See `workq broker logs`.")

    def close(self) -> None:
        """Give the share back; idempotent."""
        self._link.end()


class _Link:
    """The connection of a lease and the thread that reads it; not bound to the `Lease`, which may be collected."""

    def __init__(self, wire: Wire, folders: Folders) -> None:
        self._wire = wire
        self._folders = folders
        self._lock = threading.Lock()
        self._answers: dict[int, queue.SimpleQueue[Message | None]] = {}
        self._number = 0
        self._ended = False
        self.lost = False
        self._reader = threading.Thread(target=self._read, name="workq lease", daemon=True)

    def begin(self) -> None:
        _links.add(self)
        self._reader.start()

    def request(self, message: Message, timeout: float) -> Message:
        answer: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            if self.lost or self._ended:
                raise BrokerUnreachableError(_GONE)
            self._number += 1
            number = self._number
            self._answers[number] = answer
        try:
            with contextlib.suppress(OSError):  # then the reader sees the end, and answers None
                self._wire.send(message | {"id": number})
            found = answer.get(timeout=timeout)
        except queue.Empty:
            raise WaitTimeoutError(
                f"The keeper of the course broker did not answer {message['op']!r} within {timeout:.0f} s. "
                "See `workq broker logs`, and `workq broker stop` to begin afresh."
            ) from None
        finally:
            with self._lock:
                self._answers.pop(number, None)
        if found is None:
            raise BrokerUnreachableError(_GONE)
        if "error" in found:
            raise revive_error(found["error"])
        return found

    def end(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._wire.hang_up()
        if threading.current_thread() is not self._reader:
            self._reader.join()
        self._wire.close()

    def join(self, timeout: float) -> bool:
        self._reader.join(timeout)
        return not self._reader.is_alive()

    def abandon(self) -> None:
        """Let go of the connection in a forked child, where it would keep the parent's lease alive."""
        self._ended = self.lost = True
        with contextlib.suppress(OSError):
            os.close(self._wire.fileno())

    def _read(self) -> None:
        while (message := self._wire.receive()) is not None:
            with self._lock:
                answer = self._answers.get(int(message.get("id") or 0))
            if answer is not None:
                answer.put(message)
        with self._lock:
            self.lost = True
            ended, answers = self._ended, list(self._answers.values())
        for answer in answers:
            answer.put(None)
        if not ended:
            # The keeper has ended, or has died and left something; whoever comes first puts it away.
            with contextlib.suppress(BrokerStartError, StateFileError, OSError):
                put_away_leftovers(self._folders)


_links: weakref.WeakSet[_Link] = weakref.WeakSet()


def _abandon_all() -> None:
    for link in list(_links):
        link.abandon()


def _end_all() -> None:
    for link in list(_links):
        link.end()


os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_end_all)  # a thread that still reads can't be joined once the interpreter shuts down


# -- taking one


def take_lease(folders: Folders, choice: Choice, environ: Mapping[str, str], progress: Progress = silent) -> Lease:
    """Attach to the course broker that runs, or start one, and return once it accepts AMQP.

    Args:
        folders: Whose broker.
        choice: Which broker is wanted.
        environ: The environment variables for the keeper.
        progress: Told what is being waited for.

    Raises:
        BrokerNotFoundError: None runs and none could be started.
        BrokerStartError: The one that was asked for can't be started, or another one runs.
        StateFileError: The state file can't be read, or another version of the course wrote it.
    """
    for _ in range(ATTEMPTS):
        wire = _connect_or_start(folders, environ, progress)
        try:
            ready = _ask_for_lease(wire, choice, progress)
        except BaseException:
            wire.close()
            raise
        if ready is not None:
            return Lease(wire, ready, folders)
        wire.close()  # its keeper was just ending
    raise BrokerStartError(
        f"The keeper of the course broker ended {ATTEMPTS} times before it said why. "
        f"The last lines of its log are:\n{_tail(folders.log)}"
    )


def _ask_for_lease(wire: Wire, choice: Choice, progress: Progress) -> Ready | None:
    try:
        wire.send({"op": "lease", "choice": choice.to_json()})
    except OSError:
        return None
    while (message := wire.receive()) is not None:
        if "ready" in message:
            return Ready.from_json(message["ready"])
        if "error" in message:
            raise revive_error(message["error"])
        if "progress" in message:
            progress(message["progress"], message["done"], message["total"])
    return None


def _connect_or_start(folders: Folders, environ: Mapping[str, str], progress: Progress) -> Wire:
    with contextlib.suppress(StaleStateError):
        wire = connect(folders)
        if wire is not None:
            return wire
    progress("Looking for a RabbitMQ")
    with locked(folders):
        with contextlib.suppress(StaleStateError):
            wire = connect(folders)
            if wire is not None:
                return wire
        bury_leftovers(folders)
        return _start_keeper(folders, environ)


def connect(folders: Folders) -> Wire | None:
    """Return a connection to the keeper that runs, or ``None`` if there is no course broker.

    Raises:
        StaleStateError: The state file names a keeper that is gone.
        StateFileError: The state file can't be read, or another version of the course wrote it.
        BrokerStartError: The folder it would be in belongs to somebody else, who could be the keeper then.
    """
    refuse_foreign(folders.runtime)
    state = read_state(folders.state)
    if state is None:
        return None
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(state.socket)
    except OSError as error:
        sock.close()
        raise StaleStateError(
            f"The state file {folders.state} names a course broker that is gone ({error.strerror}). "
            "Starting one puts away what it left: run `workq broker start`, or a notebook's first cell."
        ) from error
    return Wire(sock)


def _start_keeper(folders: Folders, environ: Mapping[str, str]) -> Wire:
    """Start a keeper that listens already when it begins to run; under the lock."""
    path = folders.make_socket_path()
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.closing(listener):
        scratch = Remains(folders=() if path.parent == folders.runtime else (str(path.parent),))
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen()
            write_state(folders.state, State(str(path), scratch))
            _run_keeper(folders, environ, listener.fileno(), path)
        except BaseException as error:
            listener.close()
            path.unlink(missing_ok=True)
            bury(scratch)
            bury_leftovers(folders)
            if isinstance(error, OSError):
                folders.remove_runtime()
                raise unusable(folders.runtime, error) from error
            raise
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
    return Wire(sock)


def _run_keeper(folders: Folders, environ: Mapping[str, str], descriptor: int, path: Path) -> None:
    package = Path(__file__).parents[2]
    inherited = {name: value for name, value in environ.items() if name not in ("PYTHONWARNINGS", "PYTHONDEVMODE")}
    paths = [str(package), *filter(None, [environ.get("PYTHONPATH")])]
    log = os.open(folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # It comes back as soon as the keeper is a process of its own, out of reach of any terminal's signals.
        subprocess.run(
            [sys.executable, "-P", "-m", "workq_helpers.broker.keeper", str(descriptor), str(path)],
            env=inherited | {"PYTHONPATH": os.pathsep.join(paths)},
            cwd="/",
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise BrokerStartError(
            f"The course broker's keeper could not be started: {error}. Its log says:\n{_tail(folders.log)}"
        ) from error
    finally:
        os.close(log)


# -- leftovers


def put_away_leftovers(folders: Folders) -> None:
    """Bury what a dead keeper left and delete the runtime folder, unless a keeper runs.

    Raises:
        StateFileError: The state file can't be read, or another version of the course wrote it.
        BrokerStartError: The lock can't be had.
    """
    if not folders.runtime.exists():
        return
    with locked(folders):
        if bury_leftovers(folders):
            folders.remove_runtime()


def bury_leftovers(folders: Folders) -> bool:
    """Bury what a dead keeper left, and return whether none runs; under the lock.

    Raises:
        StateFileError: The state file can't be read, or another version of the course wrote it.
    """
    with contextlib.suppress(StaleStateError):
        wire = connect(folders)
        if wire is not None:
            wire.close()
            return False
    state = read_state(folders.state)
    if state is not None:
        bury(state.remains)
        Path(state.socket).unlink(missing_ok=True)
        folders.state.unlink(missing_ok=True)
    return True


# -- requests without a lease


@contextlib.contextmanager
def visiting(folders: Folders) -> Iterator[Wire | None]:
    """Connect to the keeper that runs, or ``None``, for some requests."""
    try:
        wire = connect(folders)
    except StaleStateError:
        wire = None
    try:
        yield wire
    finally:
        if wire is not None:
            wire.close()


def call(folders: Folders, operation: str) -> Message | None:
    """Ask the keeper for one thing without taking a lease; return its answer, ``None`` if none runs."""
    with visiting(folders) as wire:
        if wire is None:
            return None
        with contextlib.suppress(OSError):
            wire.send({"op": operation, "id": 1})
            return wire.receive()
    return None


def _tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(there is none)"
