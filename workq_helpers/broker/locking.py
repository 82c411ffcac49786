"""`locked`: one process of this user at a time decides about the course broker."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workq_helpers.broker.folders import Folders
from workq_helpers.errors import BrokerStartError
from workq_helpers.interrupts import deferred
from workq_helpers.private_folders import make_private, temporary_folder, unusable

__all__ = ["LOCK_SECONDS", "lock_path", "locked"]

#: How long to wait for the lock, in seconds: longer than any broker takes to be put away.
LOCK_SECONDS = 90.0

#: How often to ask for it, in seconds; it is mostly held for some milliseconds.
_POLL_SECONDS = 0.01


def lock_path(wanted: Path) -> Path:
    """Return where to lock instead of `wanted`, if its file system has no locks, as some over a network; else `wanted`.

    Without them one would wait for ever. All processes of one user on one machine are told the same place.

    Raises:
        BrokerStartError: There is no place for a lock.
        OSError: The folder can't be written to.
    """
    with tempfile.TemporaryFile(dir=wanted.parent) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            folder = Path(temporary_folder()) / f"workq-locks-{os.geteuid()}"
            make_private(folder)
            return folder / hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return wanted


@contextlib.contextmanager
def locked(folders: Folders, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of the user's runtime folder, which is made if need be.

    Raises:
        BrokerStartError: Somebody else holds it for longer than that, or the folder can't be used.
    """
    with deferred():
        import filelock  # noqa: PLC0415 - a supervisor's start would wait for it, and takes no lock

    while True:
        folders.make_runtime()
        try:
            path = lock_path(folders.lock)
            lock = filelock.FileLock(path, timeout=timeout, mode=0o600)
            lock.acquire(poll_interval=_POLL_SECONDS)
            break
        except FileNotFoundError:
            continue  # whoever had it before removed the folder with it
        except filelock.Timeout as error:
            raise BrokerStartError(
                f"Another process has been starting or stopping the course broker for {timeout:.0f} s (it holds "
                f"{folders.lock}). Wait for it, or end it and try again."
            ) from error
        except OSError as error:
            raise unusable(folders.runtime, error) from error
    try:
        yield
    finally:
        lock.release()
