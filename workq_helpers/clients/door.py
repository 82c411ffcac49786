"""`Door`: a port of loopback that can be shut for a while: it is refused then, as where nobody listens, and kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from workq_helpers.broker.ports import LOOPBACK
from workq_helpers.forks import let_go

__all__ = ["Door"]


class Door:
    """A port with whoever listens there, shut at first.

    A second socket holds the port, which is bound and never listens: nobody else is given it meanwhile.

    Args:
        loop: What accepts connections; all but the making is done in its thread.
        protocol: Makes what serves one connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._loop = loop
        self._protocol = protocol
        self._held = _bound(0)
        self._listener: asyncio.Server | None = None
        self._turning = asyncio.Lock()
        #: The port, for as long as the door is there.
        self.port = int(self._held.getsockname()[1])

    async def open(self) -> None:
        """Listen."""
        async with self._turning:
            if self._listener is None and self._held.fileno() != -1:
                # Known before it listens: who gives this up in the middle leaves nothing that nobody can shut.
                self._listener = await self._loop.create_server(
                    self._protocol, sock=_bound(self.port), start_serving=False
                )
                await self._listener.start_serving()

    async def shut(self) -> None:
        """Listen no more: who comes is refused. Connections that were made stay."""
        async with self._turning:
            listener, self._listener = self._listener, None
            if listener is not None:
                for each in listener.sockets:
                    self._loop.remove_reader(each.fileno())
                # What was accepted in this turn of the loop begins in the next one; asyncio would drop it unclosed if
                # its listener were closed by then.
                try:
                    await asyncio.sleep(0)
                finally:
                    listener.close()

    async def remove(self) -> None:
        """Shut it for good, and let go of the port."""
        self._held.close()
        await self.shut()

    def abandon(self) -> None:
        """Let go of the port in a forked child: it would be listened at for as long as that lives."""
        for sock in (self._held, *(self._listener.sockets if self._listener else ())):
            let_go(sock.fileno())


def _bound(port: int) -> socket.socket:
    """Return a socket that is bound beside others of this user at the same port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((LOOPBACK, port))
    return sock
