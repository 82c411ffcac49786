"""What the supervisor and those who use its broker say to each other: a JSON object a line, over a Unix socket.

Whoever connects says one thing, and hears lines until one is an answer or an error. Until then the supervisor gives a
sign of life every `BEAT_SECONDS`, whatever it is busy with; so a silence of `SILENCE_SECONDS` means that it hangs.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from time import monotonic  # its own: a learner's cell may put another one in its place
from typing import Any

from packaging.version import Version

from workq_helpers import errors
from workq_helpers.broker import process_limit
from workq_helpers.broker.folders import SOCKET, Folders
from workq_helpers.broker.server import Progress, silent
from workq_helpers.errors import BrokerError, BrokerStartError, BrokerUnreachableError, WaitTimeoutError, WorkqError
from workq_helpers.private_folders import refuse_foreign, target_of
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = [
    "ANSWER_SECONDS",
    "BEAT_SECONDS",
    "GONE",
    "JsonObject",
    "Link",
    "Ready",
    "Status",
    "ask",
    "attach",
    "connect",
    "converse",
    "describe_error",
    "revive_error",
]

#: How often a supervisor gives a sign of life to whoever waits for its answer, in seconds.
BEAT_SECONDS = 0.5
#: How long it may be silent, in seconds.
SILENCE_SECONDS = 10.0
#: How long most answers may take, in seconds; a restart that somebody else asked for may be in the way.
ANSWER_SECONDS = 30.0

GONE = (
    "The course broker has been stopped, or its supervisor has died. "
    "Run the notebook's first cell again, or call find_broker(), to start another."
)
#: One line.
JsonObject = dict[str, Any]


class Link:
    """One end of a connection; any thread may send, one thread at a time receives.

    Args:
        sock: A connected stream socket, which the link owns from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._received = b""
        self._sending = threading.Lock()

    def send(self, message: JsonObject) -> None:
        """Send one message.

        Raises:
            BrokerUnreachableError: The other end takes nothing in, in the time that the socket allows.
            OSError: It is gone.
        """
        line = json.dumps(message).encode() + b"\n"
        with self._sending, _translated():
            self.socket.sendall(line)

    def receive(self) -> JsonObject | None:
        """Return the next message, ``None`` once the other end is gone, however it went.

        Raises:
            BrokerUnreachableError: Nothing came in the time that the socket allows.
        """
        while b"\n" not in self._received:
            try:
                with _translated():
                    received = self.socket.recv(65_536)
            except OSError:
                return None  # closed, by the other end or by another thread of ours
            if not received:
                return None  # at once, or in the middle of a line
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        message: JsonObject = json.loads(line)
        return message

    def hang_up(self) -> None:
        """End the connection and wake whoever receives; `close` still has to follow."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def has_ended(self) -> bool:
        """Return whether the other end is gone; for whoever has asked, and says nothing more."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close this end; idempotent. Not while another thread is in `receive`: hang up and join it first."""
        self.socket.close()


def connect(folders: Folders) -> Link | None:
    """Return a connection to the supervisor, ``None`` if there is none: it lives as long as it accepts.

    Raises:
        BrokerStartError: The folder it would be in belongs to somebody else, who could be the supervisor then.
        BrokerUnreachableError: It accepts no more, because it hangs.
    """
    path = target_of(folders.runtime / SOCKET)
    for folder in {folders.runtime, path.parent}:
        refuse_foreign(folder)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(SILENCE_SECONDS)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        if isinstance(error, BlockingIOError | TimeoutError):
            raise _hangs() from error
        return None
    return Link(sock)


def converse(link: Link, message: JsonObject, timeout: float, progress: Progress = silent) -> JsonObject | None:
    """Ask one thing and return the message with the answer; ``None`` if the supervisor ends before it has one.

    Args:
        link: A new connection.
        message: What is asked.
        timeout: How long to wait while the supervisor gives signs of life, in seconds.
        progress: Told what is being waited for.

    Raises:
        BrokerUnreachableError: It gives none.
        WaitTimeoutError: It has no answer in time.
        BrokerError: What it was asked for failed.
    """
    deadline = monotonic() + timeout
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then there is nothing to receive
        link.send(message)
    while (said := link.receive()) is not None:
        if "answer" in said:
            return said
        if "error" in said:
            raise revive_error(said["error"])
        if "progress" in said:
            progress(said["progress"], said["done"], said["total"])
        if monotonic() > deadline:
            raise WaitTimeoutError(
                f"The course broker's supervisor is still busy with {message['op']!r} after {timeout:.0f} s. "
                "See `workq broker logs`, and `workq broker stop` to begin afresh."
            )
    return None


