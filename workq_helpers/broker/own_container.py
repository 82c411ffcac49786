"""`OwnContainer`: a container of the course's, from when its name is known until nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker.errors

from workq_helpers.broker.docker_engine import (
    ANSWER_SECONDS,
    client,
    full_name,
    pull_if_missing,
    testcontainers_config,
    translated,
)
from workq_helpers.broker.filled_container import FilledContainer
from workq_helpers.broker.ports import LOOPBACK
from workq_helpers.broker.removal import FOLDER_LABEL, SUPERVISOR_LABEL, find, owner, remove, remove_lost
from workq_helpers.broker.server import Progress
from workq_helpers.errors import BrokerStartError, PortTakenError
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["OwnContainer"]

#: How long Docker may take to say how a container is, in seconds: who asks says nothing meanwhile, and counts as dead
#: after `SILENCE_SECONDS`.
LOOK_SECONDS = 3.0


class OwnContainer:
    """One container, with our labels; whoever sweeps knows of it as long as there may be one.

    Args:
        image: Its image, such as ``"rabbitmq:4.3-management"``.
        runtime: The runtime folder of its supervisor, in which an empty file called like the container lies as long as
            there may be one. Other containers of the same folder are leftovers.
    """

    def __init__(self, image: str, runtime: Path | None = None) -> None:
        self.image = image
        self._runtime = runtime
        self._owner = "" if runtime is None else owner(runtime)
        #: Its name, known before it exists, so that a death between the two leaves nothing unnamed.
        self.name = f"workq-rabbitmq-{secrets.token_hex(6)}"
        self._container: FilledContainer | None = None
        self._coming = False  # asked for, and Docker has not answered yet

    @property
    def was_made(self) -> bool:
        """Whether Docker was asked for it, and not to remove it."""
        return self._container is not None

    def pull(self, progress: Progress) -> None:
        """Have Docker pull its image, unless that is here.

        Raises:
            ImageUnavailableError: It can't be pulled.
        """
        # Ryuk would listen beyond loopback; removing what is left behind is the supervisor's job, and its heirs'.
        testcontainers_config.ryuk_disabled = True
        with client(ANSWER_SECONDS) as docker_client:
            pull_if_missing(docker_client, full_name(self.image), progress)

    def run(self, endpoint: Endpoint, ports: Mapping[str, int], **options: Any) -> None:
        """Have Docker make it, with these of its ports on those of the machine, and start it.

        Args:
            endpoint: Where RabbitMQ is to be reached, as an error names it.
            ports: The machine's ports by those of the container.
            **options: As `FilledContainer` has them.

        Raises:
            PortTakenError: A port that was free was taken a moment later.
        """
        labels = {SUPERVISOR_LABEL: str(os.getpid()), FOLDER_LABEL: self._owner}
        container = self._container = FilledContainer(self.image, name=self.name, labels=labels, **options)
        # Docker's own library takes the address too, which testcontainers' annotation doesn't know.
        container.ports = {inside: (LOOPBACK, port) for inside, port in ports.items()}  # type: ignore[misc]
        with self._answer_awaited():
            container.create()
        with _port_clash_translated(endpoint):
            container.start()

    def start_again(self, endpoint: Endpoint) -> None:
        """Start it with the same data.

        Raises:
            PortTakenError: Another program has taken one of its ports.
        """
        with _port_clash_translated(endpoint):
            self.handle().start()

    def remove(self) -> None:
        """Remove it and its volumes; no error if there is none.

        Raises:
            DockerUnavailableError: Docker does not answer any more.
            BrokerStartError: Docker could not remove it.
        """
        container = self._container
        if container is not None:
            remove(self.name, coming=self._coming)
            self._container, self._coming = None, False
            container.get_docker_client().client.close()
            self._tag(lambda tag: tag.unlink(missing_ok=True))

    def remove_lost(self) -> None:
        """Remove other containers of the same folder."""
        if self._owner:
            remove_lost(self._owner, but=self.name)

    @contextlib.contextmanager
    def looked_at(self) -> Iterator[Any]:
        """Give the container as it is, ``None`` if there is none, for a question that Docker has to answer soon."""
        if self._container is None or self._container._container is None:
            yield None
            return
        with translated("look at RabbitMQ's container"), client(LOOK_SECONDS) as engine:
            yield find(engine, self.name)

    def handle(self) -> Any:
        """Return it as Docker's library has it.

        Raises:
            BrokerStartError: It was not made, or is removed.
        """
        if self._container is None:
            raise self.not_started()
        return self._container.get_wrapped_container()

    def not_started(self) -> BrokerStartError:
        """Return what to raise where something is asked of a container that is not there."""
        return BrokerStartError(
            f"The container {self.name} was not started or is removed. Open the lesson again to start a broker."
        )

    @contextlib.contextmanager
    def _answer_awaited(self) -> Iterator[None]:
        """Docker is asked for the container inside; where that ends without an answer, it may still come."""
        self._coming = True
        self._tag(lambda tag: tag.touch(mode=0o600))
        try:
            yield
        except docker.errors.APIError:
            self._coming = False
            raise
        self._coming = False

    def _tag(self, change: Callable[[Path], None]) -> None:
        """Tell whoever may have to sweep about the container, or that it is gone."""
        if self._runtime is not None:
            # A broker that works is worth more than the file, for which there may be no room.
            with contextlib.suppress(OSError):
                change(self._runtime / self.name)


@contextlib.contextmanager
def _port_clash_translated(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as error:
        reason = str(error.explanation)
        if "port is already allocated" not in reason and "address already in use" not in reason:
            raise
        raise PortTakenError(
            f"Another program took port {endpoint.port} or "
            f"{(endpoint.management_url or '').rpartition(':')[2]} on {endpoint.host}, which RabbitMQ's "
            f"container needs: {reason}. Stop that program, or try again to get other ports."
        ) from error
