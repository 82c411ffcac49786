"""What is left of containers of ours: told by their labels, and removed."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import docker.errors

from workq_helpers.broker.docker_engine import (
    ANSWER_SECONDS,
    DEED_SECONDS,
    client,
    ignored,
    is_local,
    translated,
)
from workq_helpers.errors import BrokerError, BrokerStartError, DockerSilentError, DockerUnavailableError
from workq_helpers.waiting import wait_until

__all__ = ["FOLDER_LABEL", "SUPERVISOR_LABEL", "find", "leftovers", "owner", "remove", "remove_lost"]

log = logging.getLogger(__name__)

#: The label of our containers; its value is the process id of the supervisor that started it.
SUPERVISOR_LABEL = "org.workq.supervisor"
#: Another label of theirs; its value is the `owner` of them.
FOLDER_LABEL = "org.workq.folder"

#: How long a container that Docker was asked for may take to be there, in seconds.
COMING_SECONDS = 20.0
#: How long Docker may take to be able to remove a container, in seconds.
REMOVAL_SECONDS = 10.0
#: How often it is asked in these, in seconds.
_AGAIN_SECONDS = 0.1


def remove(container: str, *, coming: bool = False) -> None:
    """Remove a container and its volumes, running or not; no error if there is none.

    Args:
        container: Its name or id.
        coming: Whether Docker may still be making it, for somebody who died: then it is waited for.

    Raises:
        DockerUnavailableError: Docker does not run.
        BrokerStartError: Docker says nothing, or could not remove it, however often it was asked.
    """
    try:
        with translated("remove a container"), client(ANSWER_SECONDS) as engine:
            patience = COMING_SECONDS if coming else 0.0
            found = wait_until(lambda: find(engine, container), patience, interval_seconds=_AGAIN_SECONDS)
            engine.api.timeout = DEED_SECONDS
            if found:
                with ignored(404), ignored(409):  # it is gone, or does not run
                    found.kill()  # podman would ask it to stop first, and wait for ten seconds
                _insist(lambda: found.remove(force=True, v=True))
    except BrokerStartError as error:
        if isinstance(error, DockerUnavailableError) and not isinstance(error, DockerSilentError):
            raise  # no Docker, no container that runs
        raise BrokerStartError(
            f"RabbitMQ may still run, in the container {container}. {error} Once that is mended run `workq broker "
            f"stop` again, or: docker rm --force --volumes {container}"
        ) from error


def find(engine: docker.DockerClient, container: str) -> Any:
    """Return a container as it is now, by its name or id; ``None`` if there is none."""
    try:
        return engine.containers.get(container)
    except docker.errors.NotFound:
        return None


def _insist(removal: Callable[[], None]) -> None:
    """Try for a while to remove a container, which Docker can't while something still has a file of it open."""
    refusals: list[docker.errors.APIError] = []

    def done() -> bool:
        try:
            with ignored(404), ignored(409):  # it is gone; somebody else is removing it
                removal()
        except docker.errors.APIError as error:
            if not error.is_server_error():
                raise
            refusals.append(error)
            return False
        return True

    if not wait_until(done, REMOVAL_SECONDS, interval_seconds=_AGAIN_SECONDS):
        raise refusals[-1]


def owner(runtime: Path) -> str:
    """Return what tells the containers of one runtime folder from those of others, on any machine."""
    return f"{socket.gethostname()}:{runtime}"


def remove_lost(of: str, *, but: str) -> None:
    """Remove containers that no file names any more, as after a power cut."""
    if not is_local():
        return  # machines with one name may share a Docker somewhere else
    from workq_helpers.broker import processes  # noqa: PLC0415 - psutil takes a while; RabbitMQ boots meanwhile

    # A lesson that begins must not wait for what can as well be done before the next.
    with contextlib.suppress(BrokerError), translated("list containers"), client(ANSWER_SECONDS) as engine:
        for each in engine.containers.list(all=True, filters={"label": f"{FOLDER_LABEL}={of}"}, ignore_removed=True):
            # A folder of the same name, in a mount namespace of its own, may have a supervisor too.
            if each.name != but and not processes.is_supervisor(_supervisor_of(each)):
                log.info("removing %s, which a supervisor before this one left", each.name)
                each.remove(force=True, v=True)


def _supervisor_of(container: Any) -> int:
    return int(container.labels[SUPERVISOR_LABEL])


def leftovers() -> dict[str, int]:
    """Return the names of all containers of ours, with the process id of the supervisor of each.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    with translated("list containers"), client(ANSWER_SECONDS) as engine:
        found = engine.containers.list(all=True, filters={"label": SUPERVISOR_LABEL}, ignore_removed=True)
        return {each.name: _supervisor_of(each) for each in found}
