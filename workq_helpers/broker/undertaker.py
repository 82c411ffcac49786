"""The undertaker: a process beside the keeper, which puts away what the keeper left if it dies.

Users of the broker do the same, but a machine that is out of memory may kill them with the keeper. Then a container
would run on, and folders stay. A process that only waits takes next to nothing: it shares its memory with the keeper.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket

from workq_helpers.broker.folders import Folders
from workq_helpers.errors import WorkqError

__all__ = ["accompany"]

_log = logging.getLogger("workq.undertaker")


def accompany(folders: Folders, listener: socket.socket) -> None:
    """Start an undertaker for this process, which must have one thread alone; it ends soon after this process.

    Args:
        folders: Whose broker.
        listener: The keeper's; to the undertaker it is none, since a keeper lives as long as somebody listens.
    """
    reading, writing = os.pipe()  # the kernel closes the other end, however this process dies
    child = os.fork()
    if child:
        os.close(reading)
        os.waitpid(child, 0)
        return
    # Nobody's child, as the keeper itself: whoever ends the keeper with all its children does not end this one.
    if os.fork():
        os._exit(0)
    listener.close()
    os.close(writing)
    _mourn(folders, reading)


def _mourn(folders: Folders, keeper: int) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it puts everything away itself, and this ends with it
        os.read(keeper, 1)
        from workq_helpers.broker.lease import put_away_leftovers

        with contextlib.suppress(WorkqError, OSError):
            put_away_leftovers(folders)
    except Exception:  # noqa: BLE001 - nobody is left who could hear of it but the log
        _log.exception("what the keeper left could not be put away")
    finally:
        os._exit(0)
