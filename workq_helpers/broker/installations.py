"""`Installation`: a RabbitMQ server on this machine's disk, wherever its packager put it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from workq_helpers.rabbitmq.versions import OLDEST_VERSION

__all__ = ["Installation", "find_installations", "first_supported", "installation_in"]

# Where packagers put the server's own folder: the one that holds sbin, plugins and escript.
_HOMES = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*",  # Debian, Ubuntu, Fedora
    "/usr/lib64/rabbitmq/lib/rabbitmq_server-*",
    "/opt/homebrew/opt/rabbitmq",  # Homebrew on Apple silicon
    "/usr/local/opt/rabbitmq",  # Homebrew on Intel
    "/home/linuxbrew/.linuxbrew/opt/rabbitmq",
    "/opt/rabbitmq*",  # the generic tarball and the official image
    "/usr/local/rabbitmq*",
    "/usr/local/lib/rabbitmq*",
)

# Where to look for Erlang beside PATH, which is short in desktop sessions.
_MORE_PROGRAMS = ("/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin", "/usr/bin")


@dataclass(frozen=True)
class Installation:
    """A server that can be started as a private node.

    Attributes:
        home: The server's own folder.
        erlang: The folder that holds the programs ``erl`` and ``epmd``.
        version: The server's version.
        origin: ``"installed"`` or ``"unpacked packages"``.
    """

    home: Path
    erlang: Path
    version: Version
    origin: str

    @property
    def server_script(self) -> Path:
        """The script that starts the server; the wrapper in ``/usr/sbin`` insists on root or its own user."""
        return self.home / "sbin" / "rabbitmq-server"

    @property
    def supported(self) -> bool:
        """Whether the course works with this version."""
        return self.version >= OLDEST_VERSION


def find_installations(environ: Mapping[str, str]) -> list[Installation]:
    """Return the servers installed on this machine, those on ``PATH`` first, each once."""
    erlang = _find_erlang(environ)
    if erlang is None:
        return []
    found: dict[Path, Installation] = {}
    for home in _candidates(environ):
        real = home.resolve()
        if real not in found:
            installation = installation_in(home, erlang, "installed")
            if installation is not None:
                found[real] = installation
    return list(found.values())


def first_supported(environ: Mapping[str, str]) -> Installation | None:
    """Return the first server installed on this machine that the course works with, ``None`` if there is none."""
    return next((each for each in find_installations(environ) if each.supported), None)


def installation_in(home: Path, erlang: Path, origin: str) -> Installation | None:
    """Return the server in `home`, or ``None`` if there is none that can be started.

    Args:
        home: What may be a server's own folder.
        erlang: The folder of ``erl`` and ``epmd``.
        origin: Where it comes from, in a few words.
    """
    version = _version_of(home)
    if version is None or not os.access(home / "sbin" / "rabbitmq-server", os.X_OK):
        return None
    return Installation(home, erlang, version, origin)


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which("rabbitmq-server", path=_search_path(environ))
    if on_path:
        # Homebrew and tarballs link or run the script itself; Debian's is a wrapper, and has no plugins beside it.
        yield Path(on_path).resolve().parent.parent
    for pattern in _HOMES:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)


def _find_erlang(environ: Mapping[str, str]) -> Path | None:
    """Return a folder that holds both ``erl`` and ``epmd``: the one on PATH, or Erlang's own."""
    erl = shutil.which("erl", path=_search_path(environ))
    if erl is None:
        return None
    homes = [Path(erl).parent, Path(erl).resolve().parent]
    return next((home for home in homes if os.access(home / "epmd", os.X_OK)), None)


def _search_path(environ: Mapping[str, str]) -> str:
    return os.pathsep.join([environ.get("PATH", ""), "/usr/sbin", *_MORE_PROGRAMS])


def _version_of(home: Path) -> Version | None:
    """Read the version off the server's own plugin, the one name that every packager leaves alone."""
    for plugin in home.glob("plugins/rabbit-*"):
        numbers = re.fullmatch(r"rabbit-(\d+(?:\.\d+)+).*?(?:\.ez)?", plugin.name)
        if numbers:
            try:
                return Version(numbers[1])
            except InvalidVersion:
                continue
    return None
