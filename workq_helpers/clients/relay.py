"""`Relay`: stands between programs and the broker on loopback, passes on what both say, and lets the log read it.

A program that connects here speaks with the broker itself: it logs in with its own words, keeps its own heartbeats, and
every byte passes as it is. The relay adds nothing, answers nothing and holds no login. Once it knows that the broker is
away it does not listen, so that a program is refused as it would be by the broker; it knows when it is told, when a
connection breaks, or by the first program that comes, which is reset. It listens again once the broker answers as one
does: to accept connections is not enough, as Docker does so for a container in which nobody listens. A thread of this
process does it, with one event loop for all connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any, Literal, TypeVar

from workq_helpers.broker.ports import LOOPBACK
from workq_helpers.clients.door import Door
from workq_helpers.clients.relayed_client import RelayedClient, Side
from workq_helpers.forks import abandon_in_children, let_go
from workq_helpers.log.book import Book
from workq_helpers.rabbitmq.connecting import PROTOCOL_HEADER, tls_context
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["Relay"]

#: How much is read at once from a connection.
_PIECE_BYTES = 64 * 1024

#: What is asked of the relay's thread is done at once; this only bounds a fault of our own.
_ANSWER_SECONDS = 30.0

#: How often a broker that is away is knocked at.
_KNOCK_SECONDS = 0.1
#: How long it may take to answer.
_GREETING_SECONDS = 5.0
#: How long a connection is kept only to see it end; RabbitMQ's log has three lines of each.
_STAY_SECONDS = 5.0

#: Has a connection end with a reset: what was to be connected to is not there.
_RESET = struct.pack("ii", 1, 0)

T = TypeVar("T")


class Relay:
    """Listens on loopback, once for each program that the lesson starts and once for all others.

    Args:
        endpoint: The broker, and the virtual host that is handed out.
        book: Where the observers of its connections write.
        is_taken: Whether a name is somebody else's in the log.
    """

    def __init__(self, endpoint: Endpoint, book: Book, is_taken: Callable[[str], bool]) -> None:
        self._endpoint = endpoint
        self._book = book
        self._is_taken = is_taken
        self._tls = tls_context(endpoint) if endpoint.tls else None
        self._clients: list[RelayedClient] = []
        self._links: set[_Link] = set()
        self._doors: dict[str, Door] = {}
        self._is_away = False  # the broker, as far as is known
        self._knocking: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()
        abandon_in_children(self)

    def endpoint(self, program: str = "") -> Endpoint:
        """Return where to connect instead of the broker, with the broker's login; plain AMQP, TLS or not behind it.

        Args:
            program: The lesson's program that is to use it, ``""`` for all others.
        """
        port = self._in_its_thread(self._listen(program))
        return replace(self._endpoint, host=LOOPBACK, port=port, tls=False, verify=True, ca_file=None)

    def program_ended(self, program: str, status: int | None) -> None:
        """Learn that a program has ended: its address goes with it, connections that its children hold stay."""
        if not self._loop.is_closed():
            self._in_its_thread(self._forget(program, status))

    def broker_goes(self) -> None:
        """Learn that the broker goes away, or has gone, and that its return will be told."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._knock_from_now_on, True)

    def broker_is_back(self) -> None:
        """Learn that the broker is there; return when programs reach it again."""
        if not self._loop.is_closed():
            self._in_its_thread(self._come_back())

    def close(self) -> None:
        """Cut what is open, and listen no more; in a forked child, which has no such thread, do nothing."""
        if not self._thread.is_alive():
            return
        self._in_its_thread(self._cut_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_SECONDS)

    def abandon(self) -> None:
        """Let go of all ports and connections in a forked child: none would end for the others while that lives."""
        for door in self._doors.values():
            door.abandon()
        for link in self._links:
            link.abandon()

    # -- in its thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())  # it looks up names
        self._loop.close()

    def _in_its_thread(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_ANSWER_SECONDS)

    async def _listen(self, program: str) -> int:
        door = self._doors.get(program)
        if door is None:
            door = self._doors[program] = Door(self._loop, lambda: _ProgramSide(self, program))
            if not self._is_away:
                await door.open()
        return door.port

    async def _forget(self, program: str, status: int | None) -> None:
        if door := self._doors.pop(program, None):
            await door.remove()
        for client in self._clients:
            if client.program == program:
                client.program_ended(_end_of(status))
        self._clients = [client for client in self._clients if not client.is_over or client.program != program]

    async def _cut_all(self) -> None:
        while self._doors:
            await self._doors.popitem()[1].remove()
        while self._links or len(asyncio.all_tasks()) > 1:  # those among it that have just been accepted
            self._knock_no_more()  # which each connection that breaks begins anew
            for link in list(self._links):
                link.cut()
            await asyncio.sleep(0)

    async def _come_back(self) -> None:
        self._knock_no_more()
        try:
            await self._open_all()
        except OSError:  # too many open files
            self._knock_from_now_on(until_told=False)

    async def _open_all(self) -> None:
        self._is_away = False
        for door in list(self._doors.values()):
            await door.open()

    def _knock_from_now_on(self, until_told: bool) -> None:
        self._knock_no_more()
        self._knocking = self._loop.create_task(self._knock(until_told))

    def _knock_no_more(self) -> None:
        if self._knocking is not None:
            self._knocking.cancel()

    async def _knock(self, until_told: bool) -> None:
        while not await self._answers(until_told) or until_told:
            await asyncio.sleep(_KNOCK_SECONDS)

    async def _answers(self, stay: bool) -> bool:
        """Knock once, and open the doors or shut them; where it is to stay, do so for a while or as long as it may."""
        try:
            async with self._greeted() as broker:
                await self._open_all()
                if stay:
                    # Not wait_for, which drops a cancellation in Python 3.11 where the broker has gone as well.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_STAY_SECONDS):
                            await broker.read()
        except (OSError, EOFError, UnicodeError):  # a name that is none, and too many open files, among it
            self._is_away = True
            for door in list(self._doors.values()):
                await door.shut()
            return False
        return True

    @contextlib.asynccontextmanager
    async def _greeted(self) -> AsyncIterator[asyncio.StreamReader]:
        """Give a connection on which the broker has begun to answer: Docker alone only accepts it."""
        host, port = self._endpoint.host, self._endpoint.port
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=self._tls, server_hostname=host if self._tls else None
                )
                writer.write(PROTOCOL_HEADER)
                await reader.readexactly(1)
            yield reader
        finally:
            if writer is not None:
                writer.transport.abort()

    # -- for its connections

    def look(self) -> None:
        """See whether the broker is there: a connection to it could not be made, or broke."""
        if self._knocking is None or self._knocking.done():
            self._knock_from_now_on(until_told=False)

    def begin(self, program_side: _ProgramSide) -> None:
        """Connect a program that has come to the broker."""
        port = int(program_side.transport.get_extra_info("peername")[1])
        client = RelayedClient(self._book, program_side.program, port, self._free_name)
        self._clients = [known for known in self._clients if not known.is_over or known.awaits_end]
        self._clients.append(client)
        link = _Link(client, program_side, self._links, self.look)
        link.task = self._loop.create_task(link.open(self._loop, self._endpoint, self._tls))

    def _free_name(self, wanted: str) -> str:
        open_ones = {client.name for client in self._clients if not client.is_over}
        name, number = wanted, 1
        while name in open_ones or self._is_taken(name):
            number += 1
            name = f"{wanted} ({number})"
        # It is back: the end of its program is told of this connection, not of the one before.
        self._clients = [known for known in self._clients if known.name != name]
        return name


