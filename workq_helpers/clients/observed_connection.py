"""`ObservedConnection`: pika's own connection, which tells an observer of every AMQP method that passes.

All of pika goes through two methods of its connection, which are private and overridden here and nowhere else, as are
the one that gets the bytes and the one that learns of their end; ``tests/broker/test_pika_private.py`` holds them to
what is said here. `pika.BlockingConnection` is made of such a connection too; workers and publishers have one that
hurries.
"""

from __future__ import annotations

from typing import Any

import pika
import pika.exceptions
from pika import frame
from pika.amqp_object import Method
from pika.spec import Basic, BasicProperties, Channel, Connection

from workq_helpers.clients import pika_private
from workq_helpers.clients.odd_header import readable_header
from workq_helpers.clients.whole_message import whole_message
from workq_helpers.forks import abandon_in_children
from workq_helpers.log.messages import Marks
from workq_helpers.log.observer import Observer
from workq_helpers.rabbitmq.errors import UnreadableMessageError

__all__ = ["HurryingConnection", "ObservedConnection"]

#: Methods that come with a message.
_WITH_CONTENT = frozenset({Basic.Deliver, Basic.GetOk, Basic.Return})


def _first_frame(buffer: bytes, at: int) -> bytes:
    """Return the frame that begins at `at`, or what there is of it: a copy of all that follows would cost more."""
    size = int.from_bytes(buffer[at + 3 : at + 7])
    return buffer[at : at + size + 8]


class _PartialMessage:
    """A message that is coming in, frame by frame."""

    __slots__ = ("complaint", "fragments", "header", "method", "missing")

    def __init__(self, method: Any) -> None:
        self.method = method
        self.header: Any = None
        self.missing = 0
        self.fragments: list[bytes] = []
        self.complaint = ""  # what pika can't read in its header


