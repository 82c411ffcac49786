"""The private parts of pika that the course relies on, in one place.

pika is pinned to one minor version for their sake, and ``tests/broker/test_pika_private.py`` holds them
to what is said here.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pika
from pika import frame
from pika.adapters.utils.io_services_utils import _AsyncPlaintextTransport
from pika.amqp_object import Method
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

__all__ = [
    "abandon",
    "cancel_and_go_on_receiving",
    "cut",
    "discard",
    "pass_on",
    "port_of",
    "read_at_one_go",
    "send_now",
    "unsent_bytes",
    "write",
]


def cut(connection: pika.SelectConnection) -> None:
    """Cut a connection's TCP socket in both directions, as the death of its process would.

    Nothing is said to the broker, which notices the end of the stream and requeues what was unacknowledged.
    pika's own acceptance tests do it this way; `close` on the socket, or pika's own abort, would not look
    like a crash to both sides.

    Any thread may call this: the owner of the connection learns of it as of any end of the stream.
    """
    transport = connection._transport
    sock: socket.socket | None = getattr(transport, "_sock", None)
    if sock is None:
        return
    try:
        # Not the method of an SSL socket, which also forgets its encryption while the owner may be reading.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        # The other side was faster: there is nothing left to cut.
        return


def abandon(connection: pika.SelectConnection) -> None:
    """Have a forked child take its parent's connection as closed, and let go of the socket, without a word to anybody.

    Args:
        connection: A connection in whatever state; no other thread runs in the child.
    """
    for channel in connection._channels.values():
        channel._set_state(Channel.CLOSED)
    connection._set_connection_state(connection.CONNECTION_CLOSED)
    sock: socket.socket | None = getattr(connection._transport, "_sock", None)
    if sock is not None:
        sock.close()


def discard(connection: pika.BlockingConnection) -> None:
    """Let go of a connection that nobody will use, with its sockets, without a word to anybody.

    Args:
        connection: An open connection; only its owner may call this.
    """
    abandon(connection._impl)
    connection._impl.ioloop.close()


def read_at_one_go(connection: pika.SelectConnection) -> None:
    """Have a connection read what has come in one piece, and not ask its socket once more whether that was all.

    Args:
        connection: One whose socket has just been connected; only its owner may call this.
    """
    transport = connection._transport
    if type(transport) is _AsyncPlaintextTransport:  # TLS has read more than its socket tells of
        transport._MAX_RECV_BYTES, transport._MAX_CONSUME_BYTES = _PIECE_BYTES, 1


#: How much is read at one go, at most.
_PIECE_BYTES = 64 * 1024


def pass_on(
    connection: pika.SelectConnection, number: int, method: Method, properties: BasicProperties, body: bytes
) -> None:
    """Give a message that has come whole to its channel, as the connection does after the last of its frames.

    Args:
        connection: The connection it came on; only its owner may call this.
        number: The channel's.
        method: The basic.deliver, basic.get-ok or basic.return.
        properties: The message's.
        body: All of its body.
    """
    channel = connection._channels.get(number)
    if channel is not None:  # else it was closed meanwhile, and its number not given to another
        header = frame.Header(number, len(body), properties)
        _TAKES[type(method)](channel, frame.Method(number, method), header, body)


#: What takes a whole message in, in pika's channel.
_TAKES = {Basic.Deliver: Channel._on_deliver, Basic.GetOk: Channel._on_getok, Basic.Return: Channel._on_return}


def port_of(connection: pika.BlockingConnection) -> int:
    """Return the port that a connection was made to: that of the address that answered, of several."""
    return int(connection._impl.params.port)


def unsent_bytes(connection: pika.SelectConnection) -> int:
    """Return how many bytes pika holds for a connection that the socket has not taken yet."""
    transport = connection._transport
    return 0 if transport is None else int(transport.get_write_buffer_size())


def write(connection: pika.SelectConnection, data: bytes) -> None:
    """Give a connection bytes to send: to its socket at once, if that takes them, and else to pika.

    pika itself would ask the kernel to tell it when the socket can be written to, and then not to tell it any more.

    Args:
        connection: An open connection; only its owner may call this.
        data: Whole frames.
    """
    transport = connection._transport
    if (
        type(transport) is _AsyncPlaintextTransport
        and transport._state == transport._STATE_ACTIVE
        and not transport.get_write_buffer_size()
    ):
        with contextlib.suppress(OSError):  # it is full, or broken, which pika finds out and tells
            data = data[transport._sock.send(data) :]
    if data:
        connection._adapter_emit_data(data)


def send_now(connection: pika.SelectConnection) -> None:
    """Give the socket what pika holds for it, as much as it takes, without waiting for the loop's next turn.

    It does what the loop would do when it finds the socket writable.

    Args:
        connection: An open connection; only its owner may call this.
    """
    transport = connection._transport
    if transport is not None and transport.get_write_buffer_size():
        transport._on_socket_writable()


def cancel_and_go_on_receiving(channel: Channel, consumer_tag: str, callback: Callable[[Any], None]) -> None:
    """Cancel a consumer that still gets what the broker sends it before ``cancel-ok``, which pika would drop.

    Args:
        channel: The consumer's channel, open; only its owner may call this.
        consumer_tag: The consumer, which is not being cancelled yet.
        callback: Called with the broker's answer; nothing is delivered after that.
    """
    channel.basic_cancel(consumer_tag, callback)
    channel._cancelled.discard(consumer_tag)
