"""`Folders`: where the course keeps what it needs while a broker runs, and what it may keep for longer."""

from __future__ import annotations

import contextlib
import errno
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
from typing import NamedTuple

from workq_helpers.errors import BrokerStartError, InvalidArgumentError
from workq_helpers.interrupts import deferred

__all__ = [
    "Folders",
    "Obstacle",
    "is_full",
    "is_private",
    "make_private",
    "named_folder",
    "obstacle_in",
    "reason_of",
    "refuse_foreign",
    "remove_with_its_target",
    "temporary_folder",
    "unusable",
    "why_not_writable",
]

#: The shortest limit of a Unix socket's path (macOS has 104 bytes, Linux 108, both with a final zero).
LONGEST_SOCKET_PATH = 100

#: Names that nobody else gives anything, since the folder may be one that holds more than a broker's files.
_SOCKET, _MADE = "workq.sock", "workq.made"
_NODE, _CONTAINER = re.compile(r"broker-[0-9a-f]{8}"), re.compile(r"workq-rabbitmq-[0-9a-f]{12}")
#: What is too large or has too long a name goes into a temporary folder so called, to which a link leads.
_ELSEWHERE = "workq-"

#: A runtime folder is often a small file system in memory; a node wants more room than this for its data.
ROOM_FOR_A_NODE = 300_000_000

#: What is to be said where not even its owner gets into what is made.
_CLOSED = "the umask closes what you make to yourself; `umask 022` sets another"

#: What must fit into a folder that is used, in bytes; the files that come first are small.
_ROOM_BYTES = 100_000


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
        return _real(self.runtime / _SOCKET)

    def own_socket(self) -> Path:
        """Return where the supervisor listens, if nobody else could listen there.

        Raises:
            BrokerStartError: The folder that it is in belongs to somebody else.
        """
        path = self.socket
        for folder in {self.runtime, path.parent}:
            refuse_foreign(folder)
        return path

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
        remove_with_its_target(self.runtime / _SOCKET)

    def make_socket_path(self) -> Path:
        """Return a path for the supervisor's socket, in a new private folder where the runtime folder's is too long."""
        path = self.runtime / _SOCKET
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


def temporary_folder() -> str:
    """Return the folder for temporary files: TMPDIR, else the system's.

    Raises:
        BrokerStartError: Nothing can be kept in any.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise BrokerStartError(
            f"There is no folder for temporary files ({error.strerror or error}). Free some room on the disk, or set "
            "TMPDIR to a folder that you may write to."
        ) from error


def _real(path: Path) -> Path:
    return path.readlink() if os.path.islink(path) else path  # noqa: PTH114 - False in a folder closed to us


def _linked(link: Path, temporary: str) -> Path:
    """Return a path in a new private folder, to which a link leads, so that it is found and removed."""
    target = Path(tempfile.mkdtemp(prefix=_ELSEWHERE, dir=temporary)) / link.name
    link.symlink_to(target)
    return target


def remove_with_its_target(path: Path) -> None:
    """Delete a socket or a folder of ours, wherever it really is; no error if it is gone."""
    target = _real(path)
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):
        target.unlink()
    if target != path:
        if target.parent.name.startswith(_ELSEWHERE):
            shutil.rmtree(target.parent, ignore_errors=True)
        path.unlink(missing_ok=True)


def make_private(folder: Path, *, keep_mode: bool = False) -> None:
    """Make `folder` if need be, readable by this user alone, and so the folders above it that were missing.

    Args:
        folder: Which.
        keep_mode: Whether one that is there already stays as open as it is.

    Raises:
        BrokerStartError: It can't be made, is something else, or belongs to somebody else; or something in it does.
    """
    try:
        _make_missing(folder)
        found = refuse_foreign(folder)
        if found is not None and found.st_mode & 0o077 and not keep_mode:
            folder.chmod(0o700)
        planted = _foreign(folder)
    except OSError as error:
        raise unusable(folder, error) from error
    if planted is not None:
        raise BrokerStartError(
            f"The folder {folder} was open to other users: {planted!r} in it is not yours. Delete the folder, or set "
            "WORKQ_RUNTIME_DIR to another."
        )


class Obstacle(NamedTuple):
    """What keeps something from being written.

    Attributes:
        reason: What was seen.
        mend: What removes it, an order without its full stop; ``""`` where another folder is what helps.
    """

    reason: str
    mend: str = ""


def obstacle_in(folder: Path) -> Obstacle | None:
    """Return what keeps anything from being written to a folder, there or yet to be made."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            if not os.fstat(file.fileno()).st_mode & stat.S_IWUSR:
                return Obstacle(_CLOSED, "Set another umask")
            file.write(bytes(_ROOM_BYTES))
            file.flush()
    except OSError as error:
        return Obstacle(reason_of(error, there), "Free some room" if is_full(error) else "")
    return None