class ObservedConnection(pika.SelectConnection):
    """A connection of which `observer` sees every method: sent, once pika has accepted it; received, before pika acts.

    The observer's mark is put on a published message, and taken off a received one before anybody else sees it.
    """

    observer: Observer

    @classmethod
    def told_to(cls, observer: Observer) -> type[ObservedConnection]:
        """Return a class of connections that tell `observer`; pika makes connections itself, from a class."""
        return type(cls.__name__, (cls,), {"observer": observer})

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._incoming: dict[int, _PartialMessage] = {}
        self._outgoing: list[bytes] | None = None  # the frames of a method that is being sent, until it was told of
        #: With what the broker closed it, if it did.
        self.closed_with: Connection.Close | None = None
        #: What was raised while something was read: pika takes it for the end of the stream.
        self.failed_by: Exception | None = None
        self.observer.opened()
        super().__init__(*arguments, **more)
        abandon_in_children(self)
        self.add_on_close_callback(self._tell_of_the_end)

    def abandon(self) -> None:
        """Be closed in a forked child, where nothing may be said on it: it is its parent's."""
        pika_private.abandon(self)

    def _send_method(
        self, channel_number: int, method: Method, content: tuple[BasicProperties, bytes] | None = None
    ) -> None:
        outgoing: list[bytes] = []
        self._outgoing = outgoing
        try:
            if content is None:
                super()._send_method(channel_number, method)
                self.observer.sent(channel_number, method)
            else:
                self._publish(channel_number, method, *content)
        finally:
            self._outgoing = None
            if outgoing:
                write = self._write if content is None else self._adapter_emit_data
                write(b"".join(outgoing))

    def _write(self, data: bytes) -> None:
        """Send a method without content."""
        self._adapter_emit_data(data)

    def _publish(self, channel_number: int, method: Method, properties: BasicProperties, body: bytes) -> None:
        mark = self.observer.next_mark()
        super()._send_method(channel_number, method, (Marks.put_on(properties, mark), body))
        assert isinstance(method, Basic.Publish)  # noqa: S101 - the only method of a client with content
        self.observer.published(channel_number, method, properties, body, mark)

    def _adapter_emit_data(self, data: bytes) -> None:
        if self._outgoing is None:
            super()._adapter_emit_data(data)
        else:
            self._outgoing.append(data)

    def _on_data_available(self, data_in: bytes) -> None:
        buffer = self._frame_buffer + data_in if self._frame_buffer else data_in
        at = 0
        try:
            while at < len(buffer):
                if (found := whole_message(buffer, at)) is not None:
                    number, method, properties, body, end = found
                    self.bytes_received += end - at
                    at = end
                    self._tell_and_pass_on(number, method, properties, body)
                    continue
                used, frame_value = self._decode(_first_frame(buffer, at))
                if frame_value is None:
                    break
                self.bytes_received += used
                at += used
                self._process_frame(frame_value)
        except Exception as error:
            self.failed_by = error
            raise
        finally:  # an interrupt may come out of what is told
            self._frame_buffer = buffer[at:]

    def _decode(self, data: bytes) -> tuple[int, Any]:
        """Decode a frame as pika does, and of a header that it can't read what can be: the message's end tells."""
        try:
            return frame.decode_frame(data)
        except Exception:
            found = readable_header(data)
            if found is None or found[0].channel_number not in self._incoming:
                raise
            self._incoming[found[0].channel_number].complaint = found[1]
            return len(data), found[0]

    def _on_stream_terminated(self, error: Exception | None) -> None:
        unreadable = isinstance(self.failed_by, UnreadableMessageError)
        super()._on_stream_terminated(self.failed_by if unreadable else error)

    def _process_frame(self, frame_value: Any) -> None:
        kind = type(frame_value)
        if kind is frame.Header or kind is frame.Body:
            if (message := self._incoming.get(frame_value.channel_number)) is not None:
                self._read(kind, frame_value, message)
                return
        elif kind is frame.Method:
            method = frame_value.method
            if type(method) in _WITH_CONTENT:
                self._incoming[frame_value.channel_number] = _PartialMessage(frame_value)
                return
            if isinstance(method, Connection.Close):
                self.closed_with = method
            self.observer.received(frame_value.channel_number, method)
        super()._process_frame(frame_value)
        if kind is frame.Method and isinstance(frame_value.method, Channel.CloseOk):
            self.observer.channel_closed(frame_value.channel_number, "the channel was closed")

    def _read(self, kind: type, part: Any, message: _PartialMessage) -> None:
        """Read a part of a message; once it is whole, tell of it, and give it to pika, which need not read it again."""
        if kind is frame.Header:
            message.header, message.missing = part, part.body_size
        else:
            message.fragments.append(part.fragment)
            message.missing -= len(part.fragment)
        if message.missing <= 0 and message.header is not None:
            number = part.channel_number
            del self._incoming[number]
            fragments = message.fragments
            body = fragments[0] if len(fragments) == 1 else b"".join(fragments)
            if message.complaint:
                self.observer.received_message(number, message.method.method, message.header.properties, body)
                raise UnreadableMessageError(message.method.method.routing_key, message.complaint)
            self._tell_and_pass_on(number, message.method.method, message.header.properties, body)

    def _tell_and_pass_on(self, number: int, method: Any, properties: BasicProperties, body: bytes) -> None:
        self.observer.received_message(number, method, properties, body)
        pika_private.pass_on(self, number, method, properties, body)

    def _tell_of_the_end(self, _connection: pika.SelectConnection, reason: BaseException) -> None:
        if isinstance(reason, pika.exceptions.ConnectionClosedByClient):
            self.observer.connection_closed("the connection was closed")
        else:
            self.observer.connection_closed("the connection was lost", answered=False)


class HurryingConnection(ObservedConnection):
    """A connection that acknowledges at once and reads at one go: who acknowledges waits for the next message.

    Messages go many at a time, as pika sends them. A `pika.BlockingConnection` is not made of one: it looks at its
    socket as it sends, and so finds that the broker has closed it.
    """

    def _write(self, data: bytes) -> None:
        pika_private.write(self, data)

    def _on_stream_connected(self) -> None:
        pika_private.read_at_one_go(self)
        super()._on_stream_connected()
