"""`ContainerServer`: RabbitMQ in a Docker container, through testcontainers."""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# A boot waits for what is imported here, and not for pika and psutil, which are imported while RabbitMQ boots.
import docker.errors
import requests.exceptions

from workq_helpers import rabbitmq
from workq_helpers.broker.choice import DEFAULT_IMAGE
from workq_helpers.broker.docker_engine import DOCKER_ERRORS, ignored, translated
from workq_helpers.broker.member import ERLANG_ARGUMENTS, Member
from workq_helpers.broker.own_container import OwnContainer
from workq_helpers.broker.ports import LOOPBACK, free_ports, is_refused
from workq_helpers.broker.server import NO_BUSY_WAIT, Progress, last_words, printed, silent
from workq_helpers.errors import (
    BrokerError,
    BrokerStartError,
    DockerSilentError,
    LoginRefusedError,
    PortTakenError,
)
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.features import ADVANCED_CONFIG
from workq_helpers.waiting import wait_until

__all__ = ["ENVIRONMENT", "ContainerServer"]

#: How long a container may take to accept AMQP, in seconds.
BOOT_SECONDS = 120.0
#: How long RabbitMQ may take to stop gracefully before Docker kills it, in seconds.
STOP_SECONDS = 30
#: How often to ask whether it accepts, in seconds: often enough not to add to the time of a boot.
POLL_SECONDS = 0.02
#: How long ports may take to lead to a RabbitMQ that is up, in seconds: where Docker runs in a machine of its own, what
#: forwards them looks for new ones now and then.
REACH_SECONDS = 15.0
#: How many times in between it is not asked whether the container still runs, which costs Docker more.
_LOOKS_PER_STATE = 20
#: How many times its programs are looked at before there must be one of RabbitMQ's or Erlang's: what begins such an
#: image may prepare something first.
_LOOKS_UNTIL_RABBITMQ = 20

#: AMQP and the management API must listen on the container's network, or Docker could not publish them. Erlang's
#: distribution and its epmd need nobody outside; by themselves they would listen there too, and an image that was made
#: from packages brings the same cookie to everybody who has it.
ENVIRONMENT = {
    "RABBITMQ_NODENAME": "rabbit@localhost",
    "ERL_EPMD_ADDRESS": LOOPBACK,
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {NO_BUSY_WAIT}",
    "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",  # rabbitmqctl is an Erlang node, too
    "RABBITMQ_LOGS": "-",
}

_AMQP, _MANAGEMENT = "5672/tcp", "15672/tcp"
#: What RabbitMQ logs when it is up, and among how many of the last lines.
_UP, _LINES_BEHIND_UP = b"Server startup complete", 10
#: What is in the command of each program by which RabbitMQ comes up.
_PROGRAMS = ("rabbitmq", "beam")
#: How many times the login is refused before it counts: what hangs up as it boots looks like that, too.
_REFUSALS = 3
#: Where RabbitMQ looks for what we tell it.
_CONFIGURATION = "/etc/rabbitmq"
#: How Linux lists a socket that listens, in /proc/net/tcp: the local port, and the state.
_LISTENER = re.compile(rb"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A ", re.MULTILINE)
#: What our question for a command ends with, and no shell by itself.
_NO_SUCH_COMMAND = 77