def ask(folders: Folders, operation: str, timeout: float = ANSWER_SECONDS, **fields: object) -> JsonObject | None:
    """Ask the supervisor for one thing, over a connection of its own; return its answer, ``None`` if there is none.

    Raises:
        BrokerUnreachableError: The supervisor hangs.
        WaitTimeoutError: It did not answer in time.
        BrokerError: What it was asked for failed.
    """
    link = connect(folders)
    if link is None:
        return None
    with contextlib.closing(link):
        return converse(link, {"op": operation, **fields}, timeout)


def attach(folders: Folders, start: Callable[[], None], progress: Progress) -> tuple[Link, Ready] | None:
    """Return a share in the broker, which lasts as long as the connection; ``None`` if its supervisor was just ending.

    Args:
        folders: Where the supervisor is.
        start: Called if there is none, and returns once there is one.
        progress: Told what is being waited for.

    Raises:
        BrokerUnreachableError: The supervisor hangs.
        BrokerError: It could not start a broker.
    """
    link = connect(folders)
    if link is None:
        start()
        link = connect(folders)
    if link is None:
        return None
    with contextlib.ExitStack() as unless_shared:
        unless_shared.callback(link.close)
        said = converse(link, {"op": "share"}, math.inf, progress)
        if said is None:
            return None
        ready = Ready.from_json(said["answer"])
        unless_shared.pop_all()
    return link, ready


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise _hangs() from error


def _hangs() -> BrokerUnreachableError:
    return BrokerUnreachableError(
        f"The course broker's supervisor has said nothing for {SILENCE_SECONDS:.0f} s: it hangs, or was suspended. "
        "`workq broker stop` ends it for everyone; then run the notebook's first cell again."
    )


# -- what is said


def describe_error(error: BaseException) -> JsonObject:
    """Return what `revive_error` makes the same exception of, where somebody reads it."""
    if isinstance(error, WorkqError):
        return {"type": type(error).__name__, "text": str(error)}
    if process_limit.is_meant_by(error):
        return {"type": BrokerStartError.__name__, "text": process_limit.sentence(error)}
    text = f"The course broker's supervisor failed: {type(error).__name__}: {error}. Run `workq broker logs`."
    return {"type": BrokerError.__name__, "text": text}


def revive_error(message: JsonObject) -> WorkqError:
    """Return the exception that `describe_error` was given, or a `BrokerError` where it is not one of ours."""
    kind = getattr(errors, str(message.get("type")), BrokerError)
    text = str(message.get("text"))
    simple = inspect.isclass(kind) and issubclass(kind, BrokerError)
    return kind(text) if simple else BrokerError(text)


@dataclass(frozen=True)
class Ready:
    """The course broker as whoever shares it gets it.

    Attributes:
        endpoint: Its address and login.
        source: Where it comes from: ``"docker"`` or ``"node"``.
        description: The same in a few words.
        version: The version it announced when it came up.
        image: Its image, where it has one.
    """

    endpoint: Endpoint
    source: str
    description: str
    version: Version
    image: str | None = None

    def to_json(self) -> JsonObject:
        """Return it as what `json.dumps` takes, with the password: for the supervisor's own socket alone."""
        return asdict(self) | {"version": str(self.version)}

    @classmethod
    def from_json(cls, data: JsonObject) -> Ready:
        """Return what `to_json` was given.

        Raises:
            BrokerStartError: Another version of the course was given it, and says more or less.
        """
        try:
            return cls(**data | {"endpoint": Endpoint(**data["endpoint"]), "version": Version(data["version"])})
        except (KeyError, TypeError) as error:
            raise BrokerStartError(
                "The course broker that runs was started by another version of the course. `workq broker stop` ends it "
                "for everyone; then run the notebook's first cell again."
            ) from error


@dataclass(frozen=True)
class Status:
    """The course broker as `workq broker status` shows it; no secret in it.

    Attributes:
        phase: ``"starting"``, ``"up"`` or ``"down"`` (its process has died or is being restarted).
        description: Where it comes from, in a few words; ``""`` while that is not decided.
        version: Its version, ``""`` while it starts.
        address: Host and port of AMQP, ``""`` while it starts.
        management_url: Where its management page is, ``""`` while it starts.
        shares: How many notebooks, tests and commands use it at this moment.
        pinned: Whether it stays although nobody uses it.
        supervisor: The process id of its supervisor.
        folder: Its runtime folder.
    """

    phase: str
    description: str
    version: str
    address: str
    management_url: str
    shares: int
    pinned: bool
    supervisor: int
    folder: str
