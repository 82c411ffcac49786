"""`execute`: one run of the campaign. Its plan is always the same; its timing is real, and never the same."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.chaos import faults
from tests.chaos.books import Books, told_by
from tests.chaos.elsewhere import Elsewhere
from tests.chaos.plan import Moment, Plan, PublisherPlan, QueuePlan, Step, WorkerPlan
from tests.chaos.proxy import Proxy
from tests.chaos.unseen import ASKED, CONSUMERS, OBSERVER
from tests.chaos.verdict import Counts, Seen
from tests.chaos.wire import listening
from workq_helpers import Broker, Lesson, Publisher, Worker, WorkqError, work
from workq_helpers.log.events import EventLog
from workq_helpers.waiting import wait_until

__all__ = ["execute"]

#: How long a step waits for its moment; then it is done all the same.
_MOMENT_SECONDS = 1.0
#: How long a callback waits for the deed that is done at its moment.
_HELD_SECONDS = 5.0
#: How long the disk stays full.
_FULL_SECONDS = 1.0
#: How long a broker whose disk was full may take to work again, before somebody restarts it.
_RECOVERY_SECONDS = 3.0
#: Both sides ask for signs of life this often where a proxy may keep them from each other.
_HEARTBEAT_SECONDS = 2
#: How long the broker's counts may take to be the log's: as long as it may take to give up a connection, and more.
_AGREE_SECONDS = 10.0 * _HEARTBEAT_SECONDS
#: How long they stay as they are if they never will, as losses are no news to the broker.
_SAME_SECONDS = 2.0
_LOOK_SECONDS = 0.1


#: Faults of which the log tells.
_FAULTS_IN_THE_LOG = {
    "channel closed by an error": "channel closed",
    "callback raised": "failed",
    "publisher blocked": "blocked",
}


_SIGNALS = {
    "kill the program": ("program killed", signal.SIGKILL),
    "freeze the program": ("program frozen", signal.SIGSTOP),
}


def execute(plan: Plan, broker: Broker, tell: Callable[[str], None] = lambda _: None) -> Seen:
    """Do what `plan` says, on `broker`, and return all that was seen; nothing of it is left.

    Args:
        plan: What to do.
        broker: Where.
        tell: Called with each fault that really happened, as soon as it did.
    """
    return _Run(plan, broker, tell).execute()


class _Gate:
    """Where callbacks tell how far they are, and may be held."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._expected: tuple[str, Moment] | None = None
        self._reached = False
        self._counts: Counter[tuple[str, str]] = Counter()

    def expect(self, target: str, moment: Moment) -> None:
        with self._changed:
            self._expected = target, moment
            self._reached = self._counts[target, moment.point] >= moment.number

    def wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._reached, timeout)

    def open(self) -> None:
        with self._changed:
            self._expected = None
            self._changed.notify_all()

    def reach(self, worker: str, point: str) -> None:
        with self._changed:
            self._counts[worker, point] += 1
            expected = self._expected
            if expected is None or expected[0] != worker or expected[1].point != point:
                return
            if self._counts[worker, point] < expected[1].number or self._reached:
                return
            self._reached = True
            self._changed.notify_all()
            if expected[1].held:
                self._changed.wait_for(lambda: self._expected is not expected, _HELD_SECONDS)


