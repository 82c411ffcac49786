"""`Publisher`: tasks sent in the background."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pika
import pika.exceptions
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.pump import Pump, reconnect_pause_seconds
from workq_helpers.errors import WaitTimeoutError, WorkqError
from workq_helpers.log.details import CloseReason, PublishOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import MessageIds, encode_body, task_text

__all__ = ["Publisher", "PublisherOptions"]

#: Tasks taken from the iterable ahead of being published.
_BATCH = 500

#: How much pika may hold for the socket before the publisher waits, in bytes.
_LARGEST_BUFFER_BYTES = 256 * 1024

#: How many messages may wait for their confirm.
_MOST_UNCONFIRMED = 2_000

#: How far behind its schedule a publisher with an interval may fall and still catch up.
_CATCH_UP_SECONDS = 0.1


class PublisherOptions(NamedTuple):
    """How to publish, in pika's own words.

    Attributes:
        routing_key: With the default exchange, the name of the queue.
        exchange: The exchange; ``""`` is the default one.
        interval_seconds: Seconds from one message to the next; 0 for as fast as it goes.
        persistent: Whether messages ask to be kept on disk.
        confirm: Whether the broker confirms each message, asynchronously.
        mandatory: Whether the broker sends back what it can't route.
    """

    routing_key: str
    exchange: str = ""
    interval_seconds: float = 0.0
    persistent: bool = False
    confirm: bool = False
    mandatory: bool = False


class _Message(NamedTuple):
    body: bytes
    task: str
    properties: BasicProperties

    @property
    def message_id(self) -> str:
        return str(self.properties.message_id)


class Publisher:
    """Sends tasks from an iterable on a connection of its own; `Lesson.start_publisher` makes them.

    With confirms, what was not confirmed when the connection was lost is published again, with its old
    message id, once the broker is back.

    Args:
        name: Its name in the log.
        tasks: What to send, text or bytes each; taken one after another in the background.
        options: How to publish.
        parameters: Where to connect.
        log: Where events go.
        ids: Gives messages their ids.
        explain: Turns pika's exception into one of ours.
    """

    def __init__(
        self,
        name: str,
        tasks: Iterable[str | bytes],
        options: PublisherOptions,
        *,
        parameters: pika.ConnectionParameters,
        log: EventLog,
        ids: MessageIds,
        explain: Callable[[BaseException], WorkqError],
    ) -> None:
        self.name = name
        self.queue = options.routing_key if not options.exchange else ""
        #: Messages handed to the broker, confirmed and refused by it, and returned as unroutable.
        self.published = self.confirmed = self.refused = self.returned = 0
        self._options = options
        self._tasks: Iterator[str | bytes] = iter(tasks)
        self._parameters = parameters
        self._log = log
        self._ids = ids
        self._explain = explain
        self._delivery_mode = pika.DeliveryMode.Persistent.value if options.persistent else None
        self._loop: IOLoop | None = None
        self._connection: pika.SelectConnection | None = None
        self._raw: Channel | None = None
        self._ready: deque[_Message] = deque()
        self._unconfirmed: dict[int, _Message] = {}
        self._last_tag = 0
        self._exhausted = False
        self._leaving = False
        self._closing = False
        self._answered = False
        self._blocked = False
        self._timer: object | None = None
        self._next_due = 0.0
        self._attempts = 0
        self._was_ready = False
        self._phase = "starting"
        self._error: BaseException | None = None
        self._task_error: Exception | None = None
        self._changed = threading.Condition()
        self._pump = Pump(name, self)

    # -- what a learner sees --------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """One of starting, publishing, blocked, reconnecting, finished, stopped, crashed."""
        return "blocked" if self._phase == "publishing" and self._blocked else self._phase

    @property
    def alive(self) -> bool:
        """Whether it publishes, or will again."""
        return self._phase in ("starting", "publishing", "reconnecting")

    def wait(self, timeout: float | None = 60.0) -> None:
        """Wait until every task was published, and confirmed if confirms are on.

        Args:
            timeout: Seconds to wait at most; ``None`` for as long as it takes.

        Raises:
            WaitTimeoutError: It has not finished by then.
            WorkqError: It could not publish; the error says why.
            Exception: Whatever its iterable raised.
        """
        with self._changed:
            ended = self._changed.wait_for(lambda: not self.alive, timeout)
        if not ended:
            raise WaitTimeoutError(
                f"{self.name} is {self.state} after {timeout} seconds, with {self.published} messages published. "
                f"Wait longer with wait(timeout=None), or end it with stop()."
            )
        self._pump.join(timeout)
        if self._task_error is not None:
            raise self._task_error
        if self._error is not None:
            raise self._explain(self._error) from self._error

    def stop(self, timeout: float | None = 60.0) -> None:
        """Publish no more and close the connection properly; what was published stays published.

        Args:
            timeout: Seconds to wait at most; ``None`` for as long as it takes.

        Raises:
            WaitTimeoutError: Its iterable did not give control back in time.
        """
        self.request_stop()
        with self._changed:
            ended = self._changed.wait_for(lambda: not self.alive, timeout)
        if not ended:
            raise WaitTimeoutError(f"{self.name} has not stopped after {timeout} seconds: its tasks don't come.")
        self._pump.join(timeout)

    def __repr__(self) -> str:
        confirmed = f", {self.confirmed} confirmed" if self._options.confirm else ""
        return f"<Publisher {self.name}: {self.state}, {self.published} published{confirmed}>"

    # -- for the lesson -------------------------------------------------------------------------------

    def launch(self) -> None:
        """Begin to connect."""
        self._pump.start()

    def request_stop(self) -> None:
        """Ask it to stop and do not wait."""
        if self.alive:
            self._leaving = True
            self._pump.call(self._abandon_opening)

    def join(self, timeout: float) -> bool:
        """Wait for its threads; return whether they ended."""
        return self._pump.join(timeout)

    # -- Job: called by the pump; the owner of the connection, but for do_work ------------------------

    def connect(self, loop: IOLoop) -> None:
        """Begin to connect."""
        self._loop = loop
        self._open()

    def has_work(self) -> bool:
        """Whether more tasks are to be taken from the iterable."""
        return not (self._exhausted or self._leaving) and len(self._ready) < self._wanted_ahead()

    def do_work(self) -> None:
        """Take the next tasks; the iterable is the learner's and may take its time."""
        wanted = self._wanted_ahead()
        try:
            for task in itertools.islice(self._tasks, wanted):
                self._ready.append(self._message(task))
                self._pump.nudge()  # the next one may be long in coming
                wanted -= 1
                if self._leaving:
                    return
            # An iterable that gave less than was asked for has no more.
            self._exhausted = wanted > 0
        except Exception as error:  # noqa: BLE001 - the learner's iterable may raise anything
            # What came before the error is still published; wait() raises it as it is.
            self._task_error = error
            self._exhausted = True

    def after_poll(self) -> None:
        """Publish what is due, and close when nothing is left."""
        if self._raw is None or not self._raw.is_open or self._closing:
            return
        while self._ready and not self._leaving and self._may_publish():
            self._publish(self._ready.popleft())
        if self._leaving or (self._exhausted and not self._ready):
            self._close_when_settled()

    def failed(self, error: Exception) -> None:
        """Learn that polling raised."""
        self._error = error
        self._end("crashed")

    # -- publishing -----------------------------------------------------------------------------------

    def _wanted_ahead(self) -> int:
        if not self._options.interval_seconds:
            return _BATCH
        return max(1, min(_BATCH, int(_CATCH_UP_SECONDS / self._options.interval_seconds)))

    def _message(self, task: str | bytes) -> _Message:
        body = encode_body(task)
        properties = BasicProperties(message_id=self._ids.new(), delivery_mode=self._delivery_mode)
        return _Message(body, task_text(body), properties)

    def _may_publish(self) -> bool:
        if self._blocked or len(self._unconfirmed) >= _MOST_UNCONFIRMED:
            return False
        if self._options.interval_seconds:
            return self._is_due()
        assert self._connection is not None  # noqa: S101 - its channel is open
        return pika_private.unsent_bytes(self._connection) < _LARGEST_BUFFER_BYTES

    def _is_due(self) -> bool:
        now = time.monotonic()
        remaining = self._next_due - now if self._next_due else 0.0
        self._next_due = self._next_due or now
        if remaining <= 0:
            # Small delays are caught up on, so that a rate is kept; after a long one there is no burst.
            self._next_due = max(self._next_due, now - _CATCH_UP_SECONDS) + self._options.interval_seconds
            return True
        if self._timer is None:
            self._timer = self._later(remaining, self._on_timer)
        return False

    def _on_timer(self) -> None:
        self._timer = None

    def _publish(self, message: _Message, again: bool = False) -> None:
        assert self._raw is not None  # noqa: S101 - its callers look
        detail = PublishOptions(self._options.persistent, again)
        self._log.record("published", self.name, self.queue, message.message_id, message.task, detail=detail)
        if self._options.confirm:
            self._last_tag += 1
            self._unconfirmed[self._last_tag] = message
        self._raw.basic_publish(
            self._options.exchange,
            self._options.routing_key,
            message.body,
            message.properties,
            self._options.mandatory,
        )
        if not again:
            self.published += 1

    def _on_confirm(self, frame: Any) -> None:
        confirmed = isinstance(frame.method, Basic.Ack)
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        tags = [known for known in self._unconfirmed if known <= tag] if multiple else [tag]
        for known in tags:
            message = self._unconfirmed.pop(known, None)
            if message is None:
                continue
            if confirmed:
                self.confirmed += 1
            else:
                self.refused += 1
            kind = "confirmed" if confirmed else "refused"
            self._log.record(kind, self.name, self.queue, message.message_id, message.task, known)

    def _on_returned(self, _raw: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        self.returned += 1
        detail = CloseReason(method.reply_code, method.reply_text)
        self._log.record("returned", self.name, self.queue, properties.message_id, task_text(body), detail=detail)

    # -- the connection -------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._leaving:
            self._end("stopped")
            return
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_closed,
            custom_ioloop=self._loop,
        )
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, raw: Channel) -> None:
        raw.add_on_close_callback(self._on_channel_closed)
        raw.add_on_return_callback(self._on_returned)
        if self._options.confirm:
            raw.confirm_delivery(self._on_confirm, callback=lambda _frame: self._begin(raw))
        else:
            self._begin(raw)

    def _begin(self, raw: Channel) -> None:
        again, self._unconfirmed = list(self._unconfirmed.values()), {}
        self._last_tag = 0
        self._raw = raw
        self._answered = False
        self._was_ready = True
        self._attempts = 0
        self._log.record("connected", self.name, self.queue)
        self._set_phase("publishing")
        for message in again:
            self._publish(message, again=True)

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        self._blocked = True
        self._log.record("blocked", self.name, self.queue, detail=str(frame.method.reason))

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = False
        self._log.record("unblocked", self.name, self.queue)

    def _close_when_settled(self) -> None:
        if self._unconfirmed and not self._blocked:
            return
        self._closing = True
        assert self._raw is not None  # noqa: S101 - its caller looks
        # The channel first: its close-ok says that the broker has seen everything published before.
        self._raw.close()

    def _on_channel_closed(self, _raw: Channel, reason: Exception) -> None:
        connection = self._connection
        self._answered = isinstance(reason, pika.exceptions.ChannelClosed)
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            self._log.record(
                "channel closed", self.name, self.queue, detail=CloseReason(reason.reply_code, reason.reply_text)
            )
            self._error = reason
            self._leaving = self._closing = True
        if self._closing and connection is not None and connection.is_open:
            connection.close()

    def _on_open_error(self, _connection: Any, error: BaseException | str) -> None:
        self._connection = None
        failure = error if isinstance(error, BaseException) else pika.exceptions.AMQPConnectionError(error)
        if self._leaving:
            self._end("stopped")
        elif self._was_ready:
            self._try_again()
        else:
            self._error = failure
            self._end("crashed")

    def _on_closed(self, _connection: Any, reason: BaseException) -> None:
        # Without an answer to its goodbye nobody knows what of its last messages arrived.
        unanswered = self._raw is not None and not self._answered
        self._connection = None
        self._raw = None
        self._blocked = False
        over = self._leaving or (self._closing and not self._unconfirmed)
        if unanswered or not over:
            self._log.record("disconnected", self.name, self.queue, detail=f"{type(reason).__name__}: {reason}")
        if over:
            self._end("crashed" if self._error or self._task_error else "stopped" if self._leaving else "finished")
            return
        self._closing = False
        self._log.record("reconnecting", self.name, self.queue)
        self._set_phase("reconnecting")
        self._try_again()

    def _try_again(self) -> None:
        pause = reconnect_pause_seconds(self._attempts)
        self._attempts += 1
        self._later(pause, self._open)

    def _later(self, seconds: float, function: Callable[[], None]) -> object:
        assert self._loop is not None  # noqa: S101 - set by connect()
        return self._loop.call_later(seconds, function)

    def _abandon_opening(self) -> None:
        """Stop while there is no open channel that `after_poll` could close."""
        if not self.alive or (self._raw is not None and self._raw.is_open):
            return
        connection = self._connection
        if connection is None or connection.is_closed:
            self._end("stopped")
        elif not connection.is_closing:
            connection.close()

    def _end(self, state: str) -> None:
        if not self.alive:
            return
        kind = "crashed" if state == "crashed" else "stopped"
        error = self._error or self._task_error
        detail = f"{type(error).__name__}: {error}" if error else state
        self._log.record(kind, self.name, self.queue, detail=detail)
        self._set_phase(state)
        self._pump.finish()

    def _set_phase(self, phase: str) -> None:
        with self._changed:
            self._phase = phase
            self._changed.notify_all()
        self._log.poke()
