"""`ContainerServer`: RabbitMQ in a Docker container, through testcontainers."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import secrets
import shutil
import socket
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, Self

# A boot waits for what is imported here, and not for pika and others, which are imported while RabbitMQ boots.
import docker
import docker.errors
import docker.utils
import requests.exceptions
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient, get_docker_host

from workq_helpers.broker.endpoint import Endpoint
from workq_helpers.broker.features import ADVANCED_CONFIG
from workq_helpers.broker.ports import LOOPBACK, free_ports
from workq_helpers.broker.server import Progress, Remains, silent
from workq_helpers.errors import (
    BrokerStartError,
    DockerUnavailableError,
    ImageUnavailableError,
    PortTakenError,
)

__all__ = ["KEEPER_LABEL", "ContainerServer", "bury", "has_image", "leftovers"]

log = logging.getLogger(__name__)

#: The label of our containers; its value is the process id of the keeper that started it.
KEEPER_LABEL = "org.workq.keeper"

#: How long a container may take to accept AMQP, in seconds.
BOOT_SECONDS = 120.0
#: How long RabbitMQ may take to stop gracefully before Docker kills it, in seconds.
STOP_SECONDS = 30
#: How often to ask whether it accepts, in seconds: often enough not to add to the time of a boot.
POLL_SECONDS = 0.02
#: How many times in between it is not asked whether the container still runs, which costs Docker more.
_LOOKS_PER_STATE = 20
#: How many lines of the container's log an error shows.
_LOG_LINES = 20
_BOOT_FAILED = "Error during startup:"

_AMQP, _MANAGEMENT = "5672/tcp", "15672/tcp"

_DOCKER_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)


class ContainerServer:
    """RabbitMQ in a container: ports on loopback only, a login of its own, data that lives as long as it.

    Args:
        image: The image, such as ``"rabbitmq:4.3-management"``; pulled if it is not here.
        username: The administrator to create.
        password: That user's password.
        settings: More lines for rabbitmq.conf.
        advanced_config: All of advanced.config, which wins over rabbitmq.conf.
    """

    source = "docker"

    def __init__(
        self,
        image: str,
        username: str | None = None,
        password: str | None = None,
        *,
        settings: str = "",
        advanced_config: str = ADVANCED_CONFIG,
    ) -> None:
        self.image = image
        self.description = f"Docker ({image})"
        self._username = username or f"workq-{secrets.token_hex(4)}"
        self._password = password or secrets.token_urlsafe(24)
        self._settings = settings
        self._advanced_config = advanced_config
        # Known before the container exists, so that a death between the two leaves nothing unnamed.
        self._name = f"workq-rabbitmq-{secrets.token_hex(6)}"
        self._container: _Container | None = None
        self._endpoint: Endpoint | None = None

    def __repr__(self) -> str:
        return f"<ContainerServer {self._name} from {self.image}>"

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
            with _docker_errors_translated("start RabbitMQ in a container"):
                return self._start(progress)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove the container and its volumes; no error if there is none."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(*_DOCKER_ERRORS):
                container.stop()
            container.get_docker_client().client.close()

    def restart(self) -> None:
        """Stop RabbitMQ gracefully, start it with the same data, and return when it accepts logins."""
        with _docker_errors_translated("restart RabbitMQ's container"):
            container = self._wrapped()
            self._stop_gracefully(container)
            self._start_again(container)

    def crash(self) -> None:
        """SIGKILL RabbitMQ, start it with the same data, and return when it accepts logins."""
        with _docker_errors_translated("crash RabbitMQ's container"):
            container = self._wrapped()
            with _ignored(409):  # it was not running; killed or not, it is down now
                container.kill("SIGKILL")
            container.wait(timeout=STOP_SECONDS)
            self._start_again(container)

    def is_running(self) -> bool:
        """Return whether the container runs."""
        container = self._container
        if container is None or container._container is None:
            return False
        try:
            return _state(container._container)["Running"] is True
        except _DOCKER_ERRORS:
            return False

    def logs(self) -> str:
        """Return what RabbitMQ logged so far, or ``""`` where nothing can be had."""
        container = self._container
        if container is None or container._container is None:
            return ""
        try:
            text: str = container._container.logs().decode(errors="replace")
        except _DOCKER_ERRORS:
            return ""
        return text.replace(self._password, "…")

    def remains(self) -> Remains:
        """Return the container's name, by which it can be buried."""
        return Remains(containers=(self._name,))

    # -- how it does it ---------------------------------------------------------------------------------

    def _start(self, progress: Progress) -> Endpoint:
        # Ryuk would listen beyond loopback; removing what is left behind is the keeper's job, and its heirs'.
        testcontainers_config.ryuk_disabled = True
        with _client() as client:
            _pull_if_missing(client, _full_name(self.image), progress)
        progress(f"Starting RabbitMQ in Docker ({self.image})")
        try:
            endpoint = self._create()
        except PortTakenError:
            endpoint = self._create()  # another program was quicker: once more with other ports
        self._wait_until_it_accepts(endpoint)
        return endpoint

    def _create(self) -> Endpoint:
        self.stop()
        amqp, management = free_ports(2)
        endpoint = Endpoint(
            LOOPBACK, amqp, self._username, self._password, management_url=f"http://{LOOPBACK}:{management}"
        )
        files = {"advanced.config": self._advanced_config, "enabled_plugins": "[rabbitmq_management].\n"}
        if self._settings:
            files["conf.d/90-workq.conf"] = self._settings
        container = self._container = _Container(
            self.image,
            {f"/etc/rabbitmq/{name}": text for name, text in files.items()},
            env={
                "RABBITMQ_DEFAULT_USER": self._username,
                "RABBITMQ_DEFAULT_PASS": self._password,
                "RABBITMQ_LOGS": "-",
            },
            name=self._name,
            # The node is named after the host; without a fixed name its data would be another node's.
            hostname="workq",
            labels={KEEPER_LABEL: str(os.getpid())},
        )
        # Fixed ports, because those that Docker chooses change when a container is started again. Docker's
        # own library takes the address too, which testcontainers' annotation doesn't know.
        container.ports = {_AMQP: (LOOPBACK, amqp), _MANAGEMENT: (LOOPBACK, management)}  # type: ignore[dict-item]
        with _port_clash_translated(endpoint):
            container.start()
        self._endpoint = endpoint
        return endpoint

    def _stop_gracefully(self, container: Any) -> None:
        # The first process of an image may be a shell, which does not hand a signal on; so RabbitMQ gets it.
        with _ignored(409):  # it is not running
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

    def _wait_until_it_accepts(self, endpoint: Endpoint) -> None:
        # These take a while to import, and RabbitMQ boots meanwhile.
        from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

        from workq_helpers.broker import connection

        looks = itertools.count(1)

        def look() -> bool:
            if connection.accepts(endpoint):
                return True
            if next(looks) % _LOOKS_PER_STATE == 0:
                state = _state(self._wrapped())
                if not state["Running"]:
                    raise self._did_not_start(f"ended with exit status {state['ExitCode']}")
            return False

        wait = Retrying(
            retry=retry_if_result(lambda accepts: not accepts),
            wait=wait_fixed(POLL_SECONDS),
            stop=stop_after_delay(BOOT_SECONDS),
        )
        try:
            wait(look)
        except RetryError as error:
            raise self._did_not_start(f"accepted no login for {BOOT_SECONDS:.0f} s") from error

    def _did_not_start(self, what: str) -> BrokerStartError:
        end = "\n".join(f"  {line}" for line in _last_words(self.logs())) or "  (it logged nothing)"
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
            f"The container {self._name} was not started or is removed. Open the lesson again to start a broker."
        )