class _Run:
    def __init__(self, plan: Plan, broker: Broker, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.broker = broker
        self.tell = tell
        self.happened: Counter[str] = Counter()
        self.clock = faults.Clock()
        self.deadline = time.monotonic() + plan.deadline_seconds
        self.gate = _Gate()
        self.proxies: dict[str, Proxy] = {}
        self.workers: dict[str, Worker] = {}
        self.publishers: dict[str, Publisher] = {}
        self.troubles: list[str] = []
        self.notes: list[str] = []
        self.books = Books()
        self.elsewhere: Elsewhere | None = None
        self.lesson: Lesson

    def execute(self) -> Seen:
        with listening() as self.wires, Lesson(f"chaos-{self.plan.seed}", self.broker) as self.lesson:
            try:
                self._declare()
                self._begin()
                for step in self.plan.steps:
                    self._do_at_its_moment(step)
                    self._ask_for_consumers()
                    self._staff()
                return self._come_to_rest()
            finally:
                self.gate.open()
                self.clock.put_right()
                if self.elsewhere is not None:
                    self.elsewhere.close()
                # A frozen worker can't be ended politely, and a half-open connection is not worth waiting for.
                for proxy in self.proxies.values():
                    proxy.close()

    @property
    def remaining(self) -> float:
        return max(0.1, self.deadline - time.monotonic())

    # -- the beginning

    def _declare(self) -> None:
        with self.lesson.connect() as connection:
            channel = connection.channel()
            for queue in self.plan.queues:
                channel.queue_declare(queue.name, durable=queue.durable, arguments={"x-queue-type": queue.type})
        if self.plan.crashes:
            # RabbitMQ 3.10 may lose a queue in a crash that is only a moment old.
            self.broker.restart()
            with self.lesson.connect() as connection:
                channel = connection.channel()
                for queue in self.plan.queues:
                    channel.queue_declare(queue.name, durable=queue.durable, arguments={"x-queue-type": queue.type})

    def _begin(self) -> None:
        for worker in self.plan.workers:
            self._start_worker(worker, worker.name)
        if (program := self.plan.program) is not None:
            queue = self._queue(program.queue)
            self.elsewhere = Elsewhere(program, queue, str(self.lesson.address), self.books)
        for publisher in self.plan.publishers:
            with self._way(publisher):
                self.publishers[publisher.name] = self.lesson.start_publisher(
                    self.books.sending(publisher.queue, _tasks(publisher)),
                    publisher.queue,
                    interval_seconds=publisher.interval_seconds or None,
                    persistent=self._queue(publisher.queue).persistent,
                    confirm=self._queue(publisher.queue).confirm,
                    name=publisher.name,
                )

    def _start_worker(self, planned: WorkerPlan, name: str) -> None:
        with self._way(planned):
            self.workers[planned.name] = self.lesson.start_worker(
                self._callback(planned, name),
                planned.queue,
                auto_ack=self._queue(planned.queue).auto_ack,
                prefetch_count=planned.prefetch_count,
                name=name,
            )

    @contextlib.contextmanager
    def _way(self, member: WorkerPlan | PublisherPlan) -> Iterator[None]:
        """Have what is started in this block connect through a proxy of its own, if its plan says so."""
        if not member.proxied:
            yield
            return
        endpoint = self.broker.endpoint
        if member.name not in self.proxies:
            self.proxies[member.name] = Proxy(endpoint.host, endpoint.port)
        port = self.proxies[member.name].port
        usual = self.broker.connection_parameters

        def through_proxy(virtual_host: str, **overrides: Any) -> Any:
            return usual(virtual_host, **{"heartbeat": _HEARTBEAT_SECONDS} | overrides, port=port)

        self.broker.connection_parameters = through_proxy  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.broker.connection_parameters

    def _queue(self, name: str) -> QueuePlan:
        return next(queue for queue in self.plan.queues if queue.name == name)

    def _callback(self, planned: WorkerPlan, name: str) -> Callable[..., None]:
        deliveries = itertools.count(1)
        # Those who come after a worker that did something odd do nothing odd: there would be no end to it.
        quirks = dict(planned.quirks) if name == planned.name else {}
        auto_ack = self._queue(planned.queue).auto_ack
        books, queue = self.books, planned.queue
        held: list[bytes] = []  # since its last ack, which may be one of several

        def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
            number = next(deliveries)
            books.note(books.begun, queue, [body])
            held.append(body)
            self.gate.reach(name, "before work")
            work(body)
            self.gate.reach(name, "during work")
            work(body)
            self.gate.reach(name, "before ack")
            tag = method.delivery_tag
            quirk = quirks.get(number, "")
            if quirk == "raise":
                raise ZeroDivisionError("as planned")
            if quirk == "ack another tag" or (auto_ack and quirk == "ack twice"):
                ch.basic_ack(delivery_tag=tag + 1_000_000)
            elif auto_ack or quirk == "forget":
                pass
            elif quirk == "nack":
                ch.basic_nack(delivery_tag=tag)
            elif quirk == "reject":
                ch.basic_reject(delivery_tag=tag, requeue=number % 2 == 0)
            elif number % planned.ack_every == 0:
                books.note(books.acked, queue, held)
                held.clear()
                ch.basic_ack(delivery_tag=tag, multiple=planned.ack_every > 1)
                if quirk == "ack twice":
                    ch.basic_ack(delivery_tag=tag)
            self.gate.reach(name, "after ack")

        return callback

    # -- the steps

    def _do_at_its_moment(self, step: Step) -> None:
        moment = step.moment
        seconds = min(_MOMENT_SECONDS, self.remaining)
        if moment.point in ("published", "delivered", "acked", "confirmed"):
            count = _Counting(self.lesson.log, moment.point)
            self.lesson.log.wait_for(lambda: count() >= moment.number or self._is_quiet(), seconds)
            when = ""
        else:
            self.gate.expect(step.target, moment)
            reached = self._wait_at_the_gate(seconds)
            when = f" {moment.point}" if reached else ""
            if not reached:
                self.notes.append(f"{step.deed} {step.target}: not at its moment")
        try:
            self._do(step, when)
        except Exception:  # noqa: BLE001 - no deed of the plan may raise
            self.troubles.append(f"{step.deed} {step.target}: {traceback.format_exc()}")
        finally:
            self.gate.open()

    def _wait_at_the_gate(self, seconds: float) -> bool:
        wait_until(lambda: self.gate.wait(_LOOK_SECONDS) or self._is_quiet(), seconds, interval_seconds=0.0)
        return self.gate.wait(0.0)

    def _is_quiet(self) -> bool:
        """Whether nothing goes on for whose moment one could wait."""
        return not any(publisher.alive for publisher in self.publishers.values()) and not any(
            worker.in_hand for worker in self.workers.values() if worker.alive
        )

    def _happened(self, fault: str, times: int = 1) -> None:
        if times:
            self.happened[fault] += times
            self.tell(fault)

    def _do(self, step: Step, when: str) -> None:
        if step.target in self.workers and step.deed in ("kill", "freeze", "thaw", "stop"):
            self._do_to_a_worker(step.deed, self.workers[step.target], when)
        elif step.deed in ("cut", "delay", "half-open to the client", "half-open to the broker"):
            self._do_to_a_proxy(step)
        else:
            self._do_to_all(step)

    def _do_to_a_worker(self, deed: str, worker: Worker, when: str) -> None:
        alive, frozen = worker.alive, worker.state == "frozen"
        match deed:
            case "kill":
                worker.kill()
                self._happened(f"worker killed{when or ' at any time'}", alive)
            case "freeze":
                worker.freeze()
                self._happened("worker frozen", alive and not frozen)
            case "thaw":
                worker.thaw()
            case "stop":
                worker.thaw()
                # Politely and without waiting: the task in hand may wait for us.
                worker.request_stop()
                self._happened("worker stopped", alive)

    def _do_to_a_proxy(self, step: Step) -> None:
        proxy = self.proxies[step.target]
        match step.deed:
            case "cut":
                self._happened("connection cut by the proxy", proxy.cut())
            case "delay":
                proxy.delay(step.amount)
            case "half-open to the client":
                self._happened("connection half-open to the client", proxy.half_open("client"))
            case "half-open to the broker":
                self._happened("connection half-open to the broker", proxy.half_open("broker"))

    def _do_to_all(self, step: Step) -> None:
        host = self.lesson.virtual_host
        match step.deed:
            case "close a connection" | "close all connections":
                which = int(step.amount) if step.deed == "close a connection" else None
                closed = faults.close_connections(self.broker, host, which)
                self._happened("connection closed by the broker", closed)
                if not closed:
                    self.notes.append("the broker listed no connection to close")
            case "memory alarm" | "disk alarm":
                self._alarm(step.deed)
            case "restart the broker":
                self.broker.restart()
                self._happened("broker restarted")
            case "crash the broker":
                self.broker.crash()
                self._happened("broker crashed")
            case "kill the program" | "freeze the program":
                assert self.elsewhere is not None
                fault, number = _SIGNALS[step.deed]
                self._happened(fault, self.elsewhere.signal(number))
            case "set the clock":
                self._happened("clock set", self.clock.set(step.amount))
            case "fill the disk":
                self._fill_the_disk()
            case unknown:
                raise AssertionError(f"no such deed: {unknown}")

    def _alarm(self, kind: str) -> None:
        if not self.broker.ours or not faults.raise_alarm(kind):
            self.notes.append(f"no {kind}: the broker is not ours")
            return
        self._happened(kind)
        self.lesson.log.wait_for(self._somebody_blocked, faults.ALARM_SECONDS)

    def _somebody_blocked(self) -> bool:
        return any(publisher.state == "blocked" for publisher in self.publishers.values())

    def _fill_the_disk(self) -> None:
        """Leave no room for the course's own files, nor on a node for the broker's; then make room again."""
        folder = faults.small_disk()
        if folder is None:
            self.notes.append("the disk is nobody's to fill")
            return
        with faults.full_disk(folder):
            self._happened("disk full")
            if self.broker.source == "node":
                self._happened("disk full under the broker")
            self.lesson.log.wait_for(self._somebody_blocked, _FULL_SECONDS)
            # Another notebook opens meanwhile; if it can't, it is told so in plain words.
            with (
                contextlib.suppress(WorkqError),
                Lesson(f"{self.lesson.name}-beside", self.broker) as beside,
                beside.connect() as connection,
            ):
                connection.channel().queue_declare("beside", durable=True)
        if self.broker.source == "node" and not self._works_again():
            self.broker.restart()
            self._happened("broker restarted after its disk was full")

    def _works_again(self) -> bool:
        """Whether the broker itself gets over a full disk."""
        return wait_until(self._serves_every_queue, _RECOVERY_SECONDS, interval_seconds=0.1)

    def _serves_every_queue(self) -> bool:
        with contextlib.suppress(Exception), self.lesson.connect() as connection:
            channel = connection.channel()
            for queue in self.plan.queues:
                channel.queue_declare(queue.name, passive=True)
            return True
        return False

    def _staff(self) -> None:
        """Put others into the places of workers that ended, where the plan says so."""
        for planned in self.plan.workers:
            worker = self.workers[planned.name]
            if not worker.alive and self._queue(planned.queue).heirs and self._exists(planned.queue):
                if planned.name in self.proxies:
                    self.proxies[planned.name].delay(0)
                try:
                    self._start_worker(planned, f"{worker.name}+")
                except WorkqError as error:
                    # A fault of before may still be at work: then there is none this time.
                    self.notes.append(f"no heir of {worker.name}: {error}")

    def _exists(self, queue: str) -> bool:
        return not self.lesson.ledger().absent(queue)

    def _ask_for_consumers(self) -> None:
        """Log how many consumers an auto-ack queue has: by that the judge knows whose death the broker has noticed."""
        queues = [queue.name for queue in self.plan.queues if queue.auto_ack and self._exists(queue.name)]
        if not queues:
            return
        # A fault of before may still be at work: then nobody is told.
        with contextlib.suppress(WorkqError), self.lesson.connect() as connection:
            for name in queues:
                self.lesson.log.record(ASKED, OBSERVER, name)
                known = connection.channel().queue_declare(name, passive=True).method.consumer_count
                self.lesson.log.record(CONSUMERS, OBSERVER, name, detail=known)

    # -- the end

    def _come_to_rest(self) -> Seen:
        for proxy in self.proxies.values():
            proxy.delay(0)
        for worker in self.lesson.workers:
            worker.thaw()
        self._patiently("publishers", self._wait_for_publishers)
        self._patiently("program", self._wait_for_the_program)
        self._patiently("workers", lambda: self.lesson.wait_until_idle(self.remaining))
        self._ask_for_consumers()
        counts, quiet = self._counts_that_agree()
        publishers = {name: publisher.state for name, publisher in self.publishers.items()}
        workers = {worker.name: worker.state for worker in self.lesson.workers}
        self._patiently("stop", lambda: self.lesson.stop_workers(timeout=self.remaining))
        self._patiently("books", self._close_the_books)
        self._patiently("drain", self._drain)
        left = {name: Counts(*known[:2]) for name, known in self.lesson.queue_counts().items()}
        rows = self.lesson.log.rows()
        for fault, kind in _FAULTS_IN_THE_LOG.items():
            self._happened(fault, sum(row[1] == kind for row in rows))
        self._happened("connection delayed by the proxy", sum(proxy.held_back > 0 for proxy in self.proxies.values()))
        return Seen(
            rows=rows,
            happened=self.happened,
            quiet=quiet,
            counts=counts,
            left=left,
            publishers=publishers,
            workers=workers,
            troubles=self.troubles,
            notes=self.notes,
            books=self.books,
        )

    def _close_the_books(self) -> None:
        """Note what the log says of each task, and what is really there."""
        self.lesson.take_stock(min(_AGREE_SECONDS, self.remaining))
        self.books.told = told_by(self.lesson.ledger())
        parameters = self.broker.connection_parameters(self.lesson.virtual_host)
        counts = self.lesson.queue_counts()
        self.books.held.update({name: known.unacknowledged for name, known in counts.items()})
        self.books.look(parameters, sorted(counts))
        crashed = bool(self.happened["broker crashed"] or self.happened["disk full under the broker"])
        self.books.tell_in_flight(self.wires, crashed=crashed, late_queues=self.plan.late_queues(self.broker.version))

    def _patiently(self, what: str, wait: Callable[[], object]) -> None:
        try:
            wait()
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            self.troubles.append(f"{what}: {traceback.format_exc()}")

    def _wait_for_publishers(self) -> None:
        for publisher in self.publishers.values():
            ended = self.lesson.log.wait_for(lambda known=publisher: not known.alive, self.remaining)  # type: ignore[misc]
            if not ended:
                self.troubles.append(f"did not come to its end: {publisher!r}")
                publisher.request_stop()

    def _wait_for_the_program(self) -> None:
        """Have the program send what it has to send, and leave, and the log see that it has."""
        if self.elsewhere is None:
            return
        self.elsewhere.signal(signal.SIGCONT)
        self.elsewhere.sent_all.wait(self.remaining)
        self.elsewhere.leave(self.remaining)
        self.lesson.log.wait_for(self._has_seen_it_leave, self.remaining)
        self.wires += self.elsewhere.wires

    def _has_seen_it_leave(self) -> bool:
        assert self.plan.program is not None
        ends = {"connected": False, "hung up": True, "stopped": True}
        rows = [row for row in self.lesson.log.rows() if row[2].startswith(self.plan.program.name) and row[1] in ends]
        return not rows or ends[rows[-1][1]]

    def _counts_that_agree(self) -> tuple[dict[str, Counts], int]:
        """Return the broker's counts, once they are the log's or will not be, and how long the log was then."""
        since, before = time.monotonic(), None

        def look() -> tuple[dict[str, Counts], int]:
            quiet = len(self.lesson.log)
            return {name: Counts(*known[:2]) for name, known in self.lesson.queue_counts().items()}, quiet

        def agree(seen: tuple[dict[str, Counts], int]) -> bool:
            nonlocal since, before
            counts, quiet = seen
            ours, now = self.lesson.ledger().queues(), time.monotonic()
            if counts != before:
                since, before = now, counts
            if len(self.lesson.log) != quiet:
                return False
            known = {name: ours.get(name, Counts(0, 0)) for name in counts}
            # What the broker holds for a connection that it has not given up yet, it will put back.
            given_up = all(counts[name][1] == known[name][1] for name in counts)
            return counts == known or (given_up and now > since + _SAME_SECONDS)

        return wait_until(look, _AGREE_SECONDS, accept=agree, interval_seconds=_LOOK_SECONDS)

    def _drain(self) -> None:
        """Fetch and acknowledge all that is left: then the log has seen all that the broker had."""
        names = set(self.lesson.queue_counts())
        with self.lesson.connect() as connection:
            channel = connection.channel()

            def is_empty() -> bool:
                for name in sorted(names):
                    while (method := channel.basic_get(name)[0]) is not None:
                        channel.basic_ack(method.delivery_tag)
                return not any(sum(known[:2]) for known in self.lesson.queue_counts().values())

            wait_until(is_empty, self.remaining - 1, interval_seconds=0.05)


class _Counting:
    """How many events of a kind a log has: counted on, not anew, at each call."""

    def __init__(self, log: EventLog, kind: str) -> None:
        self._log, self._kind = log, kind
        self._read = self._count = 0

    def __call__(self) -> int:
        rows = self._log.rows(self._read)
        self._read += len(rows)
        self._count += sum(row[1] == self._kind for row in rows)
        return self._count


def _tasks(planned: PublisherPlan) -> list[str]:
    return [
        f"{planned.name} {number}{'.' * planned.dots}".ljust(planned.size) for number in range(1, planned.count + 1)
    ]
