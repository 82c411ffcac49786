"""`RecordingConnection`: pika's own blocking connection, whose messages the log sees too."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic, BasicProperties

from workq_helpers.log.details import CloseReason, ConsumeOptions, Handback, Mistake, PublishOptions, QueueOptions
from workq_helpers.log.messages import encode_body, is_persistent, task_text
from workq_helpers.rabbitmq.connecting import quiet_pika, translate

if TYPE_CHECKING:
    from workq_helpers.log.details import Detail
    from workq_helpers.log.events import EventLog
    from workq_helpers.log.messages import MessageIds
    from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["RecordingChannel", "RecordingConnection"]

#: Who an event is about when the notebook itself did it.
ACTOR = "notebook"


class RecordingConnection(pika.BlockingConnection):
    """A `pika.BlockingConnection` that records what passes through its channels.

    Args:
        parameters: Where to connect, as for pika.
        endpoint: Named in error messages.
        log: Where events go.
        ids: Gives messages their ids.

    Raises:
        BrokerError: The connection can't be opened; the message says why.
    """

    def __init__(
        self, parameters: pika.ConnectionParameters, *, endpoint: Endpoint, log: EventLog, ids: MessageIds
    ) -> None:
        self._endpoint = endpoint
        self._log = log
        self._ids = ids
        with quiet_pika(), self.in_plain_words():
            super().__init__(parameters)

    def channel(self, channel_number: int | None = None) -> RecordingChannel:
        """Open a channel, as pika does."""
        channel = super().channel(channel_number)
        # pika makes its channels itself and offers no other way to have them be of another class.
        channel.__class__ = RecordingChannel
        assert isinstance(channel, RecordingChannel)  # noqa: S101 - the line above
        channel.begin_recording(self._log, self._ids)
        return channel

    @contextlib.contextmanager
    def in_plain_words(self, queue: str | None = None) -> Iterator[None]:
        """Raise what pika raises in this block as one of our exceptions, about `queue` if it is about one."""
        try:
            yield
        except (pika.exceptions.AMQPError, OSError) as error:
            raise translate(error, endpoint=self._endpoint, queue=queue) from error

    def close(self, reply_code: int = 200, reply_text: str = "Normal shutdown") -> None:
        """Close the connection; closing a closed one does nothing, so that ``with`` never hides an error."""
        if self.is_open:
            super().close(reply_code, reply_text)


class RecordingChannel(BlockingChannel):
    """A pika channel that records what passes through it; every method has pika's own signature."""

    _log: EventLog
    _ids: MessageIds
    _confirming: bool
    _unsettled: dict[int, tuple[str, str, str, bool]]

    def begin_recording(self, log: EventLog, ids: MessageIds) -> None:
        """Record into `log` from now on."""
        self._log = log
        self._ids = ids
        self._confirming = False
        self._unsettled = {}
        # A blocking channel tells nobody that it closes; the one that it is made of does, and gives pika's reason.
        self._impl.add_on_close_callback(self._give_back)

    def queue_declare(
        self,
        queue: str,
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: Any = None,
    ) -> Any:
        """Declare a queue, as pika does."""
        with self._plain(queue):
            result = super().queue_declare(queue, passive, durable, exclusive, auto_delete, arguments)
        if not passive:
            options = QueueOptions(durable, str((arguments or {}).get("x-queue-type", "classic")))
            self._log.record("declared", ACTOR, result.method.queue, detail=options)
        return result

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False) -> Any:
        """Delete a queue, as pika does."""
        with self._plain(queue):
            result = super().queue_delete(queue, if_unused, if_empty)
        self._log.record("deleted", ACTOR, queue, detail=int(result.method.message_count))
        return result

    def queue_purge(self, queue: str) -> Any:
        """Empty a queue, as pika does."""
        with self._plain(queue):
            result = super().queue_purge(queue)
        self._log.record("purged", ACTOR, queue, detail=int(result.method.message_count))
        return result

    def confirm_delivery(self) -> None:
        """Turn publisher confirms on, as pika does."""
        super().confirm_delivery()
        self._confirming = True

    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes | str,
        properties: BasicProperties | None = None,
        mandatory: bool = False,
    ) -> None:
        """Publish a message, as pika does; one without a ``message_id`` is given one, for the log to know it by."""
        encoded = encode_body(body)
        properties = BasicProperties() if properties is None else copy.copy(properties)
        properties.message_id = properties.message_id or self._ids.new()
        queue, task = "" if exchange else routing_key, task_text(encoded)

        def record(kind: str, detail: Detail = "") -> None:
            self._log.record(kind, ACTOR, queue, properties.message_id, task, detail=detail)

        record("published", PublishOptions(is_persistent(properties)))
        try:
            super().basic_publish(exchange, routing_key, encoded, properties, mandatory)
        except pika.exceptions.UnroutableError:
            record("returned", CloseReason(312, "NO_ROUTE"))
            record("confirmed")
            raise
        except pika.exceptions.NackError:
            record("refused")
            raise
        if self._confirming:
            record("confirmed")

    def basic_get(self, queue: str, auto_ack: bool = False) -> Any:
        """Fetch one message, as pika does."""
        with self._plain(queue):
            method, properties, body = super().basic_get(queue, auto_ack)
        if method is not None:
            self._delivered(queue, method, properties or BasicProperties(), body or b"", auto_ack)
        return method, properties, body

    def basic_consume(
        self,
        queue: str,
        on_message_callback: Callable[..., Any],
        auto_ack: bool = False,
        exclusive: bool = False,
        consumer_tag: str | None = None,
        arguments: Any = None,
    ) -> str:
        """Consume from a queue, as pika does."""

        def record_and_call(ch: Any, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
            self._delivered(queue, method, properties, body, auto_ack)
            on_message_callback(ch, method, properties, body)

        with self._plain(queue):
            return str(super().basic_consume(queue, record_and_call, auto_ack, exclusive, consumer_tag, arguments))

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        """Acknowledge, as pika does."""
        self._settle("acked", delivery_tag, multiple, "")
        super().basic_ack(delivery_tag, multiple)

    def basic_nack(self, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True) -> None:
        """Hand deliveries back, as pika does."""
        self._settle("nacked", delivery_tag, multiple, Handback.REQUEUE if requeue else Handback.DISCARD)
        super().basic_nack(delivery_tag, multiple, requeue)

    def basic_reject(self, delivery_tag: int = 0, requeue: bool = True) -> None:
        """Hand one delivery back, as pika does."""
        self._settle("rejected", delivery_tag, False, Handback.REQUEUE if requeue else Handback.DISCARD)
        super().basic_reject(delivery_tag, requeue)

    def _plain(self, queue: str) -> contextlib.AbstractContextManager[None]:
        connection = self.connection
        assert isinstance(connection, RecordingConnection)  # noqa: S101 - which made this channel
        return connection.in_plain_words(queue)

    def _delivered(self, queue: str, method: Any, properties: BasicProperties, body: bytes, auto_ack: bool) -> None:
        message_id = properties.message_id or self._ids.of_stray(queue, body, method.redelivered)
        about = (queue, message_id, task_text(body), method.redelivered)
        self._record("delivered", method.delivery_tag, about, ConsumeOptions(auto_ack=True) if auto_ack else "")
        if not auto_ack:
            self._unsettled[method.delivery_tag] = about

    def _settle(self, kind: str, tag: int, multiple: bool, detail: Detail) -> None:
        tags = [known for known in self._unsettled if known <= tag or tag == 0] if multiple else [tag]
        for settled in tags:
            about = self._unsettled.pop(settled, None)
            if about is None:
                self._log.record(kind, ACTOR, delivery_tag=settled, detail=Mistake.UNKNOWN_DELIVERY_TAG)
            else:
                self._record(kind, settled, about, detail)

    def _give_back(self, _channel: Any, _reason: Exception) -> None:
        """Record what the channel held when it closed, however it did: the broker puts that back."""
        held, self._unsettled = self._unsettled, {}
        for tag, about in held.items():
            self._record("requeued", tag, about, "the channel was closed")

    def _record(self, kind: str, tag: int, about: tuple[str, str, str, bool], detail: Detail) -> None:
        queue, message_id, task, redelivered = about
        self._log.record(kind, ACTOR, queue, message_id, task, tag, redelivered, detail)
