"""`Folders`: where the course keeps what it needs while a broker runs, and what it may keep for longer."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from workq_helpers.errors import BrokerStartError, InvalidArgumentError
from workq_helpers.interrupts import deferred
from workq_helpers.private_folders import (
    is_private,
    make_private,
    refuse_foreign,
    target_of,
    temporary_folder,
    unusable,
)

__all__ = ["SOCKET", "Folders", "named_folder", "remove_with_its_target"]

#: The shortest limit of a Unix socket's path (macOS has 104 bytes, Linux 108, both with a final zero).
LONGEST_SOCKET_PATH = 100

#: Names that nobody else gives anything, since the folder may be one that holds more than a broker's files.
SOCKET, _MADE = "workq.sock", "workq.made"
_NODE, _CONTAINER = re.compile(r"broker-[0-9a-f]{8}"), re.compile(r"workq-rabbitmq-[0-9a-f]{12}")
#: What is too large or has too long a name goes into a temporary folder so called, to which a link leads.
_ELSEWHERE = "workq-"

#: A runtime folder is often a small file system in memory; a node wants more room than this for its data.
ROOM_FOR_A_NODE = 300_000_000


@dataclass(frozen=True)
class Folders:
    """The folders of one user.

    Attributes:
        runtime: Lock, socket, log and data of the course broker that runs; gone with it.
        cache: RabbitMQ's unpacked packages; may be deleted whenever no broker runs.
        cluster: Whether they are those of the course's cluster, which has a supervisor of its own.
    """

    runtime: Path
    cache: Path
    cluster: bool = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Folders:
        """Return the folders that ``WORKQ_RUNTIME_DIR`` and ``WORKQ_CACHE_DIR`` name, or the system's usual ones.

        Raises:
            InvalidArgumentError: One of the variables holds a relative path.
            BrokerStartError: There is no runtime folder, and no temporary one either.
        """
        runtime, cache = named_folder(environ, "WORKQ_RUNTIME_DIR"), named_folder(environ, "WORKQ_CACHE_DIR")
        return cls(runtime or _usual_runtime(environ), cache or _usual_cache())

    def of_the_cluster(self) -> Folders:
        """Return the folders of the cluster of the user whose broker has these."""
        return Folders(self.runtime.with_name(f"{self.runtime.name}-cluster"), self.cache, cluster=True)

    @property
    def lock(self) -> Path:
        """Held while somebody decides what to start, and while a broker is put away."""
        return self.runtime / "workq.lock"

    @property
    def log(self) -> Path:
        """What the supervisor did, and why it failed."""
        return self.runtime / "workq.log"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        return target_of(self.runtime / SOCKET)

    @property
    def nodes(self) -> list[Path]:
        """The folders of private nodes, or links to them: one where a node runs, or has died with its supervisor."""
        return self._ours(_NODE)

    @property
    def containers(self) -> list[Path]:
        """Empty files, each called like a container that Docker has, or may be making at this moment."""
        return self._ours(_CONTAINER)

    def _ours(self, name: re.Pattern[str]) -> list[Path]:
        try:
            return [path for path in self.runtime.iterdir() if name.fullmatch(path.name)]
        except OSError:
            return []

    def make_runtime(self) -> None:
        """Make the runtime folder, for this user alone; one that is there already stays as it is.

        Raises:
            BrokerStartError: It can't be made, belongs to somebody else, or others may write to it.
        """
        found = refuse_foreign(self.runtime)
        if found is not None and found.st_mode & 0o022:
            raise BrokerStartError(
                f"The folder {self.runtime} is open to other users (its mode is {stat.S_IMODE(found.st_mode):o}), who "
                f"could put something of theirs into it. Close it with `chmod go-w {self.runtime}`, or set "
                "WORKQ_RUNTIME_DIR to another."
            )
        make_private(self.runtime, keep_mode=True)
        if found is None:
            try:
                (self.runtime / _MADE).touch(mode=0o600)
            except OSError as error:
                raise unusable(self.runtime, error) from error

    def remove_runtime(self) -> None:
        """Delete log, socket and lock, and the folder if we made it and it holds nothing else; under the lock."""
        self.remove_socket()
        made = self.runtime / _MADE
        is_made = made.exists()
        for path in (self.log, made, self.lock):
            path.unlink(missing_ok=True)
        if is_made:
            with contextlib.suppress(OSError):
                self.runtime.rmdir()

    def remove_socket(self) -> None:
        """Delete the socket, at which nobody listens any more; no error if it is gone."""
        remove_with_its_target(self.runtime / SOCKET)

    def make_socket_path(self) -> Path:
        """Return a path for the supervisor's socket, in a new private folder where the runtime folder's is too long."""
        path = self.runtime / SOCKET
        return path if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH else _linked(path, _short_temporary_folder())

    def make_node_path(self) -> Path:
        """Return a path for a node's folder: in the runtime folder, or in a temporary one where that has more room."""
        path = self.runtime / f"broker-{secrets.token_hex(4)}"
        free, temporary = shutil.disk_usage(self.runtime).free, temporary_folder()
        if free >= ROOM_FOR_A_NODE or shutil.disk_usage(temporary).free <= free:
            return path
        return _linked(path, temporary)


