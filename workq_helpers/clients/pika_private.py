"""The private parts of pika that the course relies on, in one place.

pika is pinned to one minor version for their sake, and ``tests/broker/test_pika_private.py`` holds them
to what is said here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pika
from pika import frame
from pika.channel import Channel
from pika.spec import Basic

__all__ = ["abandon", "cancel_and_go_on_receiving", "cut", "pass_on", "port_of", "send_now", "unsent_bytes"]


def cut(connection: pika.SelectConnection) -> None:
    """Cut a connection's TCP socket in both directions, as the death of its process would.

    Nothing is said to the broker, which notices the end of the stream and requeues what was unacknowledged.
    pika's own acceptance tests do it this way; `close` on the socket, or pika's own abort, would not look
    like a crash to both sides.

    Any thread may call this: the owner of the connection learns of it as of any end of the stream.

    Args:
        connection: An open connection.
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


def pass_on(connection: pika.SelectConnection, method: frame.Method[Any], header: frame.Header, body: bytes) -> None:
    """Give a message that has come whole to its channel, as the connection does after the last of its frames.

    Args:
        connection: The connection it came on; only its owner may call this.
        method: The frame with basic.deliver, basic.get-ok or basic.return.
        header: The frame with its properties.
        body: All of its body.
    """
    channel = connection._channels.get(method.channel_number)
    if channel is not None:  # else it was closed meanwhile, and its number not given to another
        _TAKES[type(method.method)](channel, method, header, body)


#: What takes a whole message in, in pika's channel.
_TAKES = {Basic.Deliver: Channel._on_deliver, Basic.GetOk: Channel._on_getok, Basic.Return: Channel._on_return}


def port_of(connection: pika.BlockingConnection) -> int:
    """Return the port that a connection was made to: that of the address that answered, of several.

    Args:
        connection: An open connection.
    """
    return int(connection._impl.params.port)


def unsent_bytes(connection: pika.SelectConnection) -> int:
    """Return how many bytes pika holds for a connection that the socket has not taken yet."""
    transport = connection._transport
    return 0 if transport is None else int(transport.get_write_buffer_size())


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
