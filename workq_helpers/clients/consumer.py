"""`Consumer`: a worker's connection to the broker, and everything that happens on it.

Its methods belong to the owner of the connection (see `pump`), except where they say that any thread may
call them.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pika
import pika.exceptions
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.pump import reconnect_pause_seconds
from workq_helpers.clients.worker_channel import WorkerChannel
from workq_helpers.log.details import CloseReason, ConsumeOptions, Detail, Handback, Mistake, PublishOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import MessageIds, encode_body, is_persistent, task_text

__all__ = ["Consumer", "ConsumerOptions", "Delivery", "Host"]

#: How many turns of the loop a cut waits for acknowledgments that the socket has not taken yet.
_FLUSH_TURNS = 100


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


class Delivery(NamedTuple):
    """One message handed to the worker."""

    channel: WorkerChannel
    method: Basic.Deliver
    properties: BasicProperties
    body: bytes
    message_id: str
    task: str


#: What a worker's channel was asked to send: the channel, the kind, its arguments, the deliveries it settles.
_Request = tuple[WorkerChannel, str, tuple[Any, ...], list[Delivery]]


class Host(Protocol):
    """The worker that a consumer reports to; it is called by the owner of the connection."""

    name: str

    def is_working(self) -> bool:
        """Whether a callback runs at this moment."""

    def hold(self) -> None:
        """Hold the callback while the worker is frozen, and unwind it once it is killed."""

    def prepared(self) -> None:
        """Learn that everything up to ``basic_consume`` is done."""

    def consuming(self) -> None:
        """Learn that deliveries may come."""

    def interrupted(self, reason: str) -> None:
        """Learn that the connection was lost and is being opened again."""

    def ended(self, state: str, error: BaseException | None) -> None:
        """Learn that this was all: ``state`` is "stopped", "killed" or "crashed"."""


class Consumer:
    """One consumer on one channel of one connection, opened again when the broker comes back.

    Args:
        host: The worker it belongs to.
        options: What to consume, and how.
        parameters: Where to connect.
        log: Where events go.
        ids: Recognizes messages without an id.
    """

    def __init__(
        self,
        host: Host,
        options: ConsumerOptions,
        parameters: pika.ConnectionParameters,
        log: EventLog,
        ids: MessageIds,
    ) -> None:
        self._host = host
        self._options = options
        self._parameters = parameters
        self._log = log
        self._ids = ids
        self._loop: IOLoop | None = None
        self._connection: pika.SelectConnection | None = None
        self._pump_finish: Callable[[], None] = lambda: None
        self._raw: Channel | None = None
        self._channel: WorkerChannel | None = None
        self._ending = ""
        self._error: BaseException | None = None
        self._attempts = 0
        self._was_ready = False
        self._flush_turns = 0
        self._end_recorded = False
        self._cancelling = False
        self._requests: deque[_Request] = deque()
        self._sending = False
        self._unsettled: dict[int, Delivery] = {}
        self.nudge: Callable[[], None] = lambda: None
        #: Deliveries that wait for the worker's callback.
        self.waiting: deque[Delivery] = deque()
        #: Held while a delivery changes hands, so that the log never says "finished" after "lost".
        self.lock = threading.Lock()
        #: Whether the connection is gone for good.
        self.gone = False

    # -- from any thread ------------------------------------------------------------------------------

    def settle(self, channel: WorkerChannel, kind: str, tag: int, multiple: bool, requeue: bool) -> None:
        """Send basic.ack, basic.nack or basic.reject on a worker's channel; any thread may call this.

        It is recorded here and now, as pika's own call would return here and now; the owner sends it.

        Args:
            channel: The channel that the callback was given.
            kind: "acked", "nacked" or "rejected".
            tag: The delivery tag.
            multiple: Whether it speaks for all deliveries up to `tag`, or for all if that is 0.
            requeue: Whether what is not acked goes back to the queue.
        """
        self._host.hold()
        detail: Detail = "" if kind == "acked" else Handback.REQUEUE if requeue else Handback.DISCARD
        with self.lock:
            if channel is not self._channel or self.gone or self._is_cut():
                self._record("ack dropped", delivery_tag=tag, detail="its channel is gone")
                return
            settled = self._take(tag, multiple)
            for delivery in settled:
                self._record_delivery(kind, delivery, detail)
            if not settled:
                self._record(kind, delivery_tag=tag, detail=Mistake.UNKNOWN_DELIVERY_TAG)
            self._requests.append((channel, kind, (tag, multiple, requeue), settled))
        self.nudge()

    def publish(self, channel: WorkerChannel, *arguments: Any) -> None:
        """Publish on a worker's channel; any thread may call this."""
        self._host.hold()
        self._requests.append((channel, "published", arguments, []))
        self.nudge()

    def _take(self, tag: int, multiple: bool) -> list[Delivery]:
        if self._options.auto_ack:
            # Nothing is left to settle: the broker will close the channel for this.
            return []
        if not multiple:
            delivery = self._unsettled.pop(tag, None)
            return [] if delivery is None else [delivery]
        tags = [known for known in list(self._unsettled) if known <= tag or tag == 0]
        return [self._unsettled.pop(known) for known in tags]

    def done_with(self, delivery: Delivery) -> None:
        """Take note that the callback returned; an auto-ack delivery is settled by that. Under `lock`."""
        if self._options.auto_ack:
            self._unsettled.pop(delivery.method.delivery_tag, None)

    def new_message_id(self) -> str:
        """Return an id for a message that a callback publishes; any thread may call this."""
        return self._ids.new()

    def cut_at_once(self, state: str, error: BaseException | None = None) -> bool:
        """Cut the TCP connection here and now, if nothing waits to be sent on it; any thread may call this.

        Args:
            state: "killed" or "crashed".
            error: The error that ended it.

        Returns:
            Whether it is cut. If not, `cut` must do it, when it has sent what waits.
        """
        with self.lock:
            if self.gone or self._is_cut():
                return True
            connection = self._connection
            if connection is None or not connection.is_open:
                return False
            if self._requests or self._sending or pika_private.unsent_bytes(connection):
                return False
            self._cut(connection, state, error)
        return True

    def _cut(self, connection: pika.SelectConnection, state: str, error: BaseException | None) -> None:
        """Cut the connection; what it held is released before the broker can give it to others. Under `lock`."""
        self._ending, self._error = state, error
        self._record_end()
        self._release_for_good()
        pika_private.cut(connection)

    def _is_cut(self) -> bool:
        return self._ending in ("killed", "crashed")

    # -- opening --------------------------------------------------------------------------------------

    def connect(self, loop: IOLoop, finish: Callable[[], None]) -> None:
        """Begin to connect on `loop`; `finish` ends the pump once there is nothing left to do."""
        self._loop = loop
        self._pump_finish = finish
        self._open()

    def _open(self) -> None:
        if self._ending:
            self._end()
            return
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_closed,
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, raw: Channel) -> None:
        self._raw = raw
        self._channel = WorkerChannel(self, raw.channel_number)
        raw.add_on_close_callback(self._on_channel_closed)
        raw.add_on_cancel_callback(self._on_cancelled)
        if self._options.prefetch_count:
            raw.basic_qos(prefetch_count=self._options.prefetch_count, callback=self._on_qos)
        else:
            self._prepared()

    def _on_qos(self, _frame: Any) -> None:
        self._prepared()

    def _prepared(self) -> None:
        if self._was_ready:
            self.consume()
        else:
            self._host.prepared()

    def consume(self) -> None:
        """Ask for deliveries."""
        if self._raw is None or not self._raw.is_open or self._ending:
            return
        self._raw.basic_consume(
            self._options.queue,
            self._on_message,
            auto_ack=self._options.auto_ack,
            consumer_tag=self._host.name,
            arguments=self._options.arguments,
            callback=self._on_consume_ok,
        )

    def _on_consume_ok(self, _frame: Any) -> None:
        self._was_ready = True
        self._attempts = 0
        self._record("connected", detail=self._options.logged)
        self._host.consuming()

    # -- deliveries -----------------------------------------------------------------------------------

    def _on_message(self, _raw: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        channel = self._channel
        assert channel is not None  # noqa: S101 - set before the consumer existed
        tag = method.delivery_tag
        queue = self._options.queue
        message_id = properties.message_id or self._ids.of_stray(queue, body, method.redelivered)
        task = task_text(body)
        delivery = Delivery(channel, method, properties, body, message_id, task)
        with self.lock:
            if self._is_cut() and not self._options.auto_ack:
                return  # another thread cut the connection: the dead get nothing, and the broker puts it back
            self._unsettled[tag] = delivery
            self._log.record("delivered", self._host.name, queue, message_id, task, tag, method.redelivered)
            self.waiting.append(delivery)

    def after_poll(self) -> None:
        """Send what was asked for from other threads, and say goodbye if it is time."""
        if self._requests:
            self._send_requests()
        if self._ending == "stopped" and not self._host.is_working() and not self._cancelling:
            self._say_goodbye()

    def _send_requests(self) -> None:
        with self.lock:
            requests = list(self._requests)
            self._requests.clear()
            self._sending = True
            boundary = self._boundary(requests)
        raw = self._raw
        merged = 0
        for channel, kind, arguments, settled in requests:
            if channel is not self._channel or raw is None or not raw.is_open or self._is_cut():
                self._drop(settled)
            elif kind == "acked" and settled and not arguments[1] and arguments[0] < boundary:
                merged = max(merged, arguments[0])
            elif kind == "acked":
                raw.basic_ack(*arguments[:2])
            elif kind == "nacked":
                raw.basic_nack(*arguments)
            elif kind == "rejected":
                raw.basic_reject(arguments[0], arguments[2])
            else:
                self._publish(raw, *arguments)
        if merged and raw is not None:
            raw.basic_ack(merged, multiple=True)
        if self._connection is not None:
            # A turn of the loop for a few bytes would cost a tenth of the throughput at prefetch count 1.
            pika_private.send_now(self._connection)
        self._sending = False

    def _boundary(self, requests: list[_Request]) -> float:
        """Return the first tag that an ack of several may not cover. Under `lock`.

        Acks that come together are sent as one, up to the first delivery that is not settled or that is
        settled in another way: a frame for each would cost a tenth of the throughput at a high prefetch count.
        """
        tags: list[int] = [arguments[0] for _, kind, arguments, _ in requests if kind in ("nacked", "rejected")]
        oldest: float = next(iter(self._unsettled), math.inf)
        return min(oldest, *tags) if tags else oldest

    def _drop(self, settled: list[Delivery]) -> None:
        """Take note that the broker never saw these settled, and so puts them back."""
        for delivery in settled:
            self._record_delivery("ack dropped", delivery, "the connection was lost before it was sent")
            self._record_delivery("requeued", delivery, "the connection was lost")

    def _publish(
        self,
        raw: Channel,
        exchange: str,
        routing_key: str,
        body: object,
        properties: BasicProperties,
        mandatory: bool,
    ) -> None:
        encoded = encode_body(body)
        self._log.record(
            "published",
            self._host.name,
            routing_key if not exchange else "",
            properties.message_id,
            task_text(encoded),
            detail=PublishOptions(is_persistent(properties)),
        )
        raw.basic_publish(exchange, routing_key, encoded, properties, mandatory)

    # -- the end, of one kind or another --------------------------------------------------------------

    def stop(self) -> None:
        """Take no more deliveries, and say goodbye when the task in hand is done."""
        if self._ending or self.gone:
            return
        self._ending = "stopped"
        if self._raw is None or not self._raw.is_open:
            self._abandon_opening()
        elif self._options.auto_ack and self._host.name in self._raw.consumer_tags:
            # What is on its way is nobody else's: the log must see it before the goodbye.
            self._cancelling = True
            pika_private.cancel_and_go_on_receiving(self._raw, self._host.name, self._on_cancel_ok)
        elif self._host.is_working():
            self._raw.basic_cancel(self._host.name)

    def _on_cancel_ok(self, _frame: Any) -> None:
        self._cancelling = False

    def cut(self, state: str, error: BaseException | None = None) -> None:
        """Cut the TCP connection once everything is sent that was asked for, or the attempt to open one.

        Args:
            state: "killed" or "crashed".
            error: The error that ended it.
        """
        if self.gone or self._is_cut():
            return
        connection = self._connection
        self._send_requests()
        if connection is None or not connection.is_open:
            self._ending, self._error = state, error
            self._record_end()
            self._abandon_opening()
        elif pika_private.unsent_bytes(connection) and self._flush_turns < _FLUSH_TURNS:
            # pika's own basic_ack would have been on its way before the crash; the next poll sends it.
            self._flush_turns += 1
            self._call_soon(lambda: self.cut(state, error))
        else:
            with self.lock:
                if not self._is_cut():
                    self._cut(connection, state, error)

    def failed(self, error: Exception) -> None:
        """Give up after an error in the loop itself."""
        self._ending, self._error = "crashed", error
        self._end()

    def _say_goodbye(self) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.close()

    def _abandon_opening(self) -> None:
        """End while there is no open connection: now, or when the attempt under way comes to its end."""
        connection = self._connection
        if connection is None or connection.is_closed:
            self._end()
        elif not connection.is_closing:
            connection.close()

    def _on_open_error(self, _connection: Any, error: BaseException | str) -> None:
        self._connection = None
        failure = error if isinstance(error, BaseException) else pika.exceptions.AMQPConnectionError(error)
        if self._ending:
            self._end()
        elif self._was_ready:
            self._try_again()
        else:
            self._ending, self._error = "crashed", failure
            self._end()

    def _on_channel_closed(self, _raw: Channel, reason: Exception) -> None:
        if not isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            return
        self._record("channel closed", detail=CloseReason(reason.reply_code, reason.reply_text))
        if not self._ending:
            # pika's start_consuming raises here, which ends a program like the tutorial's.
            self._ending, self._error = "crashed", reason
        if not self._options.auto_ack:
            # The broker gives them to others by now, and does not wait for the end of the connection.
            with self.lock:
                self._channel = None
                self.waiting.clear()
                self._release("requeued", "the broker closed the channel")
        self._say_goodbye()

    def _on_cancelled(self, _frame: Any) -> None:
        self._record("cancelled", detail="by the broker")
        # pika's start_consuming returns here, and the program comes to its end.
        self._ending = self._ending or "stopped"

    def _on_closed(self, _connection: Any, reason: BaseException) -> None:
        consumed = self._raw is not None and self._was_ready
        self._connection = None
        self._raw = None
        if self._ending:
            answered = isinstance(reason, pika.exceptions.ConnectionClosedByClient)
            if self._ending == "stopped" and consumed and not answered:
                # Its goodbye was not answered: nobody knows what of its last acks arrived.
                self._record("disconnected", detail=_reason_text(reason))
            self._end()
            return
        self._channel = None
        self._record("disconnected", detail=_reason_text(reason))
        if not self._was_ready:
            self._ending, self._error = "crashed", reason
            self._end()
            return
        if not self._options.auto_ack:
            # What is already here under auto-ack is nobody else's; the rest will be delivered again.
            with self.lock:
                self.waiting.clear()
                self._release("requeued", "the connection was lost")
        self._host.interrupted(_reason_text(reason))
        self._record("reconnecting")
        self._try_again()

    def _try_again(self) -> None:
        pause = reconnect_pause_seconds(self._attempts)
        self._attempts += 1
        assert self._loop is not None  # noqa: S101 - set by connect()
        self._loop.call_later(pause, self._open)

    def _call_soon(self, function: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101 - set by connect()
        self._loop.add_callback_threadsafe(function)

    def _end(self) -> None:
        if self.gone:
            return
        with self.lock:
            self.gone = True
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
        self.waiting.clear()
        self._release("lost" if self._options.auto_ack else "requeued", f"the worker was {self._ending}")

    def _release(self, kind: str, detail: str) -> None:
        while self._requests:
            self._drop(self._requests.popleft()[-1])
        for delivery in self._unsettled.values():
            self._record_delivery(kind, delivery, detail)
        self._unsettled.clear()

    # -- the log --------------------------------------------------------------------------------------

    def _record(self, kind: str, delivery_tag: int | None = None, detail: Detail = "") -> None:
        self._log.record(kind, self._host.name, self._options.queue, delivery_tag=delivery_tag, detail=detail)

    def _record_delivery(self, kind: str, delivery: Delivery, detail: Detail) -> None:
        method = delivery.method
        self._log.record(
            kind,
            self._host.name,
            self._options.queue,
            delivery.message_id,
            delivery.task,
            method.delivery_tag,
            method.redelivered,
            detail,
        )


def _reason_text(reason: BaseException) -> str:
    if isinstance(reason, pika.exceptions.ConnectionClosed):
        return f"{reason.reply_code} {reason.reply_text}"
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
