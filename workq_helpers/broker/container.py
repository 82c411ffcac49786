"""`ContainerServer`: RabbitMQ in a Docker container, through testcontainers."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

# A boot waits for what is imported here, and not for pika and psutil, which are imported while RabbitMQ boots.
import docker.errors
import requests.exceptions

from workq_helpers import rabbitmq
from workq_helpers.broker.docker_engine import (
    ANSWER_SECONDS,
    DOCKER_ERRORS,
    DockerContainer,
    client,
    full_name,
    ignored,
    pull_if_missing,
    testcontainers_config,
    translated,
)
from workq_helpers.broker.member import ERLANG_ARGUMENTS, Member
from workq_helpers.broker.ports import LOOPBACK, free_ports, is_refused
from workq_helpers.broker.removal import FOLDER_LABEL, SUPERVISOR_LABEL, find, owner, remove, remove_lost
from workq_helpers.broker.server import NO_BUSY_WAIT, Progress, last_words, printed, silent
from workq_helpers.errors import (
    BrokerError,
    BrokerStartError,
    DockerSilentError,
    PortTakenError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG
from workq_helpers.waiting import wait_until

__all__ = ["ContainerServer", "NetworkContainer"]

#: How long a container may take to accept AMQP, in seconds.
BOOT_SECONDS = 120.0
#: How long RabbitMQ may take to stop gracefully before Docker kills it, in seconds.
STOP_SECONDS = 30
#: How long Docker may take to say how a container is, in seconds: who asks says nothing meanwhile, and counts as dead
#: after `SILENCE_SECONDS`.
LOOK_SECONDS = 3.0
#: How often to ask whether it accepts, in seconds: often enough not to add to the time of a boot.
POLL_SECONDS = 0.02
#: How long ports may take to lead to a RabbitMQ that is up, in seconds: where Docker runs in a machine of its own, what
#: forwards them looks for new ones now and then.
REACH_SECONDS = 15.0
#: How many times in between it is not asked whether the container still runs, which costs Docker more.
_LOOKS_PER_STATE = 20

# AMQP and the management API must listen on the container's network, or Docker could not publish them. Erlang's
# distribution and its epmd need nobody outside; by themselves they would listen there too, and an image that was made
# from packages brings the same cookie to everybody who has it.
_ENVIRONMENT = {
    "RABBITMQ_NODENAME": "rabbit@localhost",
    "ERL_EPMD_ADDRESS": LOOPBACK,
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {NO_BUSY_WAIT}",
    "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",  # rabbitmqctl is an Erlang node, too
    "RABBITMQ_LOGS": "-",
}

_AMQP, _MANAGEMENT = "5672/tcp", "15672/tcp"
#: What RabbitMQ logs when it is up, and among how many of the last lines.
_UP, _LINES_BEHIND_UP = b"Server startup complete", 10
#: Whose folder it is is who RabbitMQ runs as, and its cookie is in it.
_HOME = "/var/lib/rabbitmq"


class ContainerServer:
    """RabbitMQ in a container: ports on loopback only, a login of its own, data that lives as long as it.

    Args:
        image: The image, such as ``"rabbitmq:4.3-management"``; pulled if it is not here.
        runtime: The runtime folder of its supervisor, in which an empty file called like the container lies as long as
            there may be one. Other containers of the same folder are leftovers, and removed.
        settings: More lines for rabbitmq.conf.
        advanced_config: All of advanced.config, which wins over rabbitmq.conf.
        member: What it is in a cluster.
        network: The container whose network it is in, where it is in a cluster.
    """

    source = "docker"

    def __init__(
        self,
        image: str,
        *,
        runtime: Path | None = None,
        settings: str = "",
        advanced_config: str = ADVANCED_CONFIG,
        member: Member | None = None,
        network: NetworkContainer | None = None,
    ) -> None:
        self.image = image
        self.description = f"Docker ({image})"
        self._username = f"workq-{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(24)
        self._runtime = runtime
        self._owner = "" if runtime is None else owner(runtime)
        self._settings = settings
        self._advanced_config = advanced_config
        self._member = member
        self._network = network
        #: The container's name, known before it exists, so that a death between the two leaves nothing unnamed.
        self.name = f"workq-rabbitmq-{secrets.token_hex(6)}"
        self._container: _Container | None = None
        self._coming = False  # asked for, and Docker has not answered yet
        self._endpoint: Endpoint | None = None

    def __repr__(self) -> str:
        return f"<ContainerServer {self.name} from {self.image}>"

    # -- what a Server does -----------------------------------------------------------------------------

    def start(self, progress: Progress = silent) -> Endpoint:
        """Start the container and return once RabbitMQ accepts logins.

        Raises:
            DockerUnavailableError: Docker is not installed, not running, or not for this user.
            ImageUnavailableError: The image is not here and can't be pulled.
            PortTakenError: Two pairs of ports that were free were taken a moment later.
            BrokerStartError: RabbitMQ did not come up; the message ends with the last lines of its log.
        """
        try:
            with translated("start RabbitMQ in a container"):
                return self._start(progress)
        except BaseException:
            with contextlib.suppress(BrokerError):  # what went wrong first is more telling
                self.stop()
            raise

    def stop(self) -> None:
        """Remove the container and its volumes; no error if there is none.

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

    def restart(self) -> None:
        """Stop RabbitMQ gracefully, start it with the same data, and return when it accepts logins."""
        with translated("restart RabbitMQ's container"):
            container = self._wrapped()
            self._stop_gracefully(container)
            self._start_again(container)

    def crash(self) -> None:
        """SIGKILL RabbitMQ, start it with the same data, and return when it accepts logins."""
        self.kill()
        with translated("crash RabbitMQ's container"):
            self._start_again(self._wrapped())

    # -- in a cluster, where the others go on meanwhile

    def launch(self) -> None:
        """Start it, or start it again with the same data, and return at once.

        Raises:
            DockerUnavailableError: Docker can't be asked.
            BrokerStartError: Docker can't start it.
        """
        with translated("start RabbitMQ in a container"):
            if self._container is None:
                self._create()
            else:
                self._wrapped().start()

    def wait_until_it_accepts(self) -> None:
        """Return when it accepts logins, once it was launched.

        Raises:
            BrokerStartError: It did not come up; the message ends with the last lines of its log.
        """
        endpoint = self._endpoint
        if endpoint is None:
            raise self._not_started()
        with translated("start RabbitMQ in a container"):
            self._wait_until_it_accepts(endpoint)

    def shut_down(self) -> None:
        """Stop it gracefully; its data stays."""
        with translated("stop RabbitMQ's container"):
            self._stop_gracefully(self._wrapped())

    def kill(self) -> None:
        """SIGKILL it; its data stays."""
        with translated("kill RabbitMQ's container"):
            container = self._wrapped()
            with ignored(409):  # it was not running
                container.kill("SIGKILL")
            container.wait(timeout=STOP_SECONDS)

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run rabbitmqctl in the container, and return what it printed.

        Raises:
            BrokerError: It failed; the message has what it printed.
        """
        with translated("run rabbitmqctl in RabbitMQ's container"):
            status, output = self._wrapped().exec_run(["rabbitmqctl", "--quiet", *arguments])
        return printed(arguments, status, output)

    def is_running(self) -> bool | None:
        """Return whether the container runs, ``None`` where Docker does not say."""
        try:
            with self._looked_at() as container:
                return container is not None and container.attrs["State"]["Running"] is True
        except DockerSilentError:
            return None
        except BrokerError:
            return False

    def logs(self) -> str:
        """Return what RabbitMQ logged so far, or ``""`` where nothing can be had."""
        try:
            with self._looked_at() as container:
                text = b"" if container is None else container.logs()
        except BrokerError:
            return ""
        return text.decode(errors="replace").replace(self._password, "…")

    @contextlib.contextmanager
    def _looked_at(self) -> Iterator[Any]:
        """Give the container as it is, ``None`` if there is none, for a question that Docker has to answer soon."""
        if self._container is None or self._container._container is None:
            yield None
            return
        with translated("look at RabbitMQ's container"), client(LOOK_SECONDS) as engine:
            yield find(engine, self.name)

    # -- how it does it ---------------------------------------------------------------------------------

    def _start(self, progress: Progress) -> Endpoint:
        self._pull(progress)
        progress(f"Starting RabbitMQ in Docker ({self.image})")
        try:
            endpoint = self._create()
        except PortTakenError:
            endpoint = self._create()  # another program was quicker: once more with other ports
        if self._owner:
            remove_lost(self._owner, but=self.name)  # RabbitMQ boots meanwhile
        self._wait_until_it_accepts(endpoint, first=True)
        return endpoint

    def _pull(self, progress: Progress) -> None:
        # Ryuk would listen beyond loopback; removing what is left behind is the supervisor's job, and its heirs'.
        testcontainers_config.ryuk_disabled = True
        with client(ANSWER_SECONDS) as docker_client:
            pull_if_missing(docker_client, full_name(self.image), progress)

    def _create(self) -> Endpoint:
        self.stop()
        endpoint = self._member.endpoint if self._member else self._endpoint_of_its_own()
        # The login is in a file, because `docker inspect` and the environment of its processes show what is not.
        login = f"default_user = {endpoint.username}\ndefault_pass = {endpoint.password}\n"
        files = {
            "advanced.config": self._advanced_config,
            "enabled_plugins": "[rabbitmq_management].\n",
            "conf.d/90-workq.conf": login + self._settings + (_member_settings(self._member) if self._member else ""),
        }
        management = int((endpoint.management_url or "").rpartition(":")[2])
        self._run(
            endpoint,
            # Fixed ports, because those that Docker chooses change when a container is started again.
            {} if self._network else {_AMQP: endpoint.port, _MANAGEMENT: management},
            files={f"/etc/rabbitmq/{name}": text for name, text in files.items()},
            cookie=self._member.cookie if self._member else "",
            env=_ENVIRONMENT | (_member_environment(self._member) if self._member else {}),
            **({"network_mode": f"container:{self._network.name}"} if self._network else {"hostname": "workq"}),
        )
        self._endpoint = endpoint
        return endpoint

    def _run(self, endpoint: Endpoint, ports: Mapping[str, int], **options: Any) -> None:
        """Have Docker make the container, with these of its ports on those of the machine, and start it."""
        labels = {SUPERVISOR_LABEL: str(os.getpid()), FOLDER_LABEL: self._owner}
        container = self._container = _Container(self.image, name=self.name, labels=labels, **options)
        # Docker's own library takes the address too, which testcontainers' annotation doesn't know.
        container.ports = {inside: (LOOPBACK, port) for inside, port in ports.items()}  # type: ignore[misc]
        with self._answer_awaited():
            container.create()
        with _port_clash_translated(endpoint):
            container.start()

    def start_network(self, members: Sequence[Member], progress: Progress) -> None:
        """Start the container with an epmd in the place of RabbitMQ, and the ports of these nodes."""
        self._pull(progress)
        self._run(
            members[0].endpoint,
            {f"{port}/tcp": port for each in members for port in (each.endpoint.port, each.management)},
            env=_ENVIRONMENT | {"ERL_EPMD_PORT": str(members[0].epmd)},
            command="epmd",
            hostname="workq",
        )
        if self._owner:
            remove_lost(self._owner, but=self.name)

    def _endpoint_of_its_own(self) -> Endpoint:
        amqp, management = free_ports(2)
        return Endpoint(
            LOOPBACK, amqp, self._username, self._password, management_url=f"http://{LOOPBACK}:{management}"
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

    def _stop_gracefully(self, container: Any) -> None:
        # The first process of an image may be a shell, which does not hand a signal on; so RabbitMQ gets it.
        with ignored(409):  # it is not running
            status, _ = container.exec_run(["sh", "-c", "kill -TERM $(cat /var/lib/rabbitmq/mnesia/*.pid)"])
            if status == 0:
                with contextlib.suppress(requests.exceptions.RequestException):  # too slow
                    container.wait(timeout=STOP_SECONDS)
                    return
        container.stop(timeout=STOP_SECONDS)

    def _start_again(self, container: Any) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            raise self._not_started()
        with _port_clash_translated(endpoint):
            container.start()
        self._wait_until_it_accepts(endpoint)

    def _wait_until_it_accepts(self, endpoint: Endpoint, first: bool = False) -> None:
        looks = itertools.count(1)

        def look() -> bool:
            if rabbitmq.connecting.accepts(endpoint):
                return True
            if next(looks) % _LOOKS_PER_STATE == 0:
                state = _state(self._wrapped())
                if not state["Running"]:
                    raise self._did_not_start(f"ended with exit status {state['ExitCode']}")
                if first and _UP in _last_lines(self._wrapped()):
                    return self._is_reached(endpoint)
            return False

        if not wait_until(look, BOOT_SECONDS, interval_seconds=POLL_SECONDS):
            raise self._did_not_start(f"accepted no login for {BOOT_SECONDS:.0f} s")

    def _is_reached(self, endpoint: Endpoint) -> bool:
        """Say whether a RabbitMQ that is up accepts, and raise if its port leads nowhere here."""
        if wait_until(lambda: rabbitmq.connecting.accepts(endpoint), REACH_SECONDS, interval_seconds=POLL_SECONDS):
            return True
        if not is_refused(endpoint.port):
            return False
        raise BrokerStartError(
            f"RabbitMQ runs in a container of the image {self.image!r}, but {endpoint.place} does not lead to it: "
            f"Docker publishes its ports at {LOOPBACK} of where it runs itself, and that is not here. Set "
            "WORKQ_BROKER=node to do without Docker, or WORKQ_BROKER_URL to a RabbitMQ that is reached from here."
        )

    def _did_not_start(self, what: str) -> BrokerStartError:
        end = "\n".join(f"  {line}" for line in last_words(self.logs())) or "  (it logged nothing)"
        return BrokerStartError(
            f"RabbitMQ in a container of the image {self.image!r} {what}. Is it a RabbitMQ image? Set "
            "WORKQ_RABBITMQ_IMAGE to another, or WORKQ_BROKER=node to do without Docker. Its log ends "
            f"with:\n{end}"
        )

    def _wrapped(self) -> Any:
        if self._container is None:
            raise self._not_started()
        return self._container.get_wrapped_container()

    def _not_started(self) -> BrokerStartError:
        return BrokerStartError(
            f"The container {self.name} was not started or is removed. Open the lesson again to start a broker."
        )


class _Container(DockerContainer):
    """testcontainers' container, with files that are copied in together: each copy takes Docker 50 ms."""

    def __init__(self, image: str, files: Mapping[str, str] | None = None, cookie: str = "", **options: Any) -> None:
        super().__init__(image, **options)
        self._files = files or {}
        self._cookie = cookie

    def create(self) -> Any:
        """Have Docker make it."""
        # testcontainers puts a container into the network of the one that it runs in, unless it is told of one.
        told: dict[str, Any] = {"network": None} if "network_mode" in self._kwargs else {}
        self._container = self.get_docker_client().create(
            self.image,
            command=self._command,
            environment=self.env,
            ports=self.ports,
            name=self._name,
            **told,
            **self._kwargs,
        )
        return self._container

    def start(self) -> Self:
        """Start it with its files in it, made before or now."""
        made = self._container or self.create()
        if self._files:
            made.put_archive("/", _archive(self._files))
        if self._cookie:
            home = _folder_in(made, _HOME)  # nobody but its owner may read the cookie: Erlang insists
            cookie = {f"{_HOME}/.erlang.cookie": self._cookie}
            made.put_archive("/", _archive(cookie, uid=home.uid, gid=home.gid, mode=0o400))
        self.get_docker_client().start(made)
        return self


