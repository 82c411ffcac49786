"""`Consumer`: a worker's connection to the broker, and everything that happens on it.

Its methods belong to the owner of the connection (see `pump`), except where they say that any thread may
call them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar

import pika
import pika.exceptions
from pika.adapters.blocking_connection import ReturnedMessage
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.connection_life import ConnectionLife
from workq_helpers.clients.pace import WorkerKilled
from workq_helpers.clients.worker_channel import WorkerChannel
from workq_helpers.log.book import Book
from workq_helpers.log.details import ConsumeOptions, Detail
from workq_helpers.log.held import Held
from workq_helpers.log.observer import Observer
from workq_helpers.text import said

__all__ = ["Consumer", "ConsumerOptions", "Host", "IncomingMessage"]

#: How many turns of the loop a cut waits for acknowledgments that the socket has not taken yet.
_FLUSH_TURNS = 100

#: How long a cut waits for the broker to show that it knows of the last acknowledgments; it takes a millisecond.
_ANSWER_SECONDS = 1.0

T = TypeVar("T")


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


class Host(Protocol):
    """The worker that a consumer reports to; called by the owner of the connection, but for `hold` and `run`."""

    name: str

    def is_working(self) -> bool:
        """Whether a callback runs at this moment."""

    def in_callback_alone(self) -> bool:
        """Whether the caller is the callback, and nobody polls meanwhile."""

    def hold(self) -> None:
        """Hold the callback while the worker is frozen, and unwind it once it is killed."""

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` as the owner of the connection, and return what it returns."""

    def poll_until(self, condition: Callable[[], bool]) -> None:
        """Keep I/O going until `condition` holds or all is over."""

    def request_stop(self) -> None:
        """Begin to stop."""

    def prepared(self) -> None:
        """Learn that everything up to ``basic_consume`` is done."""

    def consuming(self) -> None:
        """Learn that deliveries may come."""

    def interrupted(self, reason: str) -> None:
        """Learn that the connection was lost and is being opened again."""

    def ended(self, state: str, error: BaseException | None) -> None:
        """Learn that this was all: ``state`` is "stopped", "killed" or "crashed"."""


