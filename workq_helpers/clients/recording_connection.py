"""`RecordingConnection`: pika's own blocking connection, of which the log sees every method."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.observed_connection import ObservedConnection
from workq_helpers.log.book import Book
from workq_helpers.log.observer import Observer
from workq_helpers.rabbitmq.connecting import quiet_pika
from workq_helpers.rabbitmq.translation import translate
from workq_helpers.text import worded

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["RecordingChannel", "RecordingConnection"]

#: Who an event is about when the notebook itself did it.
ACTOR = "notebook"


class RecordingConnection(pika.BlockingConnection):
    """A `pika.BlockingConnection` whose observer sees every method that passes.

    Raises:
        BrokerError: The connection can't be opened; the message says why.
    """

    def __init__(self, parameters: pika.ConnectionParameters, *, endpoint: Endpoint, book: Book) -> None:
        self._endpoint = endpoint
        self.observer = Observer(ACTOR, book)
        with quiet_pika(), self.in_plain_words():
            made = ObservedConnection.told_to(self.observer)
            super().__init__(parameters, _impl_class=made)  # type: ignore[arg-type]  # a class, as pika itself has it
        self._log = book.log
        self._impl.add_on_close_callback(self._tell_of_a_loss)

    def _tell_of_a_loss(self, _connection: object, reason: BaseException) -> None:
        """Record that the connection was lost: what was published last and not confirmed may not have arrived."""
        if not isinstance(reason, pika.exceptions.ConnectionClosedByClient):
            self._log.record("disconnected", ACTOR, detail=f"{type(reason).__name__}: {reason}")

    def channel(self, channel_number: int | None = None) -> RecordingChannel:
        """Open a channel, as pika does."""
        with self.in_plain_words():
            channel = super().channel(channel_number)
        # pika makes its channels itself and offers no other way to have them be of another class.
        channel.__class__ = RecordingChannel
        assert isinstance(channel, RecordingChannel)  # noqa: S101 - the line above
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
            with self.in_plain_words():
                super().close(reply_code, reply_text)

    def end(self) -> None:
        """Close the connection, or cut it where the broker reads no goodbye, as during an alarm."""
        self.observer.on_blocked = lambda: pika_private.cut(self._impl)
        if self.observer.is_blocked:
            self.observer.on_blocked()
        self.close()


def _about_a_queue(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return pika's own method, which speaks of its queue in our words when it fails."""

    @functools.wraps(method)
    def call(self: RecordingChannel, queue: str, *arguments: Any, **more: Any) -> Any:
        with self.plain(queue):
            return method(self, queue, *arguments, **more)

    return call


class RecordingChannel(BlockingChannel):
    """A pika channel that speaks in plain words, and tells the observer what it does with what comes under auto-ack.

    Everything else is pika's own, signatures included.
    """

    queue_declare = _about_a_queue(BlockingChannel.queue_declare)
    queue_delete = _about_a_queue(BlockingChannel.queue_delete)
    queue_purge = _about_a_queue(BlockingChannel.queue_purge)
    basic_get = _about_a_queue(BlockingChannel.basic_get)

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

        def call(ch: Any, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
            with self._coming_to(method):
                on_message_callback(ch, method, properties, body)

        callback = call if auto_ack else on_message_callback
        with self.plain(queue):
            return str(super().basic_consume(queue, callback, auto_ack, exclusive, consumer_tag, arguments))

    def consume(
        self,
        queue: str,
        auto_ack: bool = False,
        exclusive: bool = False,
        arguments: Any = None,
        inactivity_timeout: float | None = None,
        consumer_tag: str | None = None,
    ) -> Generator[Any, None, None]:
        """Consume from a queue as a generator, as pika does."""
        options = (auto_ack, exclusive, arguments, inactivity_timeout, consumer_tag)
        with self.plain(queue):
            for method, properties, body in super().consume(queue, *options):
                if method is not None:
                    with self._coming_to(method):
                        pass
                yield method, properties, body

    def stop_consuming(self, consumer_tag: str | None = None) -> None:
        """Cancel all consumers, or one, as pika does: what they got under auto-ack and nobody came to is dropped."""
        with self._dropping_the_rest():
            super().stop_consuming(consumer_tag)

    def cancel(self) -> int:
        """Cancel the consumer of `consume`, as pika does: what it got under auto-ack and nobody came to is dropped."""
        with self._dropping_the_rest():
            return super().cancel()

    def close(self, reply_code: int = 0, reply_text: str = "Normal shutdown") -> None:
        """Close the channel, as pika does: what came under auto-ack and nobody came to is dropped."""
        with self._dropping_the_rest():
            super().close(reply_code, reply_text)

    def basic_cancel(self, consumer_tag: str) -> Any:
        """Cancel a consumer, as pika does: what it got under auto-ack and nobody came to is returned."""
        returned = super().basic_cancel(consumer_tag)
        for method, _, _ in () if self._dropping else returned:
            with self._coming_to(method):
                pass
        left = self._recording.observer.at_hand_of(self.channel_number, consumer_tag)
        self._recording.observer.deliveries.drop("its consumer was canceled before the notebook came to it", left)
        return returned

    def plain(self, queue: str) -> contextlib.AbstractContextManager[None]:
        """Speak in our words of what pika raises in this block."""
        return self._recording.in_plain_words(queue)

    #: Whether what a canceled consumer returns is returned to nobody.
    _dropping = False

    @contextlib.contextmanager
    def _dropping_the_rest(self) -> Iterator[None]:
        self._dropping = True
        try:
            yield
        finally:
            self._dropping = False

    @contextlib.contextmanager
    def _coming_to(self, method: Basic.Deliver) -> Iterator[None]:
        """Take note that a delivery under auto-ack is come to in this block: until then the client alone had it."""
        observer = self._recording.observer
        held = observer.came_to(self.channel_number, method.delivery_tag)
        if held is None:
            yield
            return
        try:
            yield
        except BaseException as error:
            observer.deliveries.record("failed", held, worded(error))
            raise
        observer.deliveries.record("finished", held)

    @property
    def _recording(self) -> RecordingConnection:
        connection = self.connection
        assert isinstance(connection, RecordingConnection)  # noqa: S101 - which made this channel
        return connection
