"""`Wire`: one JSON object a line over a Unix socket, as keeper and lease holders speak to each other."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

__all__ = ["Message", "Wire"]

#: One line on the wire.
Message = dict[str, Any]


class Wire:
    """One end of a connection; any thread may send, one thread at a time receives.

    Args:
        sock: A connected stream socket, which the wire owns from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lines = sock.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message; raises OSError when the other end is gone."""
        line = json.dumps(message).encode() + b"\n"
        with self._sending:
            self._socket.sendall(line)

    def receive(self) -> Message | None:
        """Return the next message, or ``None`` once the other end is gone, however it went."""
        try:
            line = self._lines.readline()
        except (OSError, ValueError):  # ValueError: closed by another thread of ours
            return None
        if not line.endswith(b"\n"):
            return None  # nothing, or cut off in the middle
        message = json.loads(line)
        return message if isinstance(message, dict) else None

    def hang_up(self) -> None:
        """End the connection for both ends and wake whoever receives; `close` still has to follow."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end; idempotent. Not while another thread is in `receive`: hang up and join it first."""
        self._lines.close()
        self._socket.close()

    def fileno(self) -> int:
        """Return the socket's file descriptor, -1 when closed."""
        return self._socket.fileno()
