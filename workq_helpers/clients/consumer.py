"""`Consumer`: a worker's connection to the broker, and everything that happens on it.

Its methods belong to the owner of the connection (see `pump`), except where they say that any thread may
call them.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pika
import pika.exceptions
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.connection_life import ConnectionLife
from workq_helpers.clients.last_words import LastWords
from workq_helpers.clients.shared_channel import Runner, SharedChannel
from workq_helpers.clients.worker_channel import WorkerChannel
from workq_helpers.clients.worker_end import WorkerEnd
from workq_helpers.log.book import Book
from workq_helpers.log.details import ConsumeOptions, Detail
from workq_helpers.log.held import Held
from workq_helpers.log.observer import Observer
from workq_helpers.text import said

__all__ = ["Consumer", "ConsumerOptions", "Host", "IncomingMessage"]


class ConsumerOptions(NamedTuple):
    """What a worker asks of the broker, in pika's own words.

    Attributes:
        queue: The queue to consume from.
        auto_ack: Whether a delivery counts as acknowledged when it is sent.
        prefetch_count: How many unacknowledged deliveries the broker may send; 0 for no limit.
        arguments: Arguments of ``basic_consume``.
    """

    queue: str
    auto_ack: bool = False
    prefetch_count: int = 0
    arguments: dict[str, Any] | None = None

    @property
    def logged(self) -> ConsumeOptions:
        """What the log says of them."""
        return ConsumeOptions(self.auto_ack, self.prefetch_count)


class IncomingMessage(NamedTuple):
    """One message handed to the worker."""

    channel: WorkerChannel
    method: Basic.Deliver
    properties: BasicProperties
    body: bytes
    held: Held


class Host(Runner, Protocol):
    """The worker that a consumer reports to, as the owner of the connection."""

    def is_working(self) -> bool:
        """Whether a callback runs at this moment."""

    def prepared(self) -> None:
        """Learn that everything up to ``basic_consume`` is done."""

    def consuming(self) -> None:
        """Learn that deliveries may come."""

    def interrupted(self, reason: str) -> None:
        """Learn that the connection was lost and is being opened again."""

    def ended(self, state: str, error: BaseException | None) -> None:
        """Learn that this was all: ``state`` is "stopped", "killed" or "crashed"."""


class Consumer:
    """One consumer on one channel of one connection, opened again when the broker comes back."""

    def __init__(self, host: Host, options: ConsumerOptions, parameters: pika.ConnectionParameters, book: Book) -> None:
        self._host = host
        self._options = options
        self._log = book.log
        self._observer = Observer(host.name, book)
        self._observer.outlives_connections = True
        self._life = ConnectionLife(self, parameters, self._observer)
        self._pump_finish: Callable[[], None] = lambda: None
        self._channel: SharedChannel | None = None
        self._end = WorkerEnd()
        self._last_words = LastWords(self._life, self._observer)
        self._end_recorded = False
        self._cancelling = False
        #: Deliveries that wait for the worker's callback.
        self.waiting: deque[IncomingMessage] = deque()
        self._observer.deliveries.on_release = self.waiting.clear
        #: Held while a delivery changes hands, so that the log never says "finished" after "lost".
        self.lock = self._observer.lock

    # -- for the worker, from any thread --------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """Whether the connection is gone for good."""
        return self._end.gone

    @property
    def has_unsent(self) -> bool:
        """Whether acknowledgments wait to be sent."""
        channel = self._channel
        return channel is not None and channel.has_unsent

    def done_with(self, delivery: IncomingMessage) -> None:
        """Take note that the callback returned; an auto-ack delivery is settled by that. Under `lock`."""
        self._observer.deliveries.at_hand.pop(delivery.held, None)

    def record(self, kind: str, delivery: IncomingMessage, detail: Detail = "") -> None:
        """Record an event about a delivery."""
        self._observer.deliveries.record(kind, delivery.held, detail)

    def cut_at_once(self, state: str) -> bool:
        """Cut the TCP connection here and now, if nothing waits to be sent on it, and all that was sent has arrived.

        Returns:
            Whether it is cut. If not, `cut` must do it, when that is so.
        """
        with self.lock:
            if self._end.gone or self._end.is_cut:
                return True
            connection = self._life.connection
            if connection is None or not connection.is_open:
                return False
            if self.has_unsent or not self._last_words.have_arrived():
                return False
            self._cut(connection, state)
        return True

    def give_up(self, state: str) -> None:
        """Cut what there is to cut, whatever waits; for the case that nobody looks after the connection."""
        with self.lock:
            if not self._end.is_cut and self._life.connection is not None:
                self._cut(self._life.connection, state)

    def _cut(self, connection: pika.SelectConnection, state: str, error: BaseException | None = None) -> None:
        """Cut the connection; what it held is released before the broker can give it to others. Under `lock`."""
        self._end.state, self._end.error = state, error
        self._observer.deliveries.dead = True
        self._record_end()
        self._release_for_good()
        pika_private.cut(connection)

    # -- opening --------------------------------------------------------------------------------------

    def connect(self, loop: IOLoop, finish: Callable[[], None]) -> None:
        """Begin to connect on `loop`; `finish` ends the pump once there is nothing left to do."""
        self._pump_finish = finish
        self._life.begin(loop)

    def is_leaving(self) -> bool:
        """Whether the worker is at its end, of one kind or another."""
        return bool(self._end.state)

    def channel_opened(self, channel: Channel) -> None:
        """Prepare to consume."""
        self._channel = SharedChannel(
            channel, self._host, self._observer, waiting=self.waiting, end=self._end, dropped=self._dropped
        )
        channel.add_on_cancel_callback(self._on_cancelled)
        if self._options.prefetch_count:
            channel.basic_qos(prefetch_count=self._options.prefetch_count, callback=lambda _frame: self._prepared())
        else:
            self._prepared()

    def _prepared(self) -> None:
        if self._life.was_ready:
            self.consume()
        else:
            self._host.prepared()

    def consume(self) -> None:
        """Ask for deliveries."""
        channel, shared = self._life.channel, self._channel
        if channel is None or shared is None or not channel.is_open or self._end.state:
            return
        channel.basic_consume(
            self._options.queue,
            functools.partial(self._on_message, WorkerChannel(shared)),
            auto_ack=self._options.auto_ack,
            consumer_tag=self._host.name,
            arguments=self._options.arguments,
            callback=self._on_consume_ok,
        )

    def _on_consume_ok(self, _frame: Any) -> None:
        self._life.ready()
        self._record("connected", detail=self._options.logged)
        self._host.consuming()

    # -- what comes -----------------------------------------------------------------------------------

    def _on_message(
        self, channel: WorkerChannel, _raw: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        with self.lock:
            held = self._observer.deliveries.latest
            if held is not None and (held.auto_ack or not self._end.is_cut):
                self.waiting.append(IncomingMessage(channel, method, properties, body, held))

    def after_poll(self) -> None:
        """Send what waits to be sent, and say goodbye if it is time."""
        if self._channel is not None:
            self._channel.send_acks()
        if self._end.state == "stopped" and not self._host.is_working() and not self._cancelling:
            self._life.close()

    # -- the end, of one kind or another --------------------------------------------------------------

    def stop(self) -> None:
        """Take no more deliveries, and say goodbye when the task in hand is done."""
        if self._end.state or self._end.gone:
            return
        self._end_as("stopped")
        channel = self._life.channel
        if self._channel is not None and self._channel.was_closed:
            return  # goodbye is said when the callback is done
        if channel is None or not channel.is_open:
            self._life.abandon()
        elif self._options.auto_ack and self._host.name in channel.consumer_tags:
            # What is on its way is nobody else's: the log must see it before the goodbye.
            self._cancelling = True
            pika_private.cancel_and_go_on_receiving(channel, self._host.name, self._on_cancel_ok)
        elif self._host.is_working():
            channel.basic_cancel(self._host.name)

    def _end_as(self, state: str, error: BaseException | None = None) -> None:
        self._end.state, self._end.error = state, error
        self._observer.why = self._end.why

    def _on_cancel_ok(self, _frame: Any) -> None:
        self._cancelling = False

    def cut(self, state: str) -> None:
        """Cut the TCP connection once everything has arrived that was asked for, or the attempt to open one."""
        if self._end.gone or self._end.is_cut or self._last_words.are_awaited:
            return
        connection = self._life.connection
        if self._channel is not None:
            self._channel.send_acks()
        if connection is None or not connection.is_open:
            self._end_as(state)
            self._observer.deliveries.dead = True  # what comes while it still says goodbye is for others
            self._record_end()
            self._life.abandon()
        elif not self._last_words.are_under_way(lambda: self.cut(state)):
            with self.lock:
                if not self._end.is_cut:
                    self._cut(connection, state)

    def failed(self, error: BaseException) -> None:
        """End by an error in the loop itself, as a program would: its connection is cut."""
        with self.lock:
            connection = self._life.connection
            if self._end.is_cut or connection is None or not connection.is_open:
                self._end.state = self._end.state or "crashed"
                self._end.error = self._end.error or error
                self.ended()
            else:
                self._cut(connection, "crashed", error)

    def could_not_open(self, error: BaseException) -> None:
        """End: there is nothing to connect to."""
        self._end_as("crashed", error)
        self.ended()

    def channel_closed(self, reason: Exception) -> None:
        """End, if the broker closed it: pika's start_consuming raises then, which ends a tutorial's program."""
        if not isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            return
        if not self._end.state:
            self._end_as("crashed", reason)
        self._life.close()

    def _on_cancelled(self, _frame: Any) -> None:
        # pika's start_consuming returns here, and the program comes to its end.
        if not self._end.state:
            self._end_as("stopped")

    def connection_closed(self, reason: BaseException) -> None:
        """End, or begin anew."""
        if self._end.state:
            consumed = self._channel is not None and self._life.was_ready
            answered = isinstance(reason, pika.exceptions.ConnectionClosedByClient)
            if self._end.state == "stopped" and consumed and not answered:
                # Its goodbye was not answered: nobody knows what of its last acks arrived.
                self._record("disconnected", detail=_reason_text(reason))
                self._observer.connection_closed("the connection was lost", answered=False)
            self.ended()
            return
        self._record("disconnected", detail=_reason_text(reason))
        dying = self._last_words.are_awaited
        if not dying and (not self._life.was_ready or self._life.is_refused):
            self._end_as("crashed", reason)
            self.ended()
            return
        # What is already here under auto-ack is nobody else's; the rest will be delivered again.
        self._observer.connection_closed("the connection was lost", answered=False)
        self._lose_channel(reason)
        if dying:
            self._last_words.go_on()
            return
        self._host.interrupted(_reason_text(reason))
        self._record("reconnecting")
        self._life.open_again()

    def _lose_channel(self, reason: BaseException) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.lost_by = reason
            with self.lock:
                channel.drop_acks()

    def ended(self) -> None:
        """Release what the worker held, and tell it that this was all."""
        with self.lock:
            if self._end.gone:
                return
            self._end.gone = True
            self._end.state = self._end.state or "crashed"
            self._release_for_good()
        self._record_end()
        self._host.ended(self._end.state, self._end.error)
        self._pump_finish()

    def _record_end(self) -> None:
        if not self._end_recorded:
            self._end_recorded = True
            error = self._end.error
            self._record(self._end.state, detail="" if error is None else _reason_text(error))

    def _release_for_good(self) -> None:
        """Take note of what becomes of the deliveries that the worker holds at its end. Under `lock`."""
        self.waiting.clear()
        if self._channel is not None:
            self._channel.drop_acks()
        self._observer.release(self._end.why, by_a_cut=self._end.is_cut)
        self._observer.deliveries.drop(self._end.why)

    def _dropped(self, delivery_tag: int | None, why: str) -> None:
        self._record("ack dropped", delivery_tag, why)

    def _record(self, kind: str, delivery_tag: int | None = None, detail: Detail = "") -> None:
        self._log.record(kind, self._host.name, self._options.queue, delivery_tag=delivery_tag, detail=detail)


def _reason_text(reason: BaseException) -> str:
    if isinstance(reason, pika.exceptions.ConnectionClosed):
        return f"{reason.reply_code} {reason.reply_text}"
    words = said(reason)
    return f"{type(reason).__name__}: {words}" if words else type(reason).__name__
