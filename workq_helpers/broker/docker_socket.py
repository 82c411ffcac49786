"""Where Docker is, as `docker` itself would look, and whether it is worth asking; without importing its client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workq_helpers.errors import DockerUnavailableError
from workq_helpers.text import without_login

__all__ = ["DockerPlace", "adopt", "docker_place", "why_unavailable"]

#: The socket of the context `default`.
_DEFAULT_SOCKET = "/var/run/docker.sock"

#: Where Docker Desktop, Colima, Rancher Desktop, OrbStack, Docker without root and podman listen. `docker` looks at
#: none of them by itself: a context or DOCKER_HOST names them.
_HOME_SOCKETS = (
    ".docker/run/docker.sock",
    ".docker/desktop/docker.sock",
    ".colima/default/docker.sock",
    ".rd/docker.sock",
    ".orbstack/run/docker.sock",
)
_RUNTIME_SOCKETS = ("docker.sock", "podman/podman.sock")

#: How what else there is listens as Docker does.
_PODMAN = {
    "linux": ", or have podman listen in its place: systemctl --user enable --now podman.socket",
    "darwin": ", or start podman's machine in its place: podman machine start",
}

_PROPERTIES = ".testcontainers.properties"


@dataclass(frozen=True)
class DockerPlace:
    """Where Docker is.

    Attributes:
        host: Its address, such as ``"unix:///var/run/docker.sock"``.
        named_by: What names it, such as ``"the Docker context 'colima'"``; ``""`` where nothing does.
        settings: What `docker` has in its environment for that address.
    """

    host: str
    named_by: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def socket(self) -> Path | None:
        """The path of its socket, where it is on this machine."""
        scheme, _, path = self.host.partition("://")
        return Path(path) if scheme == "unix" else None


_adopted: DockerPlace | None = None


def docker_place(environ: Mapping[str, str]) -> DockerPlace:
    """Return where `docker` would look: DOCKER_HOST, else DOCKER_CONTEXT, else what `docker context use` chose.

    Raises:
        DockerUnavailableError: The context does not exist, or names no Docker.
    """
    if _adopted is not None and environ.get("DOCKER_HOST") == _adopted.host:
        return _adopted
    if host := _of_testcontainers(environ):
        return DockerPlace(host, f"tc.host in ~/{_PROPERTIES}")
    if host := environ.get("DOCKER_HOST", ""):
        return DockerPlace(host, "DOCKER_HOST")
    if context := environ.get("DOCKER_CONTEXT", ""):
        return _of_context(context, "DOCKER_CONTEXT", environ)
    chosen = _json(_config_folder(environ) / "config.json").get("currentContext")
    if isinstance(chosen, str) and chosen:
        return _of_context(chosen, "`docker context use`", environ)
    return DockerPlace(f"unix://{_DEFAULT_SOCKET}")


def adopt(environ: MutableMapping[str, str]) -> None:
    """Tell Docker's library in its own words where `docker` would look, for it knows less of contexts.

    Raises:
        DockerUnavailableError: As for `docker_place`.
    """
    global _adopted
    place = docker_place(environ)
    if place.settings:
        # So that a later message still says who named the place.
        _adopted = place
        environ.update(place.settings)


def why_unavailable(environ: Mapping[str, str]) -> str:
    """Return in a sentence why Docker can't be there, or ``""`` if it may be."""
    try:
        place = docker_place(environ)
    except DockerUnavailableError as error:
        return str(error)
    named = f", which {place.named_by} names" if place.named_by else ""
    if place.socket is None:
        return _why_not_reached(place, named)
    if _exists(place.socket):
        return ""
    if others := [path for path in _other_sockets(environ) if _exists(path)]:
        return (
            f"Docker does not run at {place.host}{named}; there is a socket at {others[0]}. If that is yours "
            f"to use: export DOCKER_HOST=unix://{others[0]}"
        )
    or_else = _PODMAN.get(sys.platform, ".") if _has_podman(place, environ) else "."
    if place.named_by or shutil.which("docker", path=environ.get("PATH")):
        return f"Docker does not run: there is no socket at {place.socket}{named}. Start Docker{or_else}"
    return (
        f"Docker is not installed: there is neither a socket at {place.socket} nor a command of it. Install it{or_else}"
    )