class _Side(asyncio.BufferedProtocol):
    """One of the two TCP connections that a program's connection is made of here."""

    which: Side
    link: _Link
    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_PIECE_BYTES))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP, as asked for
        self.transport = transport

    def get_buffer(self, _size: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        self.link.pass_on(self, bytes(self._buffer[:count]))

    def eof_received(self) -> bool:
        self.link.half_over(self)
        return self.transport.can_write_eof()  # the other direction may still have something to say, but not with TLS

    def connection_lost(self, _reason: Exception | None) -> None:
        self.link.lost(self)

    def pause_writing(self) -> None:
        self.link.other(self).transport.pause_reading()

    def resume_writing(self) -> None:
        self.link.other(self).transport.resume_reading()


class _ProgramSide(_Side):
    """The connection that a program has opened."""

    which = "program"

    def __init__(self, relay: Relay, program: str) -> None:
        super().__init__()
        self._relay = relay
        self.program = program

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._relay.begin(self)


class _BrokerSide(_Side):
    """The connection that was opened to the broker for it."""

    which = "broker"

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self.link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.link.begin(self)


class _Link:
    """A program's connection through the relay: bytes go from side to side, no faster than the other one takes them.

    What a program says is read before others can see what follows from it, so that the log has it in this order.
    What the broker says is passed on at once: whatever the program makes of it comes by here.
    """

    def __init__(
        self, client: RelayedClient, program_side: _ProgramSide, links: set[_Link], broke: Callable[[], None]
    ) -> None:
        self._client = client
        self._program_side = program_side
        self._broker_side: _BrokerSide | None = None
        self._is_refused = False
        self._early = b""  # what the program said before there was anybody to say it to
        self._silent: set[Side] = set()  # those that say no more
        self._lost: set[Side] = set()
        self._links = links
        self._broke = broke
        self.task: asyncio.Task[None] | None = None  # a loop forgets tasks that nobody keeps
        program_side.link = self
        links.add(self)

    async def open(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, tls: ssl.SSLContext | None) -> None:
        """Connect to the broker; where it is not there the program's connection is reset at the first word it says.

        Not before: a client that has not seen yet that it is connected may take a reset for a fault of its own, as pika
        does with its ValueError.
        """
        host = endpoint.host if tls else None
        try:
            await loop.create_connection(
                lambda: _BrokerSide(self), endpoint.host, endpoint.port, ssl=tls, server_hostname=host
            )
        except (OSError, UnicodeError):  # TLS that fails, and a name that is none, among it
            self._is_refused = True
            self._broke()
            if self._early:
                self._reset()
            else:
                self._program_side.transport.resume_reading()

    def begin(self, broker_side: _BrokerSide) -> None:
        """Let bytes pass."""
        self._broker_side = broker_side
        if self._program_side.transport.is_closing():
            broker_side.transport.abort()
            return
        if self._early:
            self.pass_on(self._program_side, self._early)
        self._program_side.transport.resume_reading()

    def other(self, side: _Side) -> _Side:
        """Return the other side, once there is one."""
        assert self._broker_side is not None  # noqa: S101
        return self._broker_side if side is self._program_side else self._program_side

    def pass_on(self, side: _Side, data: bytes) -> None:
        """Let the log read what a side sent, and send it to the other one."""
        if self._is_refused:
            self._reset()
            return
        if self._broker_side is None:  # Python 3.11.2 reads once from what was told to pause as it was connected
            side.transport.pause_reading()
            self._early += data
            return
        if side is self._program_side:
            self._client.sent(data)
        to = self.other(side).transport
        if not to.is_closing():
            to.write(data)
        if side is not self._program_side:
            self._client.received(data)

    def half_over(self, side: _Side) -> None:
        """Pass on that a side says no more: after all it said, and before what the broker makes of it."""
        if self._is_refused:
            self._reset()
            return
        if self._broker_side is None:
            self._close()  # it leaves without a word, as early
            return
        self._client.over(side.which)
        self._silent.add(side.which)
        to = self.other(side).transport
        if len(self._silent) == 1 and to.can_write_eof():
            to.write_eof()
        else:
            self._close()

    def lost(self, side: _Side) -> None:
        """Learn that a side is gone altogether."""
        if side is self._broker_side and not self._client.said_goodbye:
            self._broke()
        self._client.over(side.which)
        self._lost.add(side.which)
        self._close()
        if self._broker_side is None or len(self._lost) == 2:
            self._links.discard(self)

    def cut(self) -> None:
        """Cut both sides at once."""
        if self.task is not None and self._broker_side is None:
            self.task.cancel()
        for side in (self._program_side, self._broker_side):
            if side is not None:
                side.transport.abort()

    def abandon(self) -> None:
        """Let go of both sides in a forked child."""
        for side in (self._program_side, self._broker_side):
            if side is not None:
                let_go(side.transport.get_extra_info("socket").fileno())

    def _close(self) -> None:
        for side in (self._program_side, self._broker_side):
            if side is not None:
                side.transport.close()

    def _reset(self) -> None:
        sock: socket.socket = self._program_side.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._program_side.transport.abort()


def _end_of(status: int | None) -> Literal["stopped", "killed", "crashed"]:
    if status == -9:
        return "killed"
    return "stopped" if status == 0 else "crashed"
