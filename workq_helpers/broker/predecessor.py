"""A broker that version 0.1 of the course started in the same folder: respected while it runs, put away when dead."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from workq_helpers.broker.folders import Folders, refuse_foreign
from workq_helpers.errors import StateVersionError

__all__ = ["refuse", "stop", "sweep"]

_STATE = "state.json"
_FILES = (_STATE, "keeper.sock", "keeper.log", "lock")
#: How long one may take to end, in seconds.
_STOP_SECONDS = 60.0


def refuse(folders: Folders) -> None:
    """Let no other broker be started beside one that runs.

    Raises:
        StateVersionError: One runs.
    """
    found = _connect(folders)
    if found is not None:
        found.close()
        raise StateVersionError(
            f"A course broker that another version of the course started runs in {folders.runtime}. "
            "End it with `workq broker stop` (its notebooks lose it), and try again."
        )


def stop(folders: Folders) -> bool:
    """End one that runs; return whether one did."""
    found = _connect(folders)
    if found is None:
        return False
    with found, contextlib.suppress(OSError):
        found.settimeout(_STOP_SECONDS)
        found.sendall(b'{"op": "stop", "id": 1}\n')
        while found.recv(65_536):
            pass  # it hangs up when it has put everything away
    return True


def sweep(folders: Folders) -> None:
    """Delete the files of one that is dead.

    Raises:
        StateVersionError: It is not.
    """
    if _socket_path(folders) is not None:
        refuse(folders)
        for name in _FILES:
            (folders.runtime / name).unlink(missing_ok=True)


def _connect(folders: Folders) -> socket.socket | None:
    path = _socket_path(folders)
    if path is None:
        return None
    refuse_foreign(path.parent)
    found = socket.socket(socket.AF_UNIX)
    try:
        found.connect(str(path))
    except OSError:
        found.close()
        return None
    return found


def _socket_path(folders: Folders) -> Path | None:
    """Return where one listens, or listened, ``None`` where there is no state file of one."""
    try:
        state = json.loads((folders.runtime / _STATE).read_text())
        return Path(state["socket"]) if state["version"] == 3 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
