"""Folders that nobody else gets into, and what keeps something from being kept in one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from workq_helpers.errors import BrokerStartError

__all__ = [
    "Obstacle",
    "is_full",
    "is_private",
    "make_private",
    "obstacle_in",
    "reason_of",
    "refuse_foreign",
    "refuse_what_is_not_private",
    "target_of",
    "temporary_folder",
    "unusable",
    "why_not_writable",
]

#: What is to be said where not even its owner gets into what is made.
_CLOSED = "the umask closes what you make to yourself; `umask 022` sets another"

#: What must fit into a folder that is used, in bytes; the files that come first are small.
_ROOM_BYTES = 100_000


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


def target_of(path: Path) -> Path:
    """Return where a link of ours leads, or the path itself where it is none."""
    return path.readlink() if os.path.islink(path) else path  # noqa: PTH114 - False in a folder closed to us


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
    except OSError as error:
        raise unusable(folder, error) from error
    refuse_what_is_not_private(folder)


def refuse_what_is_not_private(folder: Path) -> None:
    """Raise where `folder` can't be made private, as far as can be seen without doing so; no error if there is none.

    Raises:
        BrokerStartError: It is something else, or belongs to somebody else; or something in it does.
    """
    try:
        planted = None if refuse_foreign(folder) is None else _foreign(folder)
    except OSError as error:
        raise unusable(folder, error) from error
    if planted is not None:
        raise BrokerStartError(
            f"The folder {folder} was open to other users: {planted!r} in it is not yours. Delete the folder, or set "
            "WORKQ_RUNTIME_DIR to another."
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