class _Question:
    """A question to the broker that somebody waits for: until it is answered, overdue, or nobody is there to answer."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self.is_open = True

    def close(self) -> None:
        """Have them go on, the first time."""
        if self.is_open:
            self.is_open = False
            self._go_on()


class Consumer:
    """One consumer on one channel of one connection, opened again when the broker comes back."""

    def __init__(self, host: Host, options: ConsumerOptions, parameters: pika.ConnectionParameters, book: Book) -> None:
        self._host = host
        self._options = options
        self._log = book.log
        self._observer = Observer(host.name, book)
        self._observer.outlives_connections = True
        self._observer.publications.on_confirm = self._on_confirm
        self._life = ConnectionLife(self, parameters, self._observer)
        self._pump_finish: Callable[[], None] = lambda: None
        self._channel: WorkerChannel | None = None
        self._ending = ""
        self._error: BaseException | None = None
        self._lost_by: BaseException | None = None  # by what the last connection was
        self._flush_turns = 0
        self._question: _Question | None = None
        self._end_recorded = False
        self._cancelling = False
        self._closed = False  # by the callback
        self._acks: dict[int, None] = {}
        self._fetched: list[tuple[Any, Any, Any]] = []
        self._confirming = False
        self._confirms: list[bool] = []
        self._returned: list[ReturnedMessage] = []
        #: Deliveries that wait for the worker's callback.
        self.waiting: deque[IncomingMessage] = deque()
        self._observer.deliveries.on_release = self.waiting.clear
        #: Held while a delivery changes hands, so that the log never says "finished" after "lost".
        self.lock = self._observer.lock
        #: Whether the connection is gone for good.
        self.gone = False

    # -- for the worker's channel, from any thread ----------------------------------------------------

    @property
    def has_unsent(self) -> bool:
        """Whether acknowledgments wait to be sent."""
        return bool(self._acks)

    def is_open(self, channel: WorkerChannel) -> bool:
        """Whether that channel can be used."""
        return self._life.is_open and self.is_connected(channel)

    def is_connected(self, channel: WorkerChannel) -> bool:
        """Whether that channel's connection can be used."""
        connection = self._life.connection
        if connection is None or channel is not self._channel:
            return False
        return bool(connection.is_open) and not self.gone and not self._is_cut()

    def close(self, channel: WorkerChannel, *reply: Any) -> None:
        """Close the channel and wait for the answer; then take leave, as a program whose start_consuming returns."""
        self._host.hold()

        def send() -> Channel:
            raw = self._raw_of(channel)
            raw.close(*reply)
            self._closed = True
            self._send_now()
            return raw

        raw = self._host.run(send)
        self._host.run(lambda: self._host.poll_until(lambda: raw.is_closed))
        self._host.request_stop()

    def ack(self, channel: WorkerChannel, tag: int, multiple: bool) -> None:
        """Send basic.ack; while more deliveries wait for the callback it may go with theirs, in one frame.

        A frame for each would cost a tenth of the throughput at a high prefetch count.
        """
        if not multiple and type(tag) is int and self.waiting and self._host.in_callback_alone():
            self._host.hold()
            with self.lock:
                good = channel is self._channel and tag not in self._acks
                if good and self._observer.knows(channel.channel_number, tag):
                    self._acks[tag] = None
                    return
        self.settle(channel, "basic_ack", tag, multiple)

    def settle(self, channel: WorkerChannel, name: str, tag: int, *arguments: Any) -> None:
        """Send basic.ack, basic.nack or basic.reject; on a channel that was lost it comes too late.

        Raises:
            ChannelWrongStateError: It was closed, by the callback itself or for what that had done.
        """
        self._host.hold()

        def send() -> None:
            if not (self._closed or self.is_open(channel)):
                self._record("ack dropped", delivery_tag=_number(tag), detail="its channel is gone")
                if self._ending != "crashed":
                    return
            getattr(self._raw_of(channel), name)(tag, *arguments)
            self._send_now()

        self._host.run(send)

    def publish(self, channel: WorkerChannel, *arguments: Any) -> None:
        """Publish, and with publisher confirms wait for the answer."""
        self._host.hold()

        def send() -> bool:
            raw = self._raw_of(channel)
            self._confirms.clear()
            self._returned.clear()
            raw.basic_publish(*arguments)
            self._send_now()
            return self._confirming

        if self._host.run(send):
            self._wait(channel, lambda: bool(self._confirms))
            if not self._confirms[0]:
                raise pika.exceptions.NackError(self._returned)
            if self._returned:
                raise pika.exceptions.UnroutableError(self._returned)

    def request(self, channel: WorkerChannel, name: str, arguments: dict[str, Any]) -> Any:
        """Send what the broker answers, and return the answer."""
        self._host.hold()
        answers: list[Any] = []

        def send() -> None:
            getattr(self._raw_of(channel), name)(**arguments, callback=answers.append)
            self._send_now()

        self._host.run(send)
        self._wait(channel, lambda: bool(answers))
        return answers[0]

    def get(self, channel: WorkerChannel, queue: str, auto_ack: bool) -> tuple[Any, Any, Any]:
        """Fetch one message."""
        self._host.hold()

        def send() -> None:
            raw = self._raw_of(channel)
            self._fetched.clear()
            raw.basic_get(queue, lambda _channel, *message: self._fetched.append(message), auto_ack)
            self._send_now()

        self._host.run(send)
        self._wait(channel, lambda: bool(self._fetched))
        return self._fetched[0]

    def turn_confirms_on(self, channel: WorkerChannel) -> None:
        """Have `publish` wait for the broker's answer from now on."""
        if not self._confirming:
            self.request(channel, "confirm_delivery", {"ack_nack_callback": _nothing})
            self._confirming = True

    def stop_consuming(self, consumer_tag: str | None) -> None:
        """Take no more deliveries, as a program does that ends after this."""
        self._host.hold()
        if consumer_tag in (None, self._host.name):
            self._host.request_stop()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have the owner of the connection call `function` at its next turn."""
        self._life.soon(lambda: _call(function))

    def _wait(self, channel: WorkerChannel, answered: Callable[[], bool]) -> None:
        """Keep I/O going until the broker has answered.

        Raises:
            AMQPError: It closed the channel instead, or is gone.
        """
        self._host.run(lambda: self._host.poll_until(lambda: answered() or not self.is_open(channel)))
        if not answered():
            raise self._error or self._lost_by or pika.exceptions.ChannelWrongStateError("Channel is closed.")

    def _raw_of(self, channel: WorkerChannel) -> Channel:
        """Return pika's channel, with all sent that was asked for before.

        Raises:
            ChannelWrongStateError: It is closed.
        """
        raw = self._life.channel
        if raw is None or not self.is_open(channel):
            raise pika.exceptions.ChannelWrongStateError("Channel is closed.")
        self._flush()
        return raw

    # -- for the worker, from any thread --------------------------------------------------------------

    def done_with(self, delivery: IncomingMessage) -> None:
        """Take note that the callback returned; an auto-ack delivery is settled by that. Under `lock`."""
        self._observer.deliveries.at_hand.pop(delivery.held, None)

    def record(self, kind: str, delivery: IncomingMessage, detail: Detail = "") -> None:
        """Record an event about a delivery."""
        self._observer.deliveries.record(kind, delivery.held, detail)

    def cut_at_once(self, state: str, error: BaseException | None = None) -> bool:
        """Cut the TCP connection here and now, if nothing waits to be sent on it, and all that was sent has arrived.

        Returns:
            Whether it is cut. If not, `cut` must do it, when that is so.
        """
        with self.lock:
            if self.gone or self._is_cut():
                return True
            connection = self._life.connection
            if connection is None or not connection.is_open:
                return False
            if self._acks or pika_private.unsent_bytes(connection) or self._is_in_doubt():
                return False
            self._cut(connection, state, error)
        return True

    def give_up(self, state: str) -> None:
        """Cut what there is to cut, whatever waits; for the case that nobody looks after the connection."""
        with self.lock:
            if not self._is_cut() and self._life.connection is not None:
                self._cut(self._life.connection, state, None)

    def _cut(self, connection: pika.SelectConnection, state: str, error: BaseException | None) -> None:
        """Cut the connection; what it held is released before the broker can give it to others. Under `lock`."""
        self._ending, self._error = state, error
        self._observer.deliveries.dead = True
        self._record_end()
        self._release_for_good()
        pika_private.cut(connection)

    def _is_cut(self) -> bool:
        return self._ending in ("killed", "crashed")

    # -- opening --------------------------------------------------------------------------------------

    def connect(self, loop: IOLoop, finish: Callable[[], None]) -> None:
        """Begin to connect on `loop`; `finish` ends the pump once there is nothing left to do."""
        self._pump_finish = finish
        self._life.begin(loop)

    def is_leaving(self) -> bool:
        """Whether the worker is at its end, of one kind or another."""
        return bool(self._ending)

    def channel_opened(self, channel: Channel) -> None:
        """Prepare to consume."""
        self._channel = WorkerChannel(self, channel.channel_number)
        self._confirming = False
        channel.add_on_cancel_callback(self._on_cancelled)
        channel.add_on_return_callback(self._on_returned)
        channel.add_callback(lambda _frame: self._fetched.append((None, None, None)), [Basic.GetEmpty], one_shot=False)
        if self._options.prefetch_count:
            channel.basic_qos(prefetch_count=self._options.prefetch_count, callback=self._on_qos)
        else:
            self._prepared()

    def _on_qos(self, _frame: Any) -> None:
        self._prepared()

    def _prepared(self) -> None:
        if self._life.was_ready:
            self.consume()
        else:
            self._host.prepared()

    def consume(self) -> None:
        """Ask for deliveries."""
        channel = self._life.channel
        if channel is None or not channel.is_open or self._ending:
            return
        channel.basic_consume(
            self._options.queue,
            self._on_message,
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

    def _on_message(self, _raw: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        channel = self._channel
        assert channel is not None  # noqa: S101 - set before the consumer existed
        with self.lock:
            held = self._observer.deliveries.latest
            if held is not None and (held.auto_ack or not self._is_cut()):
                self.waiting.append(IncomingMessage(channel, method, properties, body, held))

    def _on_returned(self, _raw: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        self._returned.append(ReturnedMessage(method, properties, body))

    def _on_confirm(self, _mark: str, confirmed: bool) -> None:
        self._confirms.append(confirmed)

    def after_poll(self) -> None:
        """Send what waits to be sent, and say goodbye if it is time."""
        if self._acks:
            self._flush()
            self._send_now()
        if self._ending == "stopped" and not self._host.is_working() and not self._cancelling:
            self._life.close()

    def _flush(self) -> None:
        """Send the acknowledgments that wait, in one frame those of the oldest deliveries."""
        raw, channel = self._life.channel, self._channel
        with self.lock:
            acks, self._acks = self._acks, {}
        if not acks:
            return
        if raw is None or channel is None or not self.is_open(channel):
            self._drop(acks)
            return
        oldest = []
        for tag in self._observer.unsettled(raw.channel_number):
            if tag not in acks:
                break
            oldest.append(tag)
        if oldest:
            raw.basic_ack(oldest[-1], multiple=len(oldest) > 1)
        for tag in acks.keys() - oldest:
            raw.basic_ack(tag)

    def _drop(self, acks: Iterable[int]) -> None:
        for tag in acks:
            self._record("ack dropped", delivery_tag=tag, detail="the connection was lost before it was sent")

    def _send_now(self) -> None:
        if self._life.connection is not None:
            # A turn of the loop for a few bytes would cost a tenth of the throughput at prefetch count 1.
            pika_private.send_now(self._life.connection)

    # -- the end, of one kind or another --------------------------------------------------------------

    def stop(self) -> None:
        """Take no more deliveries, and say goodbye when the task in hand is done."""
        if self._ending or self.gone:
            return
        self._end_as("stopped")
        channel = self._life.channel
        if channel is None or not (channel.is_open or self._closed):
            self._life.abandon()
        elif self._closed:
            return  # goodbye is said when the callback is done
        elif self._options.auto_ack and self._host.name in channel.consumer_tags:
            # What is on its way is nobody else's: the log must see it before the goodbye.
            self._cancelling = True
            pika_private.cancel_and_go_on_receiving(channel, self._host.name, self._on_cancel_ok)
        elif self._host.is_working():
            channel.basic_cancel(self._host.name)

    def _end_as(self, state: str, error: BaseException | None = None) -> None:
        self._ending, self._error = state, error
        self._observer.why = f"the worker was {state}"

    def _on_cancel_ok(self, _frame: Any) -> None:
        self._cancelling = False

    def cut(self, state: str, error: BaseException | None = None) -> None:
        """Cut the TCP connection once everything has arrived that was asked for, or the attempt to open one.

        RabbitMQ drops what a channel has not come to when its connection ends: of a hundred acknowledgments in the
        socket some are lost. What the learner saw acknowledged would come again, so the broker is asked first.
        """
        if self.gone or self._is_cut() or self._waits_for_an_answer():
            return
        connection = self._life.connection
        if self._acks:
            self._flush()
            self._send_now()
        if connection is None or not connection.is_open:
            self._end_as(state, error)
            self._observer.deliveries.dead = True  # what comes while it still says goodbye is for others
            self._record_end()
            self._life.abandon()
        elif pika_private.unsent_bytes(connection) and self._flush_turns < _FLUSH_TURNS:
            # pika's own basic_ack would have been on its way before the crash; the next poll sends it.
            self._flush_turns += 1
            self._life.soon(lambda: self.cut(state, error))
        elif self._is_in_doubt() and self._question is None and not self._observer.is_blocked:
            self._ask(lambda: self.cut(state, error))
        else:
            with self.lock:
                if not self._is_cut():
                    self._cut(connection, state, error)

    def _is_in_doubt(self) -> bool:
        """Whether the broker may not know yet of what was settled."""
        channel = self._life.channel
        return channel is not None and channel.is_open and self._observer.in_doubt(channel.channel_number)

    def _ask(self, go_on: Callable[[], None]) -> None:
        """Ask for an answer that comes after all that was sent, and go on when it is here, or does not come in time."""
        self._question = question = _Question(go_on)
        assert self._life.channel is not None  # noqa: S101 - it is in doubt
        # It asks for what is so already, and changes nothing.
        self._life.channel.flow(True, lambda _frame: question.close())
        self._life.later(_ANSWER_SECONDS, question.close)
        self._send_now()

    def _waits_for_an_answer(self) -> bool:
        return self._question is not None and self._question.is_open

    def failed(self, error: BaseException) -> None:
        """End by an error in the loop itself, as a program would: its connection is cut."""
        with self.lock:
            connection = self._life.connection
            if self._is_cut() or connection is None or not connection.is_open:
                self._ending = self._ending or "crashed"
                self._error = self._error or error
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
        if not self._ending:
            self._end_as("crashed", reason)
        if not self._options.auto_ack:
            self._channel = None
        self._life.close()

    def _on_cancelled(self, _frame: Any) -> None:
        # pika's start_consuming returns here, and the program comes to its end.
        if not self._ending:
            self._end_as("stopped")

    def connection_closed(self, reason: BaseException) -> None:
        """End, or begin anew."""
        consumed = self._channel is not None and self._life.was_ready
        if self._ending:
            answered = isinstance(reason, pika.exceptions.ConnectionClosedByClient)
            if self._ending == "stopped" and consumed and not answered:
                # Its goodbye was not answered: nobody knows what of its last acks arrived.
                self._record("disconnected", detail=_reason_text(reason))
                self._observer.connection_closed("the connection was lost", answered=False)
            self.ended()
            return
        self._channel, self._lost_by = None, reason
        self._record("disconnected", detail=_reason_text(reason))
        if self._question is not None:
            self._observer.connection_closed("the connection was lost", answered=False)
            self._question.close()
            return
        if not self._life.was_ready or self._life.is_refused:
            self._end_as("crashed", reason)
            self.ended()
            return
        # What is already here under auto-ack is nobody else's; the rest will be delivered again.
        self._observer.connection_closed("the connection was lost", answered=False)
        self._host.interrupted(_reason_text(reason))
        self._record("reconnecting")
        self._life.open_again()

    def ended(self) -> None:
        """Release what the worker held, and tell it that this was all."""
        with self.lock:
            if self.gone:
                return
            self.gone = True
            self._ending = self._ending or "crashed"
            self._release_for_good()
        self._record_end()
        self._host.ended(self._ending, self._error)
        self._pump_finish()

    def _record_end(self) -> None:
        if not self._end_recorded:
            self._end_recorded = True
            self._record(self._ending, detail="" if self._error is None else _reason_text(self._error))

    def _release_for_good(self) -> None:
        """Take note of what becomes of the deliveries that the worker holds at its end. Under `lock`."""
        why = f"the worker was {self._ending}"
        self.waiting.clear()
        self._drop(self._acks)
        self._acks = {}
        self._observer.release(why, by_a_cut=self._is_cut())
        self._observer.deliveries.drop(why)

    def _record(self, kind: str, delivery_tag: int | None = None, detail: Detail = "") -> None:
        self._log.record(kind, self._host.name, self._options.queue, delivery_tag=delivery_tag, detail=detail)


def _reason_text(reason: BaseException) -> str:
    if isinstance(reason, pika.exceptions.ConnectionClosed):
        return f"{reason.reply_code} {reason.reply_text}"
    words = said(reason)
    return f"{type(reason).__name__}: {words}" if words else type(reason).__name__


def _number(tag: object) -> int | None:
    return tag if isinstance(tag, int) else None


def _call(function: Callable[[], object]) -> None:
    with contextlib.suppress(WorkerKilled):  # outside of a callback there is nothing to unwind
        function()


def _nothing(_frame: Any) -> None:
    """Do nothing: the observer has seen it."""
