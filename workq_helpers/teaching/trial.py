"""`Trial`: a lesson of its own in which an answer is tried, and what can be said about how it went."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from pika.spec import BasicProperties

from workq_helpers.broker import find_broker
from workq_helpers.clients import pace, pika_private
from workq_helpers.clients.console import Console
from workq_helpers.errors import CheckFailedError, WaitTimeoutError
from workq_helpers.session import Session
from workq_helpers.teaching.calls import Calls
from workq_helpers.teaching.function import clues_in, made_by_calling
from workq_helpers.teaching.patience import Tries, call_with_patience, interrupt, undisturbed
from workq_helpers.teaching.run import Run, Runs
from workq_helpers.teaching.threads import is_unnamed, overhear_deaths
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.broker import Broker
    from workq_helpers.clients.recording_connection import RecordingChannel, RecordingConnection
    from workq_helpers.clients.worker import Callback, Worker
    from workq_helpers.log.ledger import Message

__all__ = ["QUEUE", "Shared", "Trial"]

#: The queue of every trial.
QUEUE = "hello"

#: The order whose work fails, where one does.
_BURNED = "Stew.."

#: A message that was delivered more often goes round in circles, unless an exercise lets its work fail more often.
_MANY_DELIVERIES = 5

#: An order on which the work was done so often goes round in circles.
_MANY_WORKS = 2

#: Who has called pika's methods so often does not come to an end, whatever came of it.
_MANY_CALLS = 500

#: How long nothing may happen while orders wait, in seconds.
_PATIENCE_SECONDS = 8.0
_QUIET_SECONDS = 0.1
_COUNTS_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # longer than an idle lesson takes to believe that the log and the broker will not agree

#: How long a killed worker's callback may take to end by itself, in seconds.
_UNWIND_SECONDS = 0.3

#: How far a worker is in the middle of an order, if it can't be heard at work, in seconds.
_MIDDLE_SECONDS = 0.5


class _WorkFailedError(Exception):
    """What `work` raises where it is to fail."""


class Trial:
    """An empty virtual host with one durable queue, in which an answer is tried.

    Args:
        name: Names the virtual host.
        broker: The broker to use; by default the one that `find_broker` finds.
    """

    def __init__(self, name: str, broker: Broker | None = None) -> None:
        self._own_broker = None if broker is not None else find_broker()
        #: What the answer asked of pika.
        self.calls = Calls()
        #: What its callback did with each delivery.
        self.runs = Runs()
        #: What its threads printed.
        self._console = Console()
        #: What ended threads that it had started.
        self.raised: list[str] = []
        #: What is wrong already, so that nothing more has to be waited for; empty if nothing is.
        self.found = ""
        #: How often a message may be delivered.
        self.most_deliveries = _MANY_DELIVERIES
        #: The queues that the answer has to do with.
        self.queues = {QUEUE}
        self._overhearing = contextlib.ExitStack()
        self._given: list[RecordingConnection] = []
        try:
            self.lesson = Session(f"exercise {name}", broker or self._own_broker)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Trial:
        with self.lesson.connect() as connection:
            connection.channel().queue_declare(queue=QUEUE, durable=True)
        self._overhearing.enter_context(overhear_deaths(self.raised))
        self._overhearing.enter_context(self._console.capture_others(is_unnamed))
        self._overhearing.enter_context(pace.overhear_others(self.runs.hear))
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_callbacks()
            self.lesson.close()
        finally:
            self._overhearing.close()
            self._release()

    def _release(self) -> None:
        if self._own_broker is not None:
            self._own_broker.close()

    def _end_callbacks(self) -> None:
        """End what is still in a callback: it would take a worker's whole patience."""
        for worker in self.lesson.workers:
            worker.request_kill()
        wait_until(lambda: all(run.over for run in self.runs), _UNWIND_SECONDS)
        for run in self.runs:
            interrupt(run.effort, pace.WorkerKilled)

    # -- what is done

    def start(
        self,
        callback: Callback,
        *,
        prefetch_count: int = 0,
        at_work: Callable[[Run], object] | None = None,
        function: object = None,
    ) -> Worker:
        """Start a worker with the learner's callback.

        Args:
            callback: Called as pika calls it.
            prefetch_count: How many orders it may hold.
            at_work: Called with the run whenever the `work` on one begins, in the thread that works.
            function: The learner's own function, if `callback` only passes on to it.
        """
        return self.lesson.start_worker(
            self.runs.watched(callback, function or callback, self.calls, at_work), QUEUE, prefetch_count=prefetch_count
        )

    def kill_at_work(self, callback: Callback, *orders: str, with_ids: bool = False, function: object = None) -> str:
        """Send orders to a worker that is killed in the middle of the first, and wait for the rest.

        Args:
            callback: The worker's.
            *orders: The texts of the orders.
            with_ids: As `send` has it.
            function: As `start` has it.

        Returns:
            The worker's name; empty if it never worked on any.

        Raises:
            CheckFailedError: It worked where nobody hears it, and was over before it could be killed.
        """
        before = len(self.runs)
        killed: list[str] = []

        def accident(run: Run | None = None) -> None:
            if not killed:
                killed.append(worker.name)
                worker.request_kill()
                if run is not None and run.dies_with_it(threading.current_thread()):
                    raise pace.WorkerKilled

        worker = self.start(callback, at_work=accident, function=function)
        self.send(*orders, with_ids=with_ids)

        def is_in_the_middle() -> bool:
            efforts = [run.effort for run in self.runs[before:][:1]]
            return bool(killed) or any(
                each.over or each.trouble or (each.seconds >= _MIDDLE_SECONDS and not each.is_lost) for each in efforts
            )

        wait_until(is_in_the_middle, _PATIENCE_SECONDS)
        if any(run.goes_on and not run.settled and not run.effort.is_lost for run in self.runs[before:][:1]):
            accident()  # it works in a way of its own
        self.settle()
        if not killed and any(run.threads for run in self.runs[before:][:1]):
            self.worked_before_it_acknowledged(orders[0])
            raise CheckFailedError(f"'{orders[0]}' was over before its worker could be killed. Check once more.")
        return killed[0] if killed else ""

    def failed_work_is_not_done(self, callback: Callback, *, function: object = None) -> None:
        """Have the work on one more order raise an error, and make sure that it is done in the end.

        Whoever works in a way of their own, without `work`, is not disturbed. A thread may end of the error in silence:
        RabbitMQ still has the order, until its connection ends.

        Raises:
            CheckFailedError: RabbitMQ is told that it is done, or nothing, or that nobody is to do it.
        """
        for worker in self.lesson.workers:
            if worker.alive:
                worker.stop()
        failed: list[Run] = []

        def accident(run: Run) -> None:
            if not failed:
                failed.append(run)
                raise _WorkFailedError("the pan burned")

        self.start(callback, at_work=accident, function=function)
        self.send(_BURNED, with_ids=True)
        self.settle()
        if any(run.worked_in_a_thread and run.settled == "basic_ack" for run in failed):
            raise CheckFailedError(
                f"The work on '{_BURNED}' raised an error in its thread, and the order was acknowledged all the same. "
                f"A thread that ended may have failed: see whether it has, or acknowledge at its end."
            )
        self.worked_before_it_acknowledged(_BURNED)
        if not failed:
            return
        if self.message(_BURNED).place == "waiting":  # its worker died of it, and the next one has no accident
            self.start(callback, function=function)
            self.settle()
            self.no_channel_was_closed()
            self.worked_before_it_acknowledged(_BURNED)
        if self.message(_BURNED).place == "in hand" and failed[0].worked_in_a_thread:
            return
        self._came_to_its_end(_BURNED)

    def _came_to_its_end(self, order: str) -> None:
        """Make sure that an order is done on which the work has failed once."""
        place, failed = self.message(order).place, f"The work on '{order}' raised an error"
        if place == "in hand":
            raise CheckFailedError(
                f"{failed}, the callback caught that, and RabbitMQ was told nothing: it waits. Let the error out, or "
                f"hand the order back."
            )
        if place == "discarded" and not self.parked(order):
            raise CheckFailedError(
                f"{failed}, and the order was turned away: its guest gets nothing. What failed once may go well the "
                f"next time. Let the error out, or hand the order back."
            )
        if place not in ("done", "discarded"):
            raise CheckFailedError(f"{failed}. It came again, and ended up {place}. Each order should be done.")

    def call(self, caller: Callable[..., object], *arguments: Any, name: str, function: object = None) -> object:
        """Call the learner's function, and return what it returns.

        Args:
            caller: The function.
            *arguments: Its arguments.
            name: What it is called.
            function: The learner's own, if `caller` only passes on to it.

        Raises:
            CheckFailedError: It does not come back, or has not run at all.
            AnswerError: It raised something.
        """
        before, looked_at = len(self.calls), len(self.lesson.log)
        refused: defaultdict[str, Tries] = defaultdict(Tries)

        def progress() -> tuple[int, int]:
            nonlocal looked_at
            rows = self.lesson.log.rows(looked_at)
            looked_at += len(rows)
            for task in (row[5] for row in rows if row[1] in ("refused", "returned")):
                if refused[task].one_more():
                    raise CheckFailedError(
                        f"RabbitMQ had not taken '{task}' {refused[task].count} times, and {name} sent it again each "
                        f"time. It has to return before anything else can go on."
                    )
            if len(self.calls) - before > _MANY_CALLS:
                often = Counter(call.name for call in self.calls[before:]).most_common(1)[0]
                raise CheckFailedError(
                    f"{name} had called {often[0]} {often[1]} times, and would have gone on. When does its loop end?"
                )
            return looked_at, len(self.calls)

        result = call_with_patience(caller, *arguments, name=name, give_up=self.cut, about=function, progress=progress)
        if made := made_by_calling(result):
            raise CheckFailedError(f"{name} gave back {made}: nothing has run.")
        return result

    def connect(self) -> RecordingConnection:
        """Open a connection for the learner's function, which is cut if that never comes back."""
        with undisturbed():
            connection = self.lesson.connect()
            self._given.append(connection)
        return connection

    def open_channel(self) -> tuple[RecordingConnection, RecordingChannel]:
        """Open a connection with a channel for the learner's function, and note what that is called for."""
        with undisturbed():
            connection = self.connect()
            channel = connection.channel()
            self.calls.listen(channel)
        return connection, channel

    @contextlib.contextmanager
    def connection(self) -> Iterator[RecordingConnection]:
        """Lend a connection to the learner's function, and close it afterwards."""
        connection = self.connect()
        try:
            yield connection
        finally:
            self._close(connection)

    @contextlib.contextmanager
    def channel(self) -> Iterator[RecordingChannel]:
        """Lend a channel to the learner's function, whose connection is closed afterwards."""
        connection, channel = self.open_channel()
        try:
            yield channel
        finally:
            self._close(connection)

    def _close(self, connection: RecordingConnection) -> None:
        # The function may have broken it, or a thread of it may be at it still.
        with undisturbed(), contextlib.suppress(Exception):
            connection.close()

    def cut(self) -> None:
        """Cut all connections that the learner's function was given."""
        for connection in self._given:
            pika_private.cut(connection._impl)

    def send(self, *orders: str, with_ids: bool = False, queue: str = QUEUE, confirm: bool = False) -> None:
        """Publish orders.

        Args:
            *orders: Their texts.
            with_ids: Whether each bears a ``message_id`` of its own, by which its receiver knows it again.
            queue: Where to.
            confirm: Whether to wait until the queue has each. Else RabbitMQ, when it is busy, may answer a question for
                the queue's count before it has put in what came.
        """
        with self.lesson.connect() as connection:
            channel = connection.channel()
            if confirm:
                channel.confirm_delivery()
            for order in orders:
                properties = BasicProperties(message_id=str(uuid.uuid4())) if with_ids else None
                channel.basic_publish(exchange="", routing_key=queue, body=order.encode(), properties=properties)

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
        seen, since = -1, time.monotonic()
        while True:
            # Whoever waits for an idle lesson does not see what a callback does meanwhile.
            if wait_until(self._nobody_is_at_it, _LOOK_SECONDS):
                with contextlib.suppress(WaitTimeoutError):
                    self.lesson.wait_until_idle(timeout=_LOOK_SECONDS)
                    if not self._goes_on() and self._nobody_is_at_it():
                        break
            self._nothing_circles()
            self._began_before_it_acknowledged()
            if len(self.lesson.log) != seen:
                seen, since = len(self.lesson.log), time.monotonic()
            waited = time.monotonic() - since
            if waited >= _PATIENCE_SECONDS and not any(worker.current_task for worker in self.lesson.workers):
                self._no_thread_runs_on()
                raise CheckFailedError(f"For {waited:.0f} s nothing happened, and there were still orders to be done.")
        self._began_before_it_acknowledged()
        self._everything_ran()

    def _nobody_is_at_it(self) -> bool:
        """Say whether no callback works on what it has not settled.

        Raises:
            CheckFailedError: One does not come back, or something is wrong already.
        """
        if self.found:
            raise CheckFailedError(self.found)
        for run in self.runs:
            if trouble := run.effort.trouble:
                raise CheckFailedError(
                    f"With '{run.task}' the callback {trouble}. It has to return before its worker gets anything else."
                )
            if trouble := run.trouble_in_a_thread:
                raise CheckFailedError(
                    f"'{run.task}' was left to a thread, which {trouble}. It is nobody's, until that thread has worked "
                    f"and acknowledged it."
                )
            if run.goes_on_and_on:
                raise CheckFailedError(
                    f"'{run.task}' has {run.size}, and the callback has worked or slept for {run.heard_seconds:.0f} s "
                    f"over it and goes on. When does its loop end?"
                )
        return not any(run.goes_on for run in self.runs if not run.settled)

    def _no_thread_runs_on(self) -> None:
        for run in self.runs:
            if run.over and run.goes_on and not run.settled:
                raise CheckFailedError(
                    f"'{run.task}' was left to a thread, which runs on, and for {_PATIENCE_SECONDS:.0f} s it has "
                    f"neither worked nor acknowledged anything. What does it wait for?"
                )

    def _goes_on(self) -> bool:
        """Say whether anything is still recorded, as when a message goes round in circles."""
        log, length = self.lesson.log, len(self.lesson.log)
        return log.wait_for(lambda: len(log) > length, _QUIET_SECONDS)

    def _nothing_circles(self) -> None:
        back = ("basic_nack", "basic_reject")
        worked = Counter(run.task for run in self.runs if run.dots and run.worked and run.settled in back)
        for task, times in worked.items():
            if times > _MANY_WORKS:
                raise CheckFailedError(
                    f"'{task}' goes round in circles: the work on it was done {times} times, and it was handed back "
                    f"each time. What is done is acknowledged."
                )
        sent: Counter[str] = Counter()
        for message in self.lesson.ledger():
            sent[message.task] += 1
            if message.deliveries > self.most_deliveries:
                raise CheckFailedError(
                    f"'{message.task}' goes round in circles: it was handed back and delivered again more than "
                    f"{self.most_deliveries} times. What is requeued comes back at once, and nothing has changed."
                )
            if sent[message.task] > self.most_deliveries:
                raise CheckFailedError(
                    f"'{message.task}' goes round in circles: the callback published it anew more than "
                    f"{self.most_deliveries} times, and nothing has changed."
                )

    def _everything_ran(self) -> None:
        for run in self.runs:
            if run.made:
                raise CheckFailedError(f"For '{run.task}' the callback gave back {run.made}: nothing has run.")

    # -- what is seen

    def nothing_was_emptied(self) -> None:
        """Make sure that the answer has thrown away nothing that waited.

        Raises:
            CheckFailedError: It has.
        """
        for event in self.lesson.log:
            if event.kind == "purged" and event.queue in self.queues:
                raise CheckFailedError(f"{event.queue} was emptied by queue_purge. Leave out what empties it.")
        for call in self.calls.named("queue_delete"):
            if call["queue"] in self.queues and not call["if_empty"]:
                raise CheckFailedError(f"{call['queue']} was deleted by queue_delete, with all that waited in it.")

    def the_owner_settled(self) -> None:
        """Make sure that nothing was settled in a thread of the learner's, which plain pika does not allow.

        Raises:
            CheckFailedError: Something was.
        """
        if self.runs.elsewhere:
            raise CheckFailedError(
                f"'{self.runs.elsewhere[0]}' was settled from a thread that your code started. A worker of the course "
                f"can take that, and a program can't: pika allows it only in the thread that owns the connection. Ask "
                f"the owner: ch.connection.add_callback_threadsafe(...) takes a function that it calls there."
            )

    def message(self, task: str) -> Message:
        """Return the message with that task, as it was sent to the workers.

        Raises:
            CheckFailedError: None was sent.
        """
        for message in self.lesson.ledger():
            if message.task == task:
                return message
        raise CheckFailedError(f"'{task}' was never sent.")

    def parked(self, task: str) -> str:
        """Return the name of another queue in which a message with that task waits; empty if there is none."""
        counts = self.lesson.queue_counts()
        elsewhere = (
            message.queue
            for message in self.lesson.ledger()
            if message.task == task and message.place == "waiting" and message.queue != QUEUE
        )
        return next((queue for queue in elsewhere if queue in counts and counts[queue].ready), "")

    def held(self) -> list[str]:
        """Return what workers hold, unacknowledged."""
        return [f"'{message.task}'" for message in self.lesson.ledger() if message.place == "in hand"]

    def waiting(self) -> list[str]:
        """Return what waits for workers."""
        return [f"'{each.task}'" for each in self.lesson.ledger() if each.place == "waiting" and each.queue == QUEUE]

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
        """Return what the workers and their threads printed that matches a pattern, line by line."""
        consoles = [*(worker.console for worker in self.lesson.workers), self._console]
        lines = [line for console in consoles for line in console.lines]
        return [match for line in lines if (match := re.search(pattern, line))]

    def clues(self, answer: object) -> list[str]:
        """Return what can't be meant in an answer's text and in what it asked of pika: a sentence each."""
        died = [f"A thread that your function started died: {error}." for error in self.raised]
        return list(dict.fromkeys([*died, *self.calls.clues(sorted(self.queues)), *clues_in(answer)]))

    def worked_before_it_acknowledged(self, *tasks: str) -> None:
        """Make sure that whatever was acknowledged had been worked on for as long as its dots say.

        Raises:
            CheckFailedError: Something had not.
        """
        for run in self.runs:
            if run.task not in tasks or run.settled != "basic_ack" or run.worked_before:
                continue
            if run.worked and not run.worked_in_a_thread:
                raise CheckFailedError(
                    f"'{run.task}' was acknowledged before the work. If its worker dies in between, nobody does it. "
                    f"Acknowledge what is done, not what is about to be done."
                )
            if run.threads or run.worked_in_a_thread:
                raise CheckFailedError(
                    f"'{run.task}' was acknowledged before the work, which was left to a thread. If its worker dies in "
                    f"between, nobody does it. Acknowledge where the work has come to its end."
                )
            if run.broken_off:
                raise CheckFailedError(
                    f"The work on '{run.task}' was broken off, by an error or its worker's death, and the callback "
                    f"acknowledged it all the same. What stands below finally, or behind an error that was caught, is "
                    f"reached then, too. Acknowledge where the work has come to its end."
                )
            raise CheckFailedError(
                f"'{run.task}' was acknowledged, and its work was not done: it has "
                f"{run.size}, and {run.did}. Keep the line work(body)."
            )

    def _began_before_it_acknowledged(self) -> None:
        for tag in self.runs.too_early:
            self._was_too_early(f"Delivery {tag}", tag)
        workers, began = {worker.name for worker in self.lesson.workers}, set()
        for event in self.lesson.log:
            delivery = event.actor, event.delivery_tag
            if event.kind == "started":
                began.add(delivery)
            elif event.kind == "acked" and event.task and event.actor in workers and delivery not in began:
                self._was_too_early(f"'{event.task}', delivery {event.delivery_tag},", event.delivery_tag)

    def _was_too_early(self, what: str, tag: int | None) -> NoReturn:
        raise CheckFailedError(
            f"{what} was acknowledged before the callback had begun with it: {self._acknowledged_by(tag)}. An "
            f"acknowledgment is for the delivery with its tag; with multiple=True for all before it, too, and with tag "
            f"0 for all that a worker holds. Pass delivery_tag=method.delivery_tag, and leave multiple out."
        )

    def _acknowledged_by(self, delivery: int | None) -> str:
        asked = [(call["delivery_tag"], call["multiple"]) for call in self.calls.named("basic_ack")]
        fitting = (f"delivery_tag={tag}, multiple={multiple}" for tag, multiple in asked if tag == delivery or multiple)
        return f"basic_ack got {next(fitting, 'another tag')}"

    def nobody_died(self) -> None:
        """Make sure that no worker ended by its own fault.

        Raises:
            CheckFailedError: One did; the message says at which order, and of what.
        """
        self.no_channel_was_closed()
        for event in self.lesson.log:
            if event.kind == "failed":
                raise CheckFailedError(
                    f"{event.actor} died at '{event.task}': {event.detail}. A worker whose callback raises ends, "
                    f"and its orders go back to the queue."
                )

    def no_channel_was_closed(self) -> None:
        """Make sure that RabbitMQ closed no channel.

        Raises:
            CheckFailedError: It did; the message says why.
        """
        for event in self.lesson.log:
            if event.kind == "channel closed":
                twice = "unknown delivery tag" in str(event.detail)
                advice = "Each delivery is settled once, with its own tag." if twice else "What was it asked for?"
                whose = f"{event.actor}'s channel" if event.actor.startswith("worker") else "the channel"
                raise CheckFailedError(f"RabbitMQ closed {whose}: {event.detail}. {advice}")


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

    def __ior__(self, others: Any) -> Shared:  # type: ignore[misc]  # a dict's own has overloads for itself
        self.update(others)
        return self
