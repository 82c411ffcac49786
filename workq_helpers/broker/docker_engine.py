"""Docker as testcontainers finds it: a client for it, its images, and what its errors mean."""

from __future__ import annotations

import contextlib
import http
import http.client
import os
import queue
import shutil
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import docker
import docker.constants
import docker.errors
import docker.utils
import requests.exceptions
import urllib3.exceptions

from workq_helpers.broker import docker_socket
from workq_helpers.broker.server import Progress
from workq_helpers.errors import (
    BrokerStartError,
    DockerSilentError,
    DockerUnavailableError,
    ImageUnavailableError,
)
from workq_helpers.text import without_login

try:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient, get_docker_host
except (ValueError, OSError) as odd_setting:  # it reads its settings as it is imported
    raise DockerUnavailableError(
        f"testcontainers, by which Docker is used, can't take its own settings: {odd_setting}. Correct them: they are "
        "the variables TC_… and TESTCONTAINERS_…, and ~/.testcontainers.properties. Or set WORKQ_BROKER=node to do "
        "without Docker."
    ) from odd_setting

__all__ = [
    "ANSWER_SECONDS",
    "DEED_SECONDS",
    "DOCKER_ERRORS",
    "DockerContainer",
    "client",
    "full_name",
    "has_image",
    "ignored",
    "is_local",
    "pull_if_missing",
    "testcontainers_config",
    "translated",
]

#: What Docker's library reads of the environment beside the address.
_SETTINGS = ("DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

#: How long Docker may take to say which one it is or what it has, in seconds; it does so at once, or hangs.
ANSWER_SECONDS = 15.0
#: How long for what it makes, starts, stops or removes, in seconds.
DEED_SECONDS = float(docker.constants.DEFAULT_TIMEOUT_SECONDS)

#: How long it may say nothing of a download, in seconds; it tells of every bit of one that goes on.
PULL_SECONDS = 120.0

#: What Docker's library raises.
DOCKER_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)
#: What is behind it where Docker gives no answer, and what that means.
_NO_ANSWERS = (
    (
        (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError),
        "takes connections and does not answer in time",
    ),
    ((requests.exceptions.ConnectTimeout, TimeoutError), "takes no connection in time"),
    (
        (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead),
        "hung up before it had answered, as it does while it stops or starts",
    ),
)
#: What is behind it where what answers is no Docker.
_STRANGE = (http.client.BadStatusLine, ValueError, LookupError, TypeError, AttributeError)

_WITHOUT_DOCKER = "WORKQ_BROKER=node to do without Docker"
_FULL = "Docker's disk is full: `docker system df` shows of what, `docker system prune` makes room. Or set"


@contextlib.contextmanager
def client(seconds: float = DEED_SECONDS) -> Iterator[docker.DockerClient]:
    """A client for the Docker that `docker` itself would use, closed at the end.

    Args:
        seconds: How long it may take to answer what it is asked.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    docker_socket.adopt(os.environ)  # testcontainers knows nothing of DOCKER_CONTEXT, nor of a context's certificates
    try:
        _knock()
        found = DockerClient(timeout=min(seconds, ANSWER_SECONDS)).client
        found.api.timeout = seconds  # for what it is asked next
    except Exception as error:  # what Docker's settings may hold, its library meets with exceptions of any kind
        raise _unavailable(error) from error
    try:
        yield found
    finally:
        found.close()


def is_local() -> bool:
    """Return whether Docker answers on a socket of this machine."""
    return _host().startswith("unix:")


def _host() -> str:
    return get_docker_host() or "unix:///var/run/docker.sock"


def _knock() -> None:
    """Try Docker's socket ourselves, because Docker's library leaves its own open where nobody answers."""
    scheme, _, path = _host().partition("://")
    if scheme == "unix" and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(5.0)
            attempt.connect(path)


@contextlib.contextmanager
def ignored(status: int) -> Iterator[None]:
    """Ignore Docker's answer of this HTTP status."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code != status:
            raise


@contextlib.contextmanager
def translated(deed: str) -> Iterator[None]:
    """Turn Docker's errors into ours.

    Args:
        deed: What is tried inside, as it stands behind "could not".

    Raises:
        DockerUnavailableError: Docker can't be asked.
        BrokerStartError: Docker refused.
    """
    try:
        yield
    except docker.errors.APIError as error:
        reason = str(error.explanation or error).rstrip(".")
        mend = _FULL if _is_of_a_full_disk(reason) else "See what `docker info` says, or set"
        raise BrokerStartError(f"Docker could not {deed}: {reason}. {mend} {_WITHOUT_DOCKER}.") from error
    except Exception as error:
        strange = not isinstance(error, DOCKER_ERRORS)
        if strange and not _is_of_the_library(error):
            raise
        raise _unavailable(error, strange) from error


def _is_of_a_full_disk(reason: str) -> bool:
    return "no space left on device" in reason.lower()


def _is_of_the_library(error: BaseException) -> bool:
    """Return whether Docker's library failed by itself, as it does where what answers is no Docker it knows."""
    frames = traceback.walk_tb(error.__traceback__)
    module = [str(frame.f_globals.get("__name__")) for frame, _ in frames][-1]
    return module.partition(".")[0] in ("docker", "testcontainers")