def _usual_runtime(environ: Mapping[str, str]) -> Path:
    """Return the folder below the session's own runtime folder, or a temporary one where there is none to use.

    XDG_RUNTIME_DIR may name what is gone, as after `su` and in containers, or what is somebody else's.
    """
    if sys.platform == "darwin":
        return _platformdirs().user_runtime_path("workq", appauthor=False)
    for named in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"):
        folder = Path(named)
        if folder.is_absolute() and os.path.isdir(folder) and os.access(folder, os.W_OK) and is_private(folder.stat()):  # noqa: PTH112 - False for what is closed to us
            return folder / "workq"
    return Path(temporary_folder()) / f"workq-{os.geteuid()}"


def _usual_cache() -> Path:
    # A relative XDG_CACHE_HOME is to be ignored, says its specification; not every version of platformdirs does.
    usual = _platformdirs().user_cache_path("workq", appauthor=False)
    return usual if usual.is_absolute() else Path.home() / ".cache" / "workq"


def _platformdirs() -> ModuleType:
    with deferred():
        import platformdirs  # noqa: PLC0415 - a supervisor is told its folders, and its start would wait for this

    return platformdirs


def _linked(link: Path, temporary: str) -> Path:
    """Return a path in a new private folder, to which a link leads, so that it is found and removed."""
    target = Path(tempfile.mkdtemp(prefix=_ELSEWHERE, dir=temporary)) / link.name
    link.symlink_to(target)
    return target


def remove_with_its_target(path: Path) -> None:
    """Delete a socket or a folder of ours, wherever it really is; no error if it is gone."""
    target = target_of(path)
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):
        target.unlink()
    if target != path:
        if target.parent.name.startswith(_ELSEWHERE):
            shutil.rmtree(target.parent, ignore_errors=True)
        path.unlink(missing_ok=True)


def named_folder(environ: Mapping[str, str], variable: str) -> Path | None:
    """Return the folder that an environment variable names, if it is set.

    Raises:
        InvalidArgumentError: It holds a relative path.
    """
    value = environ.get(variable)
    if not value:
        return None
    path = os.path.expanduser(value)  # noqa: PTH111 - it leaves what is nobody's home as it is
    if not os.path.isabs(path):  # noqa: PTH117
        raise InvalidArgumentError(f"{variable} is {value!r}, which is relative. Give it a path that begins with /.")
    return Path(path)


def _short_temporary_folder() -> str:
    candidates = (temporary_folder(), "/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
    return min((folder for folder in candidates if os.access(folder, os.W_OK)), key=len, default=candidates[0])
