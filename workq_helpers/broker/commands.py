"""What the command line does to the course broker: `status`, `start`, `stop`, `url`, `logs`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping

from workq_helpers.broker.choice import Choice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.lease import call, connect, put_away_leftovers, take_lease, visiting
from workq_helpers.broker.progress import Shown, spoken
from workq_helpers.broker.running import Ready, Status
from workq_helpers.errors import BrokerNotFoundError, StateFileError, StateVersionError
from workq_helpers.rabbitmq.url import address_of

__all__ = ["logs", "start", "status", "stop", "url"]

_NONE = "No course broker runs. Start one with `workq broker start`, or open a notebook and run its first cell."


def status(environ: Mapping[str, str] = os.environ) -> Status | None:
    """Return how the course broker is, or ``None`` if none runs.

    Raises:
        StateFileError: The state file can't be read, or another version of the course wrote it.
    """
    answer = call(Folders.from_environ(environ), "status")
    return Status.from_json(answer["status"]) if answer and "status" in answer else None


def start(progress: Callable[[str], None] | None = None, environ: Mapping[str, str] = os.environ) -> Status:
    """Start the course broker, or find it running, and keep it until `stop`; return how it is.

    Args:
        progress: Called with each step in words; by default a progress bar shows them.
        environ: As for `find_broker`.

    Raises:
        BrokerError: As `find_broker` has them.
    """
    folders, choice = Folders.from_environ(environ), Choice.from_environ(environ)
    with contextlib.ExitStack() as stack:
        show = spoken(progress) if progress is not None else stack.enter_context(Shown())
        lease = stack.enter_context(contextlib.closing(take_lease(folders, choice, environ, show)))
        lease.request("pin")
        return Status.from_json(lease.request("status")["status"])


def stop(environ: Mapping[str, str] = os.environ) -> bool:
    """Stop the course broker for everyone and put away all it left; return whether one ran.

    Raises:
        StateVersionError: Another version of the course wrote the state file.
        BrokerStartError: It did not end in time.
    """
    folders = Folders.from_environ(environ)
    ran = False
    try:
        with visiting(folders) as wire:
            if wire is not None:
                ran = True
                with contextlib.suppress(OSError):
                    wire.send({"op": "stop", "id": 1})
                while wire.receive() is not None:
                    pass  # it ends with the keeper, which has put everything away by then
        put_away_leftovers(folders)
    except StateVersionError:
        raise
    except StateFileError:
        folders.state.unlink(missing_ok=True)  # it names nothing that could be put away
    return ran


def url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the AMQP address of the broker that runs, with its password.

    Raises:
        BrokerNotFoundError: None runs, or it still starts.
        StateFileError: The state file is stale, can't be read, or is of another version.
    """
    if Choice.from_environ(environ).uses_url:
        return environ["WORKQ_BROKER_URL"]
    folders = Folders.from_environ(environ)
    wire = connect(folders)  # a stale state file is worth a word here
    if wire is not None:
        wire.close()
    answer = call(folders, "ready")
    if not answer or not answer.get("ready"):
        raise BrokerNotFoundError(_NONE if wire is None else "The course broker still starts. Try again in a moment.")
    return address_of(Ready.from_json(answer["ready"]).endpoint)


def logs(environ: Mapping[str, str] = os.environ) -> str:
    """Return the log of the course broker that runs, and what its keeper did before it.

    Raises:
        BrokerNotFoundError: None runs.
    """
    folders = Folders.from_environ(environ)
    answer = call(folders, "logs")
    if answer is None:
        raise BrokerNotFoundError(_NONE)
    try:
        kept = folders.log.read_text(errors="replace")
    except OSError:
        kept = ""
    return f"{kept}{answer.get('logs', '')}"