class _Container(DockerContainer):
    """testcontainers' container, with files that are copied in together: each copy takes Docker 50 ms.

    Args:
        image: The image.
        files: What is copied in before it starts, by path.
        **options: As for `DockerContainer`.
    """

    def __init__(self, image: str, files: Mapping[str, str], **options: Any) -> None:
        super().__init__(image, **options)
        self._files = files

    def start(self) -> Self:
        client = self.get_docker_client()
        self._container = client.create(
            self.image, environment=self.env, ports=self.ports, name=self._name, **self._kwargs
        )
        self._container.put_archive("/", _archive(self._files))
        client.start(self._container)
        return self


def _archive(files: Mapping[str, str]) -> bytes:
    """Return a tar archive of these files, readable for everyone."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            content = text.encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


# -- what is left behind ----------------------------------------------------------------------------------


def bury(container: str) -> None:
    """Remove a container and its volumes, running or not; no error if there is none.

    Args:
        container: Its name or id.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    with (
        _docker_errors_translated("remove a container"),
        _client() as client,
        contextlib.suppress(docker.errors.NotFound),
        _ignored(409),  # somebody else is removing it
    ):
        client.containers.get(container).remove(force=True, v=True)


def leftovers() -> dict[str, int]:
    """Return the names of all containers of ours, with the process id of the keeper of each.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    with _docker_errors_translated("list containers"), _client() as client:
        found = client.containers.list(all=True, filters={"label": KEEPER_LABEL}, ignore_removed=True)
        return {each.name: int(each.labels[KEEPER_LABEL]) for each in found}


def has_image(image: str) -> bool:
    """Return whether an image is on this machine, so that nothing need be downloaded.

    Args:
        image: Its name.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    with _docker_errors_translated("look for an image"), _client() as client:
        return _is_here(client, _full_name(image))