class ContainerServer:
    """RabbitMQ in a container: ports on loopback only, a login of its own, data that lives as long as it.

    Args:
        image: The image, such as ``"rabbitmq:4.3-management"``; pulled if it is not here.
        runtime: As for `OwnContainer`; other containers of the same folder are removed.
        settings: More lines for rabbitmq.conf.
        advanced_config: All of advanced.config, which wins over rabbitmq.conf.
        member: What it is in a cluster.
        network: The name of the container whose network it is in, where it is in a cluster.
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
        network: str = "",
    ) -> None:
        self.image = image
        self.description = f"Docker ({image})"
        self._username = f"workq-{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(24)
        self._settings = settings
        self._advanced_config = advanced_config
        self._member = member
        self._network = network
        self._own = OwnContainer(image, runtime)
        #: The container's name.
        self.name = self._own.name
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
        self._own.remove()

    def restart(self) -> None:
        """Stop RabbitMQ gracefully, start it with the same data, and return when it accepts logins."""
        with translated("restart RabbitMQ's container"):
            self._stop_gracefully(self._own.handle())
            self._start_again()

    def crash(self) -> None:
        """SIGKILL RabbitMQ, start it with the same data, and return when it accepts logins."""
        self.kill()
        with translated("crash RabbitMQ's container"):
            self._start_again()

    # -- in a cluster, where the others go on meanwhile

    def launch(self) -> None:
        """Start it, or start it again with the same data, and return at once.

        Raises:
            DockerUnavailableError: Docker can't be asked.
            BrokerStartError: Docker can't start it.
        """
        with translated("start RabbitMQ in a container"):
            if self._own.was_made:
                self._own.handle().start()
            else:
                self._create()

    def wait_until_it_accepts(self) -> None:
        """Return when it accepts logins, once it was launched.

        Raises:
            BrokerStartError: It did not come up; the message ends with the last lines of its log.
        """
        endpoint = self._endpoint
        if endpoint is None:
            raise self._own.not_started()
        with translated("start RabbitMQ in a container"):
            self._wait_until_it_accepts(endpoint)

    def shut_down(self) -> None:
        """Stop it gracefully; its data stays."""
        with translated("stop RabbitMQ's container"):
            self._stop_gracefully(self._own.handle())

    def kill(self) -> None:
        """SIGKILL it; its data stays."""
        with translated("kill RabbitMQ's container"):
            container = self._own.handle()
            with ignored(409):  # it was not running
                container.kill("SIGKILL")
            container.wait(timeout=STOP_SECONDS)

    def rabbitmqctl(self, arguments: Sequence[str]) -> str:
        """Run rabbitmqctl in the container, and return what it printed.

        Raises:
            BrokerError: It failed; the message has what it printed.
        """
        with translated("run rabbitmqctl in RabbitMQ's container"):
            status, output = self._own.handle().exec_run(["rabbitmqctl", "--quiet", *arguments])
        return printed(arguments, status, output)

    def is_running(self) -> bool | None:
        """Return whether the container runs, ``None`` where Docker does not say."""
        try:
            with self._own.looked_at() as container:
                return container is not None and container.attrs["State"]["Running"] is True
        except DockerSilentError:
            return None
        except BrokerError:
            return False

    def logs(self) -> str:
        """Return what RabbitMQ logged so far, or ``""`` where nothing can be had."""
        try:
            with self._own.looked_at() as container:
                text = b"" if container is None else container.logs()
        except BrokerError:
            return ""
        return text.decode(errors="replace").replace(self._password, "…")

    # -- how it does it ---------------------------------------------------------------------------------

    def _start(self, progress: Progress) -> Endpoint:
        self._own.pull(progress)
        progress(f"Starting RabbitMQ in Docker ({self.image})")
        try:
            endpoint = self._create()
        except PortTakenError:
            endpoint = self._create()  # another program was quicker: once more with other ports
        self._own.remove_lost()  # RabbitMQ boots meanwhile
        self._wait_until_it_accepts(endpoint, first=True)
        return endpoint

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
        self._own.run(
            endpoint,
            # Fixed ports, because those that Docker chooses change when a container is started again.
            {} if self._network else {_AMQP: endpoint.port, _MANAGEMENT: management},
            files={f"{_CONFIGURATION}/{name}": text for name, text in files.items()},
            cookie=self._member.cookie if self._member else "",
            env=ENVIRONMENT | (_member_environment(self._member) if self._member else {}),
            **({"network_mode": f"container:{self._network}"} if self._network else {"hostname": "workq"}),
        )
        self._endpoint = endpoint
        return endpoint

    def _endpoint_of_its_own(self) -> Endpoint:
        amqp, management = free_ports(2)
        return Endpoint(
            LOOPBACK, amqp, self._username, self._password, management_url=f"http://{LOOPBACK}:{management}"
        )

    def _stop_gracefully(self, container: Any) -> None:
        # The first process of an image may be a shell, which does not hand a signal on; so RabbitMQ gets it.
        with ignored(409):  # it is not running
            status, _ = container.exec_run(["sh", "-c", "kill -TERM $(cat /var/lib/rabbitmq/mnesia/*.pid)"])
            if status == 0:
                with contextlib.suppress(requests.exceptions.RequestException):  # too slow
                    container.wait(timeout=STOP_SECONDS)
                    return
        container.stop(timeout=STOP_SECONDS)

    def _start_again(self) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            raise self._own.not_started()
        self._own.start_again(endpoint)
        self._wait_until_it_accepts(endpoint)

    def _wait_until_it_accepts(self, endpoint: Endpoint, first: bool = False) -> None:
        polls, looks, refusals = itertools.count(1), itertools.count(1), itertools.count(1)

        def look() -> bool:
            if rabbitmq.connecting.accepts(endpoint):
                return True
            if next(polls) % _LOOKS_PER_STATE == 0:
                state = _state(self._own.handle())
                if not state["Running"]:
                    raise self._did_not_start(f"ended with exit status {state['ExitCode']}")
                if first:
                    self._require_rabbitmq(next(looks))
                    self._require_login(endpoint, refusals)
                    if _UP in _last_lines(self._own.handle()):
                        return self._is_reached(endpoint)
            return False

        if not wait_until(look, BOOT_SECONDS, interval_seconds=POLL_SECONDS):
            raise self._did_not_start(f"accepted no login for {BOOT_SECONDS:.0f} s")

    def _require_rabbitmq(self, look: int) -> None:
        """Raise if what runs in the container can't become a RabbitMQ: there is none in it, or nobody starts it.

        Args:
            look: How many times this was asked, with this one.
        """
        container = self._own.handle()
        if look == 1 and (without := _has_no_rabbitmqctl(container)):
            raise self._is_no_rabbitmq(f"has no RabbitMQ in it: {without}")
        if look == _LOOKS_UNTIL_RABBITMQ:
            programs = _programs(container)
            if programs and not any(name in each for each in programs for name in _PROGRAMS):
                raise self._is_no_rabbitmq(f"runs no RabbitMQ, but {', '.join(map(repr, programs))}")

    def _is_no_rabbitmq(self, what: str) -> BrokerStartError:
        return BrokerStartError(
            f"A container of the image {self.image!r} {what}. Set WORKQ_RABBITMQ_IMAGE to an image of RabbitMQ, such "
            f"as {DEFAULT_IMAGE}, or WORKQ_BROKER=node to do without Docker."
        )

    def _is_reached(self, endpoint: Endpoint) -> bool:
        """Say whether a RabbitMQ that is up accepts, and raise if its port leads nowhere here."""
        if wait_until(lambda: rabbitmq.connecting.accepts(endpoint), REACH_SECONDS, interval_seconds=POLL_SECONDS):
            return True
        if not is_refused(endpoint.port):
            self._require_listener()
            return False
        raise BrokerStartError(
            f"RabbitMQ runs in a container of the image {self.image!r}, but {endpoint.place} does not lead to it: "
            f"Docker publishes its ports at {LOOPBACK} of where it runs itself, and that is not here. Set "
            "WORKQ_BROKER=node to do without Docker, or WORKQ_BROKER_URL to a RabbitMQ that is reached from here."
        )

    def _require_login(self, endpoint: Endpoint, refusals: Iterator[int]) -> None:
        """Raise if RabbitMQ refuses the login that it was given, again and again."""
        try:
            rabbitmq.connecting.probe(endpoint)
        except LoginRefusedError as error:
            if next(refusals) == _REFUSALS:
                raise BrokerStartError(
                    f"RabbitMQ in a container of the image {self.image!r} refuses the login that the course put into "
                    f"{_CONFIGURATION}: it reads its configuration elsewhere. Set WORKQ_RABBITMQ_IMAGE to another "
                    f"image, such as {DEFAULT_IMAGE}, or WORKQ_BROKER=node to do without Docker."
                ) from error
        except BrokerError:
            pass  # it boots

    def _require_listener(self) -> None:
        """Raise if nothing in the container listens at AMQP's port, although RabbitMQ is up."""
        port = int(_AMQP.partition("/")[0])
        listening = _listening(self._own.handle())
        if listening and port not in listening:
            others = ", ".join(map(str, sorted(listening)))
            raise BrokerStartError(
                f"RabbitMQ in a container of the image {self.image!r} is up, and nothing there listens at port {port}, "
                f"only at {others}: the image sets another port for AMQP. Set WORKQ_RABBITMQ_IMAGE to another image, "
                f"such as {DEFAULT_IMAGE}, or WORKQ_BROKER=node to do without Docker."
            )

    def _did_not_start(self, what: str) -> BrokerStartError:
        end = "\n".join(f"  {line}" for line in last_words(self.logs())) or "  (it logged nothing)"
        return BrokerStartError(
            f"RabbitMQ in a container of the image {self.image!r} {what}. Is it a RabbitMQ image? Set "
            "WORKQ_RABBITMQ_IMAGE to another, or WORKQ_BROKER=node to do without Docker. Its log ends "
            f"with:\n{end}"
        )


