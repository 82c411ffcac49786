"""The sources of a course broker, in order: Docker, an installed server, the system's packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from workq_helpers.broker import docker_socket
from workq_helpers.broker.choice import DEFAULT_IMAGE, BrokerChoice
from workq_helpers.broker.cluster_server import ClusterServer, Machine
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.installations import Installation, find_installations
from workq_helpers.broker.member import Member
from workq_helpers.broker.server import Progress, Server
from workq_helpers.errors import (
    BrokerNotFoundError,
    BrokerStartError,
    DockerUnavailableError,
    PortTakenError,
    UnsupportedBrokerError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["start_server"]

#: Makes a server that is not started yet; raises BrokerError where it can't be made.
Maker = Callable[[Progress], Server]


def start_server(
    choice: BrokerChoice,
    folders: Folders,
    environ: Mapping[str, str],
    progress: Progress,
    record: Callable[[Server], None],
) -> Endpoint:
    """Start the first server that works and return its address.

    Args:
        choice: What the user asked for.
        folders: Where its data and the unpacked packages go.
        environ: The environment variables.
        progress: Told each step, and why a source was passed over.
        record: Told of each server before it is started, so that it can be stopped; the last one is that which works.

    Raises:
        BrokerNotFoundError: No source works; the message says why, one by one.
        BrokerStartError: The only source allowed does not work.
    """
    failures: list[tuple[str, BrokerStartError | UnsupportedBrokerError]] = []
    for name, make in _makers(choice, folders, environ):
        if failures:  # the last of them is told by whoever asked
            progress(f"{failures[-1][0]} can't be used: {failures[-1][1]}")
        try:
            server = make(progress)
            record(server)
            return server.start(progress)
        except PortTakenError:
            raise  # another source would not say what is wrong
        except (BrokerStartError, UnsupportedBrokerError) as error:
            failures.append((name, error))
    if len(failures) == 1:
        raise failures[0][1]
    raise _not_found(failures) from failures[-1][1]


@dataclass(frozen=True)
class _Site:
    """Where a server is to be started.

    Attributes:
        folders: Where its data and the unpacked packages go.
        environ: The environment variables.
        image: What a container is started from.
    """

    folders: Folders
    environ: Mapping[str, str]
    image: str


def _makers(choice: BrokerChoice, folders: Folders, environ: Mapping[str, str]) -> Iterator[tuple[str, Maker]]:
    site = _Site(folders, environ, choice.image or DEFAULT_IMAGE)
    if choice.allows("docker"):
        yield "Docker", partial(_in_docker, site)
    if choice.allows("node"):
        installed = find_installations(environ)
        first = [each for each in installed if each.supported][:1]
        for installation in first or installed:
            yield f"The server in {installation.home}", partial(_installed, site, installation)
        if not first:
            yield "RabbitMQ's packages", partial(_unpacked, site)


# What a source needs is imported where it is tried: a boot waits for every import before it.


def _in_docker(site: _Site, _progress: Progress) -> Server:
    reason = docker_socket.why_unavailable(site.environ)
    if reason:
        raise DockerUnavailableError(reason)
    from workq_helpers.broker.container import ContainerServer  # noqa: PLC0415 - Docker's library

    if site.folders.cluster:
        return ClusterServer("docker", f"Docker ({site.image})", partial(_containers, site), site.image)
    return ContainerServer(site.image, runtime=site.folders.runtime)


def _containers(
    site: _Site, members: Sequence[Member], progress: Progress
) -> tuple[Sequence[Machine], Callable[[], None]]:
    from workq_helpers.broker.container import ContainerServer  # noqa: PLC0415 - Docker's library
    from workq_helpers.broker.network_container import NetworkContainer  # noqa: PLC0415 - Docker's library

    network = NetworkContainer(site.image, members, site.folders.runtime)
    network.start(progress)
    made = [
        ContainerServer(site.image, runtime=site.folders.runtime, member=each, network=network.name) for each in members
    ]
    return made, network.stop


def _unpacked(site: _Site, progress: Progress) -> Server:
    from workq_helpers.broker import packages  # noqa: PLC0415 - psutil

    return _installed(site, packages.unpacked_installation(site.folders.cache, site.environ, progress), progress)


def _installed(site: _Site, installation: Installation, _progress: Progress) -> Server:
    if not installation.supported:
        raise UnsupportedBrokerError(
            f"RabbitMQ {installation.version} in {installation.home} is too old: "
            f"the course needs {OLDEST_VERSION} or later. Upgrade it or remove it."
        )
    from workq_helpers.broker.node import NodeServer  # noqa: PLC0415 - psutil

    def private_node(member: Member | None = None) -> NodeServer:
        return NodeServer(installation, site.folders.make_node_path(), site.environ, member)

    if site.folders.cluster:
        return ClusterServer(
            "node",
            f"private nodes ({installation.origin})",
            lambda members, _progress: ([private_node(each) for each in members], lambda: None),
        )
    return private_node()


def _not_found(failures: list[tuple[str, BrokerStartError | UnsupportedBrokerError]]) -> BrokerNotFoundError:
    reasons = "\n".join(f"  - {name}: {error}" for name, error in failures)
    return BrokerNotFoundError(
        "There is no RabbitMQ to use, and none could be started:\n"
        f"{reasons}\n"
        "Any one of these helps: start Docker; install rabbitmq-server with your system's package manager "
        "(for example `sudo apt install rabbitmq-server` or `brew install rabbitmq`); or set WORKQ_BROKER_URL to a "
        "broker that runs elsewhere, such as amqp://user:password@host:5672/virtual-host. Then run `workq doctor`."
    )
