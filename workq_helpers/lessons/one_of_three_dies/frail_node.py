"""`FrailNode`: an address that leads to a RabbitMQ and dies in the middle, as a node does for those connected to it."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from workq_helpers.broker.ports import LOOPBACK

__all__ = ["ASK_FOR_CONFIRMS", "CONFIRM", "PUBLISH", "FrailNode"]

#: AMQP's frames begin with their kind, their channel and their size, and end with one byte more; methods are kind 1
#: and begin with class and method, bodies are kind 3.
_HEAD = struct.Struct(">BHI")
_METHOD = struct.Struct(">HH")
_PROTOCOL_HEADER_LENGTH = 8
_BODY = 3
#: Who comes up turns so many clients away, or all for so many seconds: a right answer may pause as it likes.
_TURNED_AWAY, _TURNS_AWAY_SECONDS = 3, 3.0
PUBLISH, CONFIRM, ASK_FOR_CONFIRMS = (60, 40), (60, 80), (85, 10)


class FrailNode:
    """Listens on loopback and passes frames on, until it has seen enough of one kind; then nobody is there any more.

    Args:
        upstream: The address that it leads to.
        dies_at: The method in front of which it dies: that one is not passed on; ``None`` for one that lives.
        count: The how manieth of them.
        comes_after: It is still coming up, and turns its clients away, until these have died and for a while
            longer.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        dies_at: tuple[int, int] | None = None,
        count: int = 0,
        *,
        comes_after: Sequence[FrailNode] = (),
    ) -> None:
        #: How often each method came.
        self.seen: dict[tuple[int, int], int] = {}
        #: How often each body came.
        self.bodies: Counter[bytes] = Counter()
        #: How many clients have come to it, and how many it has let in.
        self.asked = self.clients = 0
        #: How many it has turned away since those died after which it comes.
        self.turned_away = 0
        self.dead = False
        self._comes_after = comes_after
        self._comes_seconds = math.inf
        self._upstream = upstream
        self._dies_at = dies_at
        self._count = count
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def die(self) -> None:
        """End every connection, and let nobody in any more; any thread may call this."""
        with self._lock:
            self.dead = True
            for each in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def close(self) -> None:
        """Die, and return when no thread is left."""
        self.die()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="workq frail node", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self._sockets.append(client)
                    if self.dead:
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    self.asked += 1
                    if not self._is_up():
                        client.shutdown(socket.SHUT_RDWR)
                        continue
                    self.clients += 1
                broker = socket.create_connection(self._upstream, timeout=10)
                broker.settimeout(None)
                with self._lock:
                    self._sockets.append(broker)
                self._start(self._pass_on, client, broker, _PROTOCOL_HEADER_LENGTH)
                self._start(self._pass_on, broker, client, 0)

    def _is_up(self) -> bool:
        if not self._comes_after or self.turned_away >= _TURNED_AWAY or time.monotonic() >= self._comes_seconds:
            return True
        if all(node.dead for node in self._comes_after):
            if not self.turned_away:
                self._comes_seconds = time.monotonic() + _TURNS_AWAY_SECONDS
            self.turned_away += 1
        return False

    def _pass_on(self, source: socket.socket, target: socket.socket, unframed: int) -> None:
        try:
            with source.makefile("rb") as stream:
                if unframed:
                    target.sendall(stream.read(unframed))
                for frame in _frames(stream.read):
                    if not self._lives_on(frame):
                        self.die()
                        return
                    target.sendall(frame)
        except OSError:
            return
        finally:
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _lives_on(self, frame: bytes) -> bool:
        """Take note of a frame, and say whether it is to be passed on."""
        if frame[0] == _BODY:
            self.bodies[frame[_HEAD.size : -1]] += 1
        if frame[0] != 1:
            return True
        method = _METHOD.unpack_from(frame, _HEAD.size)
        with self._lock:
            if self.dead:
                return False
            self.seen[method] = self.seen.get(method, 0) + 1
            return method != self._dies_at or self.seen[method] < self._count


def _frames(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while len(head := read(_HEAD.size)) == _HEAD.size:
        length = _HEAD.unpack(head)[2] + 1
        body = read(length)
        if len(body) < length:
            return
        yield head + body
