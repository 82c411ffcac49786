"""`Server`: a RabbitMQ that the course starts, and so may stop, restart and crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workq_helpers.errors import BrokerError
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["NO_BUSY_WAIT", "Progress", "Server", "last_words", "printed", "silent"]

#: For Erlang: a scheduler that looks for work without a pause takes the processor from the notebook beside it.
NO_BUSY_WAIT = "+sbwt none +sbwtdcpu none +sbwtdio none"
#: How many lines of RabbitMQ's log an error shows, and how much of each: Erlang prints whole states in a line.
_LOG_LINES = 20
_LINE_LENGTH = 300
_BOOT_FAILED = "Error during startup:"


class Progress(Protocol):
    """Told what is being done; shows it, or hands it on."""

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Take in one step.

        Args:
            text: What is being done, in a few words.
            done: How many bytes of it are done, where that is known.
            total: Of how many bytes; 0 where that is not known.
        """


def silent(text: str, done: int = 0, total: int = 0) -> None:
    """Show nothing."""


def last_words(logged: str) -> list[str]:
    """Return the last lines of a log, each shortened, without the Erlang reports that follow a boot's failure."""
    lines = [line for line in logged.splitlines() if line.strip()]
    reasons = [number for number, line in enumerate(lines, start=1) if _BOOT_FAILED in line]
    shown = lines[: max(reasons, default=len(lines))][-_LOG_LINES:]
    return [line if len(line) <= _LINE_LENGTH else f"{line[:_LINE_LENGTH]}…" for line in shown]


def printed(arguments: Sequence[str], status: int, output: bytes) -> str:
    """Return what rabbitmqctl printed.

    Raises:
        BrokerError: The status is not 0.
    """
    text = output.decode(errors="replace").strip()
    if status:
        raise BrokerError(f"rabbitmqctl {' '.join(arguments)} ended with status {status} and printed:\n{text}")
    return text


class Server(Protocol):
    """A RabbitMQ of ours: made without side effects, then started; its owner is the supervisor's main thread.

    One thread at a time calls it, always the same one, except `is_running` and `logs`, which any thread
    may call at any time. Ports and credentials stay the same over `restart` and `crash`.
    """

    @property
    def source(self) -> str:
        """Return where it comes from: ``"docker"`` or ``"node"``."""

    @property
    def description(self) -> str:
        """Return it in a few words, such as ``"Docker (rabbitmq:4.3-management)"``."""

    @property
    def image(self) -> str | None:
        """Return the image that it is started from, ``None`` where there is none."""

    def start(self, progress: Progress = silent) -> Endpoint:
        """Start it and return once it accepts AMQP logins.

        A server that does not come up has cleaned up after itself before this raises.

        Raises:
            BrokerStartError: It did not come up; a subclass where the reason is known.
        """

    def stop(self) -> None:
        """Stop it gracefully and remove everything it left; no error if nothing is left.

        Raises:
            BrokerStartError: Something could not be removed; the runtime folder still names it.
        """

    def restart(self) -> None:
        """Stop it gracefully, or not at all if it is down, start it with the same data; return when it accepts AMQP."""

    def crash(self) -> None:
        """SIGKILL it, start it with the same data, and return when it accepts AMQP."""

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run rabbitmqctl where the server runs, and return what it printed.

        Raises:
            BrokerError: It ended with another status than 0; the message has what it printed.
        """

    def is_running(self) -> bool | None:
        """Return whether its process or container runs, ``None`` where nobody can tell."""

    def logs(self) -> str:
        """Return its log so far, without credentials; ``""`` where there is none."""
