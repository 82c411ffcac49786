"""`execute`: one run of the campaign. Its plan is always the same; its timing is real, and never the same."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.chaos import faults
from tests.chaos.plan import Moment, Plan, PublisherPlan, QueuePlan, Step, WorkerPlan
from tests.chaos.proxy import Proxy
from tests.chaos.verdict import Counts, Seen
from workq_helpers import Broker, Lesson, Publisher, Worker, WorkqError, work
from workq_helpers.events import EventLog

__all__ = ["execute"]

#: How long a step waits for its moment; then it is done all the same.
_MOMENT_SECONDS = 1.0
#: How long a callback waits for the deed that is done at its moment.
_HELD_SECONDS = 5.0
#: How long a memory alarm stays after publishers were blocked by it.
_ALARM_SECONDS = 0.5
#: How long the broker's counts may take to be the log's.
_AGREE_SECONDS = 5.0
#: Both sides ask for signs of life this often where a proxy may keep them from each other.
_HEARTBEAT_SECONDS = 2


def execute(plan: Plan, broker: Broker) -> Seen:
    """Do what `plan` says, on `broker`, and return all that was seen; nothing of it is left."""
    return _Run(plan, broker).execute()


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
    def __init__(self, plan: Plan, broker: Broker) -> None:
        self.plan = plan
        self.broker = broker
        self.deadline = time.monotonic() + plan.deadline_seconds
        self.gate = _Gate()
        self.proxies: dict[str, Proxy] = {}
        self.workers: dict[str, Worker] = {}
        self.publishers: dict[str, Publisher] = {}
        self.troubles: list[str] = []
        self.notes: list[str] = []
        self.lesson: Lesson

    def execute(self) -> Seen:
        with Lesson(f"chaos-{self.plan.seed}", self.broker) as self.lesson:
            try:
                self._declare()
                self._begin()
                for step in self.plan.steps:
                    self._do_at_its_moment(step)
                    self._staff()
                return self._come_to_rest()
            finally:
                self.gate.open()
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
        for publisher in self.plan.publishers:
            with self._way(publisher):
                self.publishers[publisher.name] = self.lesson.start_publisher(
                    _tasks(publisher),
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

        def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
            number = next(deliveries)
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
            self.lesson.log.wait_for(lambda: count() >= moment.number, seconds)
        else:
            self.gate.expect(step.target, moment)
            if not self.gate.wait(seconds):
                self.notes.append(f"{step.deed} {step.target}: not at its moment")
        try:
            self._do(step)
        except Exception:  # noqa: BLE001 - no deed of the plan may raise
            self.troubles.append(f"{step.deed} {step.target}: {traceback.format_exc()}")
        finally:
            self.gate.open()

    def _do(self, step: Step) -> None:
        worker = self.workers.get(step.target)
        proxy = self.proxies.get(step.target)
        host = self.lesson.virtual_host
        match step.deed:
            case "kill" if worker:
                worker.kill()
            case "freeze" if worker:
                worker.freeze()
            case "thaw" if worker:
                worker.thaw()
            case "stop" if worker:
                worker.thaw()
                # Politely and without waiting: the task in hand may wait for us.
                worker.request_stop()
            case "cut" if proxy:
                proxy.cut()
            case "delay" if proxy:
                proxy.delay(step.amount)
            case "half-open to the client" if proxy:
                proxy.half_open("client")
            case "half-open to the broker" if proxy:
                proxy.half_open("broker")
            case "close a connection":
                if not faults.close_connections(self.broker, host, int(step.amount)):
                    self.notes.append("the broker listed no connection to close")
            case "close all connections":
                faults.close_connections(self.broker, host)
            case "memory alarm":
                self._alarm()
            case "restart the broker":
                self.broker.restart()
            case "crash the broker":
                self.broker.crash()
            case unknown:
                raise AssertionError(f"no such deed: {unknown}")

    def _alarm(self) -> None:
        with faults.memory_alarm() as possible:
            if not possible:
                self.notes.append("no memory alarm: the broker runs in no container of ours")
                return
            self.lesson.log.wait_for(
                lambda: any(publisher.state == "blocked" for publisher in self.publishers.values()), _ALARM_SECONDS
            )

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

    # -- the end

    def _come_to_rest(self) -> Seen:
        for proxy in self.proxies.values():
            proxy.delay(0)
        for worker in self.lesson.workers:
            worker.thaw()
        self._patiently("publishers", self._wait_for_publishers)
        self._patiently("workers", lambda: self.lesson.wait_until_idle(self.remaining))
        counts = self._counts_that_agree()
        quiet = len(self.lesson.log)
        publishers = {name: publisher.state for name, publisher in self.publishers.items()}
        workers = {worker.name: worker.state for worker in self.lesson.workers}
        self._patiently("stop", lambda: self.lesson.stop_workers(timeout=self.remaining))
        self._patiently("drain", self._drain)
        left = {name: Counts(*known[:2]) for name, known in self.lesson.queue_counts().items()}
        return Seen(
            rows=self.lesson.log.rows(),
            quiet=quiet,
            counts=counts,
            left=left,
            publishers=publishers,
            workers=workers,
            troubles=self.troubles,
            notes=self.notes,
        )

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

    def _counts_that_agree(self) -> dict[str, Counts]:
        """Return the broker's counts, once they are the log's or will not be."""
        deadline = time.monotonic() + _AGREE_SECONDS
        while True:
            counts = {name: Counts(*known[:2]) for name, known in self.lesson.queue_counts().items()}
            ours = self.lesson.ledger().queues()
            if time.monotonic() > deadline or all(ours.get(name) == known for name, known in counts.items()):
                return counts
            self.lesson.log.wait_for(lambda: False, 0.1)

    def _drain(self) -> None:
        """Fetch and acknowledge all that is left: then the log has seen all that the broker had."""
        names = set(self.lesson.queue_counts())
        with self.lesson.connect() as connection:
            channel = connection.channel()
            while names and self.remaining > 1:
                for name in sorted(names):
                    while True:
                        method, _, _ = channel.basic_get(name)
                        if method is None:
                            break
                        channel.basic_ack(method.delivery_tag)
                if not any(sum(known[:2]) for known in self.lesson.queue_counts().values()):
                    return
                self.lesson.log.wait_for(lambda: False, 0.05)


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
