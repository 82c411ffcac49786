"""`locked`: one process of this user at a time decides about the course broker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from workq_helpers.broker.folders import Folders
from workq_helpers.errors import BrokerStartError

__all__ = ["LOCK_SECONDS", "locked"]

#: How long to wait for the lock, in seconds: longer than any broker takes to be put away.
LOCK_SECONDS = 90.0

#: How often to ask for it, in seconds; it is mostly held for some milliseconds.
_POLL_SECONDS = 0.01


@contextlib.contextmanager
def locked(folders: Folders, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of the user's runtime folder, which is made if need be.

    Args:
        folders: Whose lock.
        timeout: How long to wait for it, in seconds.

    Raises:
        BrokerStartError: Somebody else holds it for longer than that, or the folder can't be used.
    """
    import filelock

    while True:
        folders.make_runtime()
        lock = filelock.FileLock(folders.lock, timeout=timeout, mode=0o600, poll_interval=_POLL_SECONDS)
        try:
            lock.acquire()
            break
        except FileNotFoundError:
            continue  # whoever had it before removed the folder with it
        except filelock.Timeout as error:
            raise BrokerStartError(
                f"Another process has been starting or stopping the course broker for {timeout:.0f} s (it holds "
                f"{folders.lock}). Wait for it, or end it and try again."
            ) from error
        except OSError as error:
            raise BrokerStartError(
                f"The lock {folders.lock} can't be used: {error.strerror}. "
                "Set WORKQ_RUNTIME_DIR to a folder that you may write to."
            ) from error
    try:
        yield
    finally:
        lock.release()
