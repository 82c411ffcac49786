"""What the command line does to the course broker: `status`, `start`, `stop`, `url`, `logs`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.progress import shown
from workq_helpers.broker.protocol import Ready, Status, ask
from workq_helpers.broker.share import stop as stop_supervisor
from workq_helpers.broker.share import take_share
from workq_helpers.errors import BrokerNotFoundError, StaleStateError
from workq_helpers.hidden import ENVIRON
from workq_helpers.rabbitmq.url import address_of

__all__ = ["logs", "start", "status", "stop", "url"]

_NONE = "No course broker runs. Start one with `workq broker start`, or open a notebook and run its first cell."


def status(environ: Mapping[str, str] = ENVIRON) -> Status | None:
    """Return how the course broker is, or ``None`` if none runs.

    Raises:
        BrokerUnreachableError: Its supervisor hangs.
    """
    said = ask(Folders.from_environ(environ), "status")
    return Status(**said["answer"]) if said else None


def start(progress: Callable[[str], None] | None = None, environ: Mapping[str, str] = ENVIRON) -> Status:
    """Start the course broker, or find it running, and keep it until `stop`; return how it is.

    Args:
        progress: Called with each step in words; by default a progress bar shows them.
        environ: As for `find_broker`.

    Raises:
        BrokerError: As `find_broker` has them.
    """
    folders, choice = Folders.from_environ(environ), BrokerChoice.from_environ(environ)
    with shown(progress) as show, contextlib.closing(take_share(folders, choice, environ, show)) as share:
        share.request("pin")
        found = Status(**share.request("status"))
    return replace(found, shares=found.shares - 1)  # who starts it does not use it


def stop(environ: Mapping[str, str] = ENVIRON) -> bool:
    """Stop the course broker and the course's cluster for everyone, put away all they left; return whether one ran.

    A supervisor that hangs is killed.

    Raises:
        BrokerError: Something could not be put away.
        WaitTimeoutError: It did not end in time.
    """
    folders = Folders.from_environ(environ)
    cluster_ran = stop_supervisor(folders.of_the_cluster())
    return stop_supervisor(folders) or cluster_ran


def url(environ: Mapping[str, str] = ENVIRON) -> str:
    """Return the AMQP address of the broker that runs, with its password.

    Raises:
        BrokerNotFoundError: None runs, or it still starts.
        StaleStateError: It has died.
        BrokerUnreachableError: Its supervisor hangs.
    """
    if BrokerChoice.from_environ(environ).uses_url:
        return environ["WORKQ_BROKER_URL"]
    folders = Folders.from_environ(environ)
    said = ask(folders, "ready")
    if said is None and folders.socket.exists():
        raise StaleStateError(
            f"{folders.socket} is of a course broker that is gone. Starting one puts away what it left: run "
            "`workq broker start`, or a notebook's first cell."
        )
    if said is None:
        raise BrokerNotFoundError(_NONE)
    if said["answer"] is None:
        raise BrokerNotFoundError("The course broker still starts. Try again in a moment.")
    return address_of(Ready.from_json(said["answer"]).endpoint)


def logs(environ: Mapping[str, str] = ENVIRON) -> str:
    """Return the log of the course broker that runs, and what its supervisor did before it.

    Raises:
        BrokerNotFoundError: None runs.
        BrokerUnreachableError: Its supervisor hangs.
    """
    folders = Folders.from_environ(environ)
    said = ask(folders, "logs")
    if said is None:
        raise BrokerNotFoundError(_NONE)
    try:
        kept = folders.log.read_text(errors="replace")
    except OSError:
        kept = ""
    return f"{kept}{said['answer']}"