def why_not_writable(folder: Path) -> str:
    """Return why nothing can be kept in a folder, there or yet to be made; ``""`` if something can."""
    found = obstacle_in(folder)
    return found.reason if found else ""


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: OSError, folder: Path) -> str:
    """Return in the system's words why something could not be kept in a folder, and what is full."""
    reason = error.strerror or type(error).__name__
    if not is_full(error):
        return reason
    with contextlib.suppress(OSError):
        files = os.statvfs(next(each for each in (folder, *folder.parents) if each.exists()))
        if files.f_files and not files.f_favail:
            return f"{reason}: its file system has no inode left for another file, as `df -i` shows"
    return reason


def unusable(folder: Path, error: OSError) -> BrokerStartError:
    """Return what to raise where nothing can be kept in a runtime folder."""
    reason = reason_of(error, folder)
    if is_full(error):
        return BrokerStartError(
            f"There is no room left in {folder} ({reason}). Free some, or set WORKQ_RUNTIME_DIR to a folder on another "
            "disk."
        )
    return BrokerStartError(
        f"The folder {folder} can't be used: {reason}. Set WORKQ_RUNTIME_DIR to a folder that you may write to."
    )


def refuse_foreign(folder: Path) -> os.stat_result | None:
    """Return how a folder of this user is, ``None`` if there is none; whatever is in one of somebody else is not ours.

    Raises:
        BrokerStartError: It is something else, such as a link, or belongs to somebody else; or a folder above it does,
            who could put another in its place.
    """
    # Whoever owns the root rules the machine; in a container that need not be user 0.
    trusted = {os.geteuid(), Path(folder.anchor).stat().st_uid}
    real = Path(os.path.realpath(folder.parent))  # which takes a loop of links as it is
    for above in (*folder.parents, real, *real.parents):
        with contextlib.suppress(OSError):
            if (owner := above.lstat().st_uid) not in trusted:
                raise BrokerStartError(
                    f"The folder {folder} is below {above}, which belongs to user {owner}: they could replace it. "
                    "Set WORKQ_RUNTIME_DIR to a folder of your own."
                )
    try:
        found = folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # below a folder closed to us, say
        raise unusable(folder, error) from error
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        return found
    raise BrokerStartError(
        f"The folder {folder} is not a folder of yours (it belongs to user {found.st_uid}). "
        "Set WORKQ_RUNTIME_DIR to a folder of your own."
    )


def is_private(found: os.stat_result) -> bool:
    """Return whether something belongs to this user, and nobody else may write to it."""
    writable = not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o022  # a link's own mode means nothing
    return found.st_uid == os.geteuid() and not writable


def _make_missing(folder: Path) -> None:
    """Make a folder and those above it that are missing, private all of them whatever the umask."""
    for missing in [each for each in reversed([folder, *folder.parents]) if not os.path.lexists(each)]:
        with contextlib.suppress(FileExistsError):
            missing.mkdir(mode=0o700)
            if missing.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:
                missing.rmdir()
                raise BrokerStartError(f"The folder {missing} can't be used: {_CLOSED}.")


def _foreign(folder: Path) -> str | None:
    """Return the name of something in a folder that is not this user's, or ``None``."""
    with os.scandir(folder) as entries:
        theirs = (each for each in entries if each.stat(follow_symlinks=False).st_uid != os.geteuid())
        return next((each.name for each in theirs), None)


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