def _has_podman(place: DockerPlace, environ: Mapping[str, str]) -> bool:
    """Whether podman is meant, or there: its `docker` is found, and its socket is not before it is asked for."""
    named = place.socket is not None and place.socket.name == "podman.sock"
    return named or shutil.which("podman", path=environ.get("PATH")) is not None


def _why_not_reached(place: DockerPlace, named: str) -> str:
    """Say why a Docker that listens on the network can't be used: containers publish their ports on its own machine."""
    address = urlsplit(place.host)
    try:
        machine = address.hostname
        if not machine or (address.scheme != "ssh" and _is_here(machine)):
            return ""
    except ValueError:
        return ""  # no address: asking says so
    except OSError as error:
        return f"Docker can't be reached at {without_login(place.host)}{named}: {error.strerror}. Correct that address."
    where = "is reached over SSH, as on another machine" if address.scheme == "ssh" else "is on another machine"
    return (
        f"Docker at {without_login(place.host)}{named}, {where}, and a lesson reaches a container on its "
        "own alone. Choose a Docker of this machine (`docker context use default`, or unset DOCKER_HOST), or set "
        "WORKQ_BROKER_URL to a RabbitMQ that runs there."
    )


def _is_here(machine: str) -> bool:
    """Whether a name or address is one of this machine's: only those can be listened at."""
    for family, kind, protocol, _, address in socket.getaddrinfo(machine, 0, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe, contextlib.suppress(OSError):
            probe.bind(address)
            return True
    return False


def _of_testcontainers(environ: Mapping[str, str]) -> str:
    """Return what testcontainers' own file names, which goes before everything else there."""
    try:
        lines = (_home(environ) / _PROPERTIES).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    settings = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return settings.get("tc.host", "")


def _of_context(name: str, named_by: str, environ: Mapping[str, str]) -> DockerPlace:
    """Return the place that a context names; ``default`` is the one without a file."""
    if name == "default":
        return DockerPlace(f"unix://{_DEFAULT_SOCKET}")
    identity = hashlib.sha256(name.encode()).hexdigest()
    contexts = _config_folder(environ) / "contexts"
    description = contexts / "meta" / identity / "meta.json"
    if not _exists(description):
        mend = "unset it" if named_by == "DOCKER_CONTEXT" else "choose another with `docker context use default`"
        raise DockerUnavailableError(
            f"There is no Docker context {name!r}, which {named_by} names: `docker context ls` lists those that there "
            f"are; {mend}, or make it."
        )
    endpoint = _json(description).get("Endpoints", {}).get("docker", {})
    host = endpoint.get("Host", "") if isinstance(endpoint, dict) else ""
    if not host:
        raise DockerUnavailableError(
            f"The Docker context {name!r}, which {named_by} names, says of no Docker where it is ({description}). "
            "Choose another: `docker context ls` lists them."
        )
    settings = {"DOCKER_HOST": host}
    certificates = contexts / "tls" / identity / "docker"
    if _exists(certificates / "cert.pem"):
        settings["DOCKER_CERT_PATH"] = str(certificates)
        settings["DOCKER_TLS_VERIFY"] = "" if endpoint.get("SkipTLSVerify") else "1"
    return DockerPlace(host, f"the Docker context {name!r}", tuple(settings.items()))


def _config_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or _home(environ) / ".docker")


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/")


def _json(file: Path) -> dict[str, Any]:
    """Return what a file of Docker's holds; nothing where it can't be read, as `docker` has it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _other_sockets(environ: Mapping[str, str]) -> list[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    return [
        Path(_DEFAULT_SOCKET),
        *(_home(environ) / path for path in _HOME_SOCKETS),
        *(Path(runtime) / path for path in _RUNTIME_SOCKETS if runtime),
    ]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a folder closed to us: no Docker of ours is in it