def _unavailable(error: BaseException, strange: bool = False) -> DockerUnavailableError:
    """Return what to raise in the place of an error of Docker's library.

    Args:
        error: Which.
        strange: Whether the library could make nothing of what it was answered.
    """
    other_way = "Or set WORKQ_BROKER=node to do without Docker."
    kinds = {type(cause) for cause in _causes(error)}
    if PermissionError in kinds:
        return DockerSilentError(
            f"Docker runs, but you may not use it: permission denied on its socket. Join its group with "
            f"`sudo usermod -aG docker $USER` and log in again. {other_way}"
        )
    asked_for = _where("nothing answers at ")
    if FileNotFoundError in kinds and shutil.which("docker") is None:
        return DockerUnavailableError(
            f"Docker is not installed: there is no command 'docker' and no socket{asked_for}. See "
            f"https://docs.docker.com/get-docker/. {other_way}"
        )
    if kinds & {FileNotFoundError, ConnectionRefusedError}:
        return DockerUnavailableError(
            f"Docker does not run{asked_for}. Start Docker Desktop, or `sudo systemctl start docker`. {other_way}"
        )
    if said := _nothing_usable(error):
        return DockerSilentError(
            f"Docker {said}{_where('at ')}. Wait until it is up, or restart it: "
            f"Docker Desktop, or `sudo systemctl restart docker`. {other_way}"
        )
    settings = ", ".join(f"{name}={os.environ[name]}" for name in _SETTINGS if os.environ.get(name))
    among = f" with {settings}" if settings else ""
    return DockerSilentError(
        f"Docker can't be used{_where('')}{among}: {_words(error, strange)}. See what `docker info` says. {other_way}"
    )


def _nothing_usable(error: BaseException) -> str:
    """Return what Docker does in the place of answering, ``""`` where it does answer."""
    return next((what for kinds, what in _NO_ANSWERS if any(isinstance(each, kinds) for each in _causes(error))), "")


def _words(error: BaseException, strange: bool) -> str:
    words = without_login(str(error)).rstrip(".")
    behind = any(isinstance(each, _STRANGE) for each in list(_causes(error))[1:])
    if strange or behind or isinstance(error, requests.exceptions.JSONDecodeError):
        return f"what answers there does not answer as Docker does ({words or type(error).__name__})"
    return words


def _where(what: str) -> str:
    """Say where Docker was looked for, and what is known of that place, if it is nowhere usual."""
    place = docker_socket.docker_place(os.environ)
    if not place.named_by:
        return ""
    return f" ({what}{without_login(place.host)}, which {place.named_by} names)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that are wrapped in it, which requests and urllib3 do in their arguments."""
    yield error
    inner = [argument for argument in error.args if isinstance(argument, BaseException)]
    for wrapped in (error.__cause__, *inner):
        if wrapped is not None:
            yield from _causes(wrapped)


# -- images ----------------------------------------------------------------------------------------------


def has_image(image: str) -> bool:
    """Return whether an image is on this machine, so that nothing need be downloaded.

    Raises:
        DockerUnavailableError: Docker can't be asked.
    """
    with translated("look for an image"), client(ANSWER_SECONDS) as found:
        return _is_here(found, full_name(image))


def full_name(image: str) -> str:
    """Return the image's name with the registry that testcontainers is told to put before it."""
    return testcontainers_config.hub_image_name_prefix + image


def _is_here(found: docker.DockerClient, image: str) -> bool:
    try:
        found.images.get(image)
    except docker.errors.ImageNotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code != http.HTTPStatus.BAD_REQUEST:
            raise
        raise _no_image(image, str(error.explanation)) from error  # its name is none
    return True


def pull_if_missing(found: docker.DockerClient, image: str, progress: Progress) -> None:
    """Pull an image that is not here.

    Raises:
        ImageUnavailableError: It can't be pulled.
    """
    if not _is_here(found, image):
        _pull(found, image, progress)


def _pull(found: docker.DockerClient, image: str, progress: Progress) -> None:
    """Pull an image, telling how many bytes of its layers are here."""
    repository, tag = docker.utils.parse_repository_tag(image)
    found.api.timeout = DEED_SECONDS
    progress(f"Pulling the image {image}")
    layers: dict[str, tuple[int, int]] = {}
    try:
        for line in _said_soon(lambda: found.api.pull(repository, tag=tag or "latest", stream=True, decode=True)):
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
    except DOCKER_ERRORS as error:
        silence = _nothing_usable(error)
        reason = f"Docker {silence}" if silence else getattr(error, "explanation", None) or str(error)
        raise _no_image(image, reason) from error


def _said_soon(ask: Callable[[], Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield what Docker says bit by bit, for which its library would wait for ever.

    Raises:
        requests.exceptions.ReadTimeout: It says nothing for `PULL_SECONDS`.
    """
    said: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()

    def listen() -> None:
        end: Exception | None = None
        try:
            for each in ask():
                said.put(each)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            end = error
        said.put(end)

    threading.Thread(target=listen, name="Docker's pull", daemon=True).start()
    while True:
        try:
            each = said.get(timeout=PULL_SECONDS)
        except queue.Empty:
            raise requests.exceptions.ReadTimeout(f"nothing was said for {PULL_SECONDS:.0f} s") from None
        if each is None:
            return
        if isinstance(each, Exception):
            raise each
        yield each


def _no_image(image: str, reason: str) -> ImageUnavailableError:
    mend = _FULL if _is_of_a_full_disk(reason) else "Look at its name and at the network,"
    return ImageUnavailableError(
        f"The image {image!r} is not on this machine and can't be pulled: {reason.rstrip('.')}. {mend} set "
        f"WORKQ_RABBITMQ_IMAGE to an image that is here (see `docker images`), or set {_WITHOUT_DOCKER}."
    )