# -- in a cluster -----------------------------------------------------------------------------------------


def _member_settings(member: Member) -> str:
    # In the network that the nodes share, each has its ports to itself, the same ones inside as outside.
    return (
        f"listeners.tcp.default = {member.endpoint.port}\nmanagement.tcp.port = {member.management}\n{member.settings}"
    )


def _member_environment(member: Member) -> dict[str, str]:
    arguments = ENVIRONMENT["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
    return {
        "RABBITMQ_NODENAME": member.node_name,
        "RABBITMQ_DIST_PORT": str(member.distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{arguments} {ERLANG_ARGUMENTS}",
        "ERL_EPMD_PORT": str(member.epmd),
    }


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


def _has_no_rabbitmqctl(container: Any) -> str:
    """Say in a few words that the container lacks the command that lessons run in it; ``""`` where it may have it."""
    try:
        status, output = container.exec_run(["sh", "-c", f"command -v rabbitmqctl || exit {_NO_SUCH_COMMAND}"])
    except docker.errors.APIError as error:
        said = str(error.explanation)
        return "not even a shell" if "executable file not found" in said else ""
    if status == _NO_SUCH_COMMAND:
        return "there is no command rabbitmqctl"
    return "not even a shell" if status and b"executable file not found" in output else ""


def _programs(container: Any) -> list[str]:
    """Return the commands of the programs that run in it; none where Docker does not say."""
    try:
        told = container.top(ps_args="-eo pid,args")
    except DOCKER_ERRORS:
        return []
    command = [title.upper() for title in told["Titles"]].index("COMMAND")
    return [each[command] for each in told["Processes"] or []]


def _listening(container: Any) -> set[int]:
    """Return the ports at which something in it listens; none where it can't be asked."""
    try:
        _, output = container.exec_run(["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"])
    except DOCKER_ERRORS:
        return set()
    return {int(port, 16) for port in _LISTENER.findall(output)}
