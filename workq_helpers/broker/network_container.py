"""`NetworkContainer`: the network that the nodes of a cluster share in Docker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workq_helpers.broker.container import ENVIRONMENT
from workq_helpers.broker.docker_engine import translated
from workq_helpers.broker.member import Member
from workq_helpers.broker.own_container import OwnContainer
from workq_helpers.broker.server import Progress, silent

__all__ = ["NetworkContainer"]


class NetworkContainer:
    """The network that the nodes of a cluster share, with its epmd: a container that outlives each of them.

    Their distribution listens on its loopback address alone. All ports that the machine sees are published here, on the
    machine's loopback address, so that they stay when a node dies.

    Args:
        image: The nodes' image.
        members: The nodes.
        runtime: As for `OwnContainer`.
    """

    def __init__(self, image: str, members: Sequence[Member], runtime: Path) -> None:
        self._own = OwnContainer(image, runtime)
        self._members = members
        self.name = self._own.name

    def start(self, progress: Progress = silent) -> None:
        """Start it.

        Raises:
            DockerUnavailableError: Docker is not installed, not running, or not for this user.
            ImageUnavailableError: The image is not here and can't be pulled.
            PortTakenError: A port that was free was taken a moment later.
            BrokerStartError: Docker can't start it.
        """
        with translated("start the network of a cluster"):
            self._own.pull(progress)
            self._own.run(
                self._members[0].endpoint,
                {f"{port}/tcp": port for each in self._members for port in (each.endpoint.port, each.management)},
                env=ENVIRONMENT | {"ERL_EPMD_PORT": str(self._members[0].epmd)},
                command="epmd",
                hostname="workq",
            )
            self._own.remove_lost()

    def stop(self) -> None:
        """Remove it; no error if there is none."""
        self._own.remove()