# -- Docker -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _client() -> Iterator[docker.DockerClient]:
    try:
        _knock()
    except OSError as error:
        raise _unavailable(error) from error
    # testcontainers' own client, because it also knows Docker's contexts and its own properties file.
    client = DockerClient().client
    try:
        yield client
    finally:
        client.close()


def _last_words(logged: str) -> list[str]:
    """Return the last lines of a log, without the Erlang reports that follow a boot's failure."""
    lines = [line for line in logged.splitlines() if line.strip()]
    reasons = [number for number, line in enumerate(lines, start=1) if _BOOT_FAILED in line]
    return lines[: max(reasons, default=len(lines))][-_LOG_LINES:]


def _knock() -> None:
    """Try Docker's socket ourselves, because Docker's library leaves its own open where nobody answers."""
    scheme, _, path = (get_docker_host() or "unix:///var/run/docker.sock").partition("://")
    if scheme == "unix" and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(5.0)
            attempt.connect(path)


def _state(container: Any) -> dict[str, Any]:
    container.reload()
    state: dict[str, Any] = container.attrs["State"]
    return state


def _full_name(image: str) -> str:
    """Return the image's name with the registry that testcontainers is told to put before it."""
    return testcontainers_config.hub_image_name_prefix + image


def _is_here(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        return False
    return True


def _pull_if_missing(client: docker.DockerClient, image: str, progress: Progress) -> None:
    if not _is_here(client, image):
        _pull(client, image, progress)


def _pull(client: docker.DockerClient, image: str, progress: Progress) -> None:
    """Pull an image, telling how many bytes of its layers are here."""
    repository, tag = docker.utils.parse_repository_tag(image)
    progress(f"Pulling the image {image}")
    layers: dict[str, tuple[int, int]] = {}
    try:
        for line in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in line:
                raise _no_image(image, line["error"])
            size = line.get("progressDetail") or {}
            if line.get("status") == "Downloading" and size.get("total"):
                layers[line["id"]] = size["current"], size["total"]
            elif line.get("status") in ("Download complete", "Pull complete") and line.get("id") in layers:
                layers[line["id"]] = (layers[line["id"]][1],) * 2
            if layers:
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress(f"Pulling the image {image}", done, total)
    except _DOCKER_ERRORS as error:
        raise _no_image(image, getattr(error, "explanation", None) or str(error)) from error


def _no_image(image: str, reason: str) -> ImageUnavailableError:
    return ImageUnavailableError(
        f"The image {image!r} is not on this machine and can't be pulled: {reason}. Look at its name and at "
        "the network, set WORKQ_RABBITMQ_IMAGE to an image that is here (see `docker images`), or set "
        "WORKQ_BROKER=node to do without Docker."
    )


@contextlib.contextmanager
def _ignored(status: int) -> Iterator[None]:
    """Ignore Docker's answer of this HTTP status."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code != status:
            raise


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


@contextlib.contextmanager
def _docker_errors_translated(deed: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as error:
        raise BrokerStartError(
            f"Docker could not {deed}: {error.explanation or error}. See what `docker info` says, or set "
            f"WORKQ_BROKER=node to do without Docker."
        ) from error
    except _DOCKER_ERRORS as error:
        raise _unavailable(error) from error


def _unavailable(error: BaseException) -> DockerUnavailableError:
    other_way = "Or set WORKQ_BROKER=node to do without Docker."
    kinds = {type(cause) for cause in _causes(error)}
    if PermissionError in kinds:
        return DockerUnavailableError(
            f"Docker runs, but you may not use it: permission denied on its socket. Join its group with "
            f"`sudo usermod -aG docker $USER` and log in again. {other_way}"
        )
    if FileNotFoundError in kinds and shutil.which("docker") is None:
        return DockerUnavailableError(
            f"Docker is not installed: there is no command 'docker' and no socket. See "
            f"https://docs.docker.com/get-docker/. {other_way}"
        )
    if kinds & {FileNotFoundError, ConnectionRefusedError}:
        return DockerUnavailableError(
            f"Docker is installed and not running. Start Docker Desktop, or `sudo systemctl start docker`. {other_way}"
        )
    return DockerUnavailableError(
        f"Docker can't be used: {error}. See what `docker info` says, and what DOCKER_HOST is set to. {other_way}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that are wrapped in it, which requests and urllib3 do in their arguments."""
    yield error
    inner = [argument for argument in error.args if isinstance(argument, BaseException)]
    for wrapped in (error.__cause__, *inner):
        if wrapped is not None:
            yield from _causes(wrapped)