def _archive(files: Mapping[str, str], uid: int = 0, gid: int = 0, mode: int = 0o644) -> bytes:
    """Return a tar archive of these files, by default readable for everyone."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.uid, member.gid, member.mode, member.size = uid, gid, mode, len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def _folder_in(container: Any, folder: str) -> tarfile.TarInfo:
    """Return what a folder in a container is like."""
    stream, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return archive.getmembers()[0]


# -- in a cluster -----------------------------------------------------------------------------------------


def _member_settings(member: Member) -> str:
    # In the network that the nodes share, each has its ports to itself, the same ones inside as outside.
    return (
        f"listeners.tcp.default = {member.endpoint.port}\nmanagement.tcp.port = {member.management}\n{member.settings}"
    )


def _member_environment(member: Member) -> dict[str, str]:
    arguments = _ENVIRONMENT["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
    return {
        "RABBITMQ_NODENAME": member.node_name,
        "RABBITMQ_DIST_PORT": str(member.distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{arguments} {ERLANG_ARGUMENTS}",
        "ERL_EPMD_PORT": str(member.epmd),
    }


class NetworkContainer:
    """The network that the nodes of a cluster share, with its epmd: a container that outlives each of them.

    Their distribution listens on its loopback address alone. All ports that the machine sees are published here, on the
    machine's loopback address, so that they stay when a node dies.

    Args:
        image: The nodes' image.
        members: The nodes.
        runtime: As for `ContainerServer`.
    """

    def __init__(self, image: str, members: Sequence[Member], runtime: Path) -> None:
        self._server = ContainerServer(image, runtime=runtime)
        self._members = members
        self.name = self._server.name

    def start(self, progress: Progress = silent) -> None:
        """Start it.

        Raises:
            DockerUnavailableError: Docker is not installed, not running, or not for this user.
            ImageUnavailableError: The image is not here and can't be pulled.
            PortTakenError: A port that was free was taken a moment later.
            BrokerStartError: Docker can't start it.
        """
        with translated("start the network of a cluster"):
            self._server.start_network(self._members, progress)

    def stop(self) -> None:
        """Remove it; no error if there is none."""
        self._server.stop()


# -- what Docker says -----------------------------------------------------------------------------------


def _state(container: Any) -> dict[str, Any]:
    container.reload()
    state: dict[str, Any] = container.attrs["State"]
    return state


def _last_lines(container: Any) -> bytes:
    """Return the end of its log; nothing where Docker keeps none that can be read, as with another logging driver."""
    try:
        lines: bytes = container.logs(tail=_LINES_BEHIND_UP)
    except DOCKER_ERRORS:
        return b""
    return lines


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
