"""`Trial`: a lesson of its own in which an answer is tried, and what can be said about how it went."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pika.spec import BasicProperties

from workq_helpers.broker import find_broker
from workq_helpers.errors import CallbackSignatureError, CheckFailedError, WaitTimeoutError
from workq_helpers.log.ledger import Message
from workq_helpers.session import Session
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.broker import Broker
    from workq_helpers.clients.worker import Callback, Worker

__all__ = ["QUEUE", "Shared", "Trial"]

#: The queue of every trial.
QUEUE = "hello"

#: A message that was delivered so often goes round in circles.
MANY_DELIVERIES = 20

#: How long an answer may take in all, in seconds; the longest needs a tenth of it.
_PATIENCE_SECONDS = 60.0
_QUIET_SECONDS = 0.1
_COUNTS_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # longer than an idle lesson takes to believe that the log and the broker will not agree


class Trial:
    """An empty virtual host with one durable queue, in which an answer is tried.

    Args:
        name: Names the virtual host.
        broker: The broker to use; by default the one that `find_broker` finds.
    """

    def __init__(self, name: str, broker: Broker | None = None) -> None:
        self._own_broker = None if broker is not None else find_broker()
        try:
            self.lesson = Session(f"exercise {name}", broker or self._own_broker)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Trial:
        with self.lesson.connect() as connection:
            connection.channel().queue_declare(QUEUE, durable=True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.lesson.close()
        finally:
            self._release()

    def _release(self) -> None:
        if self._own_broker is not None:
            self._own_broker.close()

    # -- what is done

    def start(self, callback: object, *, prefetch_count: int = 0, name: str | None = None) -> Worker:
        """Start a worker with the learner's callback.

        Raises:
            CheckFailedError: It can't be called as pika calls it.
        """
        try:
            return self.lesson.start_worker(callback, QUEUE, prefetch_count=prefetch_count, name=name)  # type: ignore[arg-type]  # it says so itself
        except CallbackSignatureError as error:
            raise CheckFailedError(str(error)) from error

    def send(self, *orders: str, with_ids: bool = False) -> None:
        """Publish orders.

        Args:
            *orders: Their texts.
            with_ids: Whether each bears a ``message_id`` of its own, by which its receiver knows it again.
        """
        with self.lesson.connect() as connection:
            channel = connection.channel()
            for order in orders:
                properties = BasicProperties(message_id=str(uuid.uuid4())) if with_ids else None
                channel.basic_publish("", QUEUE, order.encode(), properties)

    def restart(self) -> None:
        """Restart the broker, or have it restarted by hand.

        Raises:
            CheckFailedError: It was to be done by hand, and was not.
        """
        try:
            self.lesson.broker.restart()
        except WaitTimeoutError as error:
            raise CheckFailedError(f"{error} The check needs that restart: run it again.") from error

    def settle(self) -> None:
        """Wait until nothing goes on.

        Raises:
            CheckFailedError: Something goes on for ever; the message says what.
        """
        waited = 0.0
        while True:
            try:
                self.lesson.wait_until_idle(timeout=_LOOK_SECONDS)
                if not self._goes_on():
                    return
            except WaitTimeoutError:
                waited += _LOOK_SECONDS
            circling = next((each for each in self.lesson.ledger() if each.deliveries > MANY_DELIVERIES), None)
            if circling is not None:
                raise CheckFailedError(
                    f"'{circling.task}' goes round in circles: it was handed back and delivered again more than "
                    f"{MANY_DELIVERIES} times. What is requeued comes back at once, and nothing has changed."
                )
            if waited >= _PATIENCE_SECONDS:
                busy = [worker for worker in self.lesson.workers if worker.current_task]
                raise CheckFailedError(
                    f"After {waited:.0f} s {busy[0].name} is still in the callback with '{busy[0].current_task}'. "
                    f"Does it wait for something that never comes?"
                    if busy
                    else f"After {waited:.0f} s there were still orders that nobody took."
                )

    def _goes_on(self) -> bool:
        """Say whether anything is still recorded, as when a message goes round in circles."""
        log, length = self.lesson.log, len(self.lesson.log)
        return log.wait_for(lambda: len(log) > length, _QUIET_SECONDS)

    def killed_at_work(self, callback: Callback) -> tuple[Callback, list[str]]:
        """Return the callback with an accident: its worker is killed as soon as it begins to `work`.

        Returns:
            The callback, and a list that names the worker once the accident has happened.
        """
        killed: list[str] = []

        def accident() -> None:
            if not killed:
                worker = self.lesson.workers[-1]
                killed.append(worker.name)
                worker.request_kill()

        def with_accident(ch: Any, method: Any, properties: Any, body: bytes) -> object:
            return callback(ch, method, properties, _Counted.over(body, accident))

        return with_accident, killed

    # -- what is seen

    def message(self, task: str) -> Message:
        """Return the message with that task.

        Raises:
            CheckFailedError: None was sent.
        """
        for message in self.lesson.ledger():
            if message.task == task:
                return message
        raise CheckFailedError(f"'{task}' was never sent.")

    def unacknowledged(self) -> int:
        """Return how many deliveries the broker waits for, once it agrees with the log or will not come to."""
        known = self.lesson.ledger().queues()[QUEUE].unacknowledged
        return wait_until(
            lambda: self.lesson.queue_counts()[QUEUE].unacknowledged,
            _COUNTS_SECONDS,
            accept=lambda counted: counted == known,
            interval_seconds=0.1,
        )

    def said(self, pattern: str) -> list[re.Match[str]]:
        """Return what the workers printed that matches a pattern, line by line."""
        lines = [line for worker in self.lesson.workers for line in worker.console.lines]
        return [match for line in lines if (match := re.search(pattern, line))]

    def nobody_died(self) -> None:
        """Make sure that no worker ended by its own fault.

        Raises:
            CheckFailedError: One did; the message says at which order, and of what.
        """
        for event in self.lesson.log:
            if event.kind == "failed":
                raise CheckFailedError(
                    f"{event.actor} died at '{event.task}': {event.detail}. A worker whose callback raises ends, "
                    f"and its orders go back to the queue."
                )
        self.no_channel_was_closed()

    def no_channel_was_closed(self) -> None:
        """Make sure that RabbitMQ closed no worker's channel.

        Raises:
            CheckFailedError: It did; the message says why.
        """
        for event in self.lesson.log:
            if event.kind == "channel closed":
                twice = "unknown delivery tag" in str(event.detail)
                advice = "Each delivery is settled once, with its own tag." if twice else "What did the callback send?"
                raise CheckFailedError(f"RabbitMQ closed {event.actor}'s channel: {event.detail}. {advice}")


class _Counted(bytes):
    """A body that tells when `work` counts its dots."""

    _tell: Callable[[], None]

    @classmethod
    def over(cls, body: bytes, tell: Callable[[], None]) -> _Counted:
        counted = cls(body)
        counted._tell = tell
        return counted

    def count(self, *arguments: Any) -> int:
        self._tell()
        return super().count(*arguments)

    def decode(self, *arguments: Any) -> str:
        text = _CountedText(super().decode(*arguments))
        text._tell = self._tell
        return text


class _CountedText(str):
    """The same as text."""

    _tell: Callable[[], None]

    def count(self, *arguments: Any) -> int:
        self._tell()
        return super().count(*arguments)


class Shared(dict[Any, Any]):
    """A dict that outlives workers, as a database does, and tells when something is put into it.

    Args:
        tell: Called after each new entry, in the thread of whoever made it.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._tell()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As a dict's own, which would put the entry in past `__setitem__`."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        """As a dict's own, which would put the entries in past `__setitem__`."""
        for key, value in dict(*others, **named).items():
            self[key] = value
