"""`Proxy`: a TCP proxy that breaks connections in the ways in which networks do."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections import deque

__all__ = ["Proxy"]

_CHUNK_BYTES = 65_536
#: What may wait in the proxy for a side that does not read.
_MOST_BYTES = 1_000_000
_TURN_SECONDS = 0.005
#: Closing with this sends a reset, not a goodbye.
_RESET = struct.pack("ii", 1, 0)


class _Side:
    """One socket of a connection, and what is to be sent on it: bytes, and when."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.mute = False
        self.pending: deque[tuple[float, bytes]] = deque()
        self.other: _Side

    def held(self) -> int:
        return sum(len(data) for _, data in self.pending)


class Proxy:
    """Passes connections on to a broker, from one thread of its own.

    Args:
        host: Where the broker is.
        port: Its AMQP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        #: Where clients connect to.
        self.port: int = self._listener.getsockname()[1]
        self._sides: list[_Side] = []
        self._lock = threading.Lock()
        self._delay_seconds = 0.0
        #: How many chunks of bytes were held back.
        self.held_back = 0
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"proxy {self.port}", daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """Reset every connection, to both sides; return how many there were."""
        with self._lock:
            sides = list(self._sides)
            for side in sides:
                self._drop(side)
        return len({frozenset((side, side.other)) for side in sides})

    def delay(self, seconds: float) -> None:
        """Hold back all that comes from now on, for so long."""
        self._delay_seconds = seconds

    def half_open(self, silent: str) -> int:
        """End every connection on one side, and say nothing on the other, as when a router forgets it.

        Args:
            silent: "client" or "broker": who is not told.

        Returns:
            How many connections are half-open now that were whole before.
        """
        with self._lock:
            before = sum(side.mute for side in self._sides)
            for side in list(self._sides):
                is_client = side.sock.getsockname()[1] == self.port
                if is_client == (silent == "client"):
                    side.mute = True
                    side.pending.clear()
                else:
                    self._close(side)
            return sum(side.mute for side in self._sides) - before

    def close(self) -> None:
        """End every connection and the proxy."""
        self._over = True
        self._thread.join()
        self._listener.close()
        self.cut()

    def _run(self) -> None:
        self._listener.setblocking(False)
        while not self._over:
            with self._lock:
                self._flush()
                waiting = [side for side in self._sides if side.mute or side.other.held() < _MOST_BYTES]
                with selectors.DefaultSelector() as selector:
                    selector.register(self._listener, selectors.EVENT_READ)
                    for side in waiting:
                        selector.register(side.sock, selectors.EVENT_READ, side)
                    for key, _ in selector.select(0):
                        if key.data is None:
                            self._accept()
                        elif key.data in self._sides:
                            self._read(key.data)
            time.sleep(_TURN_SECONDS if not any(side.pending for side in self._sides) else 0.001)

    def _accept(self) -> None:
        client = self._listener.accept()[0]
        try:
            broker = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        sides = _Side(client), _Side(broker)
        sides[0].other, sides[1].other = sides[1], sides[0]
        for side in sides:
            side.sock.setblocking(False)
            side.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sides += sides

    def _read(self, side: _Side) -> None:
        try:
            data = side.sock.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # What it said before it went still arrives; the end of the stream is noted as nothing to send.
            self._close(side)
            if side.mute:
                return
        if not side.mute:
            self.held_back += self._delay_seconds > 0
            side.other.pending.append((time.monotonic() + self._delay_seconds, data))

    def _flush(self) -> None:
        now = time.monotonic()
        for side in list(self._sides):
            while side.pending and side.pending[0][0] <= now:
                due, data = side.pending[0]
                try:
                    if not data:
                        self._close(side)
                        break
                    sent = side.sock.send(data)
                except BlockingIOError:
                    break
                except OSError:
                    self._drop(side)
                    break
                side.pending.popleft()
                if sent < len(data):
                    side.pending.appendleft((due, data[sent:]))
                    break

    def _drop(self, side: _Side) -> None:
        for one in (side, side.other):
            if one in self._sides:
                with contextlib.suppress(OSError):
                    one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._close(one)

    def _close(self, side: _Side) -> None:
        if side in self._sides:
            self._sides.remove(side)
            side.pending.clear()
            side.sock.close()
