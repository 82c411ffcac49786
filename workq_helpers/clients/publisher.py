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
from pika.spec import BasicProperties

from workq_helpers.clients import pika_private
from workq_helpers.clients.connection_life import ConnectionLife
from workq_helpers.clients.pump import Pump
from workq_helpers.errors import WaitTimeoutError, WorkqError
from workq_helpers.log.book import Book
from workq_helpers.log.messages import encode_body
from workq_helpers.log.observer import Observer
from workq_helpers.text import said

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


class _OutgoingMessage(NamedTuple):
    body: bytes
    properties: BasicProperties


class Publisher:
    """Sends tasks from an iterable on a connection of its own; `Lesson.start_publisher` makes them.

    With confirms, what was not confirmed when the connection was lost is published again once the broker is back.
    What became of the first one nobody knows then.

    Args:
        name: Its name in the log.
        tasks: What to send, text or bytes each; taken one after another in the background.
        options: How to publish.
        parameters: Where to connect.
        book: Where events go.
        explain: Turns pika's exception into one of ours.
    """

    def __init__(
        self,
        name: str,
        tasks: Iterable[str | bytes],
        options: PublisherOptions,
        *,
        parameters: pika.ConnectionParameters,
        book: Book,
        explain: Callable[[BaseException], WorkqError],
    ) -> None:
        self.name = name
        self.queue = options.routing_key if not options.exchange else ""
        #: Messages handed to the broker, confirmed and refused by it, and returned as unroutable.
        self.published = self.confirmed = self.refused = self.returned = 0
        self._options = options
        self._tasks: Iterator[str | bytes] = iter(tasks)
        self._log = book.log
        self._observer = Observer(name, book)
        self._observer.appearance.queue = self.queue
        self._observer.publications.on_confirm = self._on_confirm
        self._explain = explain
        self._delivery_mode = pika.DeliveryMode.Persistent.value if options.persistent else None
        self._life = ConnectionLife(self, parameters, self._observer)
        self._may_begin = False
        self._ready: deque[_OutgoingMessage] = deque()
        self._unconfirmed: dict[str, _OutgoingMessage] = {}
        self._exhausted = False
        self._leaving = False
        self._closing = False
        self._answered = False
        self._blocked = False
        self._timer: object | None = None
        self._next_due = 0.0
        self._phase = "starting"
        self._error: BaseException | None = None
        self._task_error: BaseException | None = None
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
            self._pump.call(self._leave)

    def join(self, timeout: float) -> bool:
        """Wait for its threads; return whether they ended."""
        return self._pump.join(timeout)

    # -- Job: called by the pump; the owner of the connection, but for do_work ------------------------

    def connect(self, loop: IOLoop) -> None:
        """Begin to connect."""
        self._life.begin(loop)

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
        except BaseException as error:  # noqa: BLE001 - the learner's iterable may raise anything
            # What came before the error is still published; wait() raises it as it is.
            self._task_error = error
            self._exhausted = True

    def after_poll(self) -> None:
        """Publish what is due, and close when nothing is left."""
        if not self._may_begin or not self._life.is_open or self._closing:
            return
        while self._ready and not self._leaving and self._may_publish():
            self._publish(self._ready.popleft())
            self.published += 1
        if self._leaving or (self._exhausted and not self._ready):
            self._close_when_settled()

    def failed(self, error: BaseException) -> None:
        """End by an error in the loop itself, as a program would: its connection is cut."""
        self._error = error
        if self._life.connection is not None:
            pika_private.cut(self._life.connection)
        self._end("crashed")

    def over(self) -> None:
        """Learn that nobody looks after the connection any more."""
        self._end("crashed")

    # -- publishing -----------------------------------------------------------------------------------

    def _wanted_ahead(self) -> int:
        if not self._options.interval_seconds:
            return _BATCH
        return max(1, min(_BATCH, int(_CATCH_UP_SECONDS / self._options.interval_seconds)))

    def _message(self, task: str | bytes) -> _OutgoingMessage:
        body = encode_body(task)
        return _OutgoingMessage(body, BasicProperties(delivery_mode=self._delivery_mode))

    def _may_publish(self) -> bool:
        if self._blocked or len(self._unconfirmed) >= _MOST_UNCONFIRMED:
            return False
        if self._options.interval_seconds:
            return self._is_due()
        assert self._life.connection is not None  # noqa: S101 - its channel is open
        return pika_private.unsent_bytes(self._life.connection) < _LARGEST_BUFFER_BYTES

    def _is_due(self) -> bool:
        now = time.monotonic()
        remaining = self._next_due - now if self._next_due else 0.0
        self._next_due = self._next_due or now
        if remaining <= 0:
            # Small delays are caught up on, so that a rate is kept; after a long one there is no burst.
            self._next_due = max(self._next_due, now - _CATCH_UP_SECONDS) + self._options.interval_seconds
            return True
        if self._timer is None:
            self._timer = self._life.later(remaining, self._on_timer)
        return False

    def _on_timer(self) -> None:
        self._timer = None

    def _publish(self, message: _OutgoingMessage) -> None:
        channel = self._life.channel
        assert channel is not None  # noqa: S101 - its callers look
        if self._options.confirm:
            self._unconfirmed[self._observer.next_mark()] = message
        channel.basic_publish(
            self._options.exchange,
            self._options.routing_key,
            message.body,
            message.properties,
            self._options.mandatory,
        )

    def _on_confirm(self, mark: str, confirmed: bool) -> None:
        if self._unconfirmed.pop(mark, None) is None:
            return
        if confirmed:
            self.confirmed += 1
        else:
            self.refused += 1

    def _on_returned(self, *_: Any) -> None:
        self.returned += 1

    # -- the connection -------------------------------------------------------------------------------

    def is_leaving(self) -> bool:
        """Whether it was asked to stop."""
        return self._leaving

    def channel_opened(self, channel: Channel) -> None:
        """Publish, once confirms are on if they are wanted."""
        connection = self._life.connection
        assert connection is not None  # noqa: S101 - its channel is open
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        channel.add_on_return_callback(self._on_returned)
        if self._options.confirm:
            channel.confirm_delivery(_nothing, callback=lambda _frame: self._begin())
        else:
            self._begin()

    def _begin(self) -> None:
        again, self._unconfirmed = self._unconfirmed, {}
        self._may_begin = True
        self._answered = False
        self._life.ready()
        self._log.record("connected", self.name, self.queue)
        self._set_phase("publishing")
        for mark, message in again.items():
            self._observer.publishes_again(mark)
            self._publish(message)

    def _on_blocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = True

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = False

    def _close_when_settled(self) -> None:
        if self._unconfirmed and not self._blocked:
            return
        self._closing = True
        assert self._life.channel is not None  # noqa: S101 - its caller looks
        # The channel first: its close-ok says that the broker has seen everything published before.
        self._life.channel.close()

    def channel_closed(self, reason: Exception) -> None:
        """Close the connection too, where it is the end."""
        self._answered = isinstance(reason, pika.exceptions.ChannelClosed)
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            self._error = reason
            self._leaving = self._closing = True
        if self._closing:
            self._life.close()

    def could_not_open(self, error: BaseException) -> None:
        """End: there is nothing to connect to."""
        self._error = error
        self._end("crashed")

    def ended(self) -> None:
        """Take note that it has stopped before there was anything to close."""
        self._end("stopped")

    def connection_closed(self, reason: BaseException) -> None:
        """End, or begin anew."""
        # Without an answer to its goodbye nobody knows what of its last messages arrived.
        unanswered = self._may_begin and not self._answered
        self._may_begin = False
        self._blocked = False
        over = self._leaving or (self._closing and not self._unconfirmed)
        if unanswered or not over:
            self._log.record("disconnected", self.name, self.queue, detail=f"{type(reason).__name__}: {reason}")
        if over:
            self._end("crashed" if self._error or self._task_error else "stopped" if self._leaving else "finished")
            return
        if self._life.is_refused:
            self.could_not_open(reason)
            return
        self._closing = False
        self._log.record("reconnecting", self.name, self.queue)
        self._set_phase("reconnecting")
        self._life.open_again()

    def _leave(self) -> None:
        """Stop while there is no open channel that `after_poll` could close."""
        if self.alive and not (self._may_begin and self._life.is_open):
            self._life.abandon()

    def _end(self, state: str) -> None:
        if not self.alive:
            return
        kind = "crashed" if state == "crashed" else "stopped"
        error = self._error or self._task_error
        detail = f"{type(error).__name__}: {said(error)}" if error else state
        self._log.record(kind, self.name, self.queue, detail=detail)
        self._set_phase(state)
        self._pump.finish()

    def _set_phase(self, phase: str) -> None:
        with self._changed:
            self._phase = phase
            self._changed.notify_all()
        self._log.poke()


def _nothing(_frame: Any) -> None:
    """Do nothing: the observer has seen it."""
