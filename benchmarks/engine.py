"""The helpers beside plain pika and its other peers, in messages a second: `python benchmarks/engine.py`.

Everybody runs as its users run it (`benchmarks/peers` says how), in processes of its own, on one broker, with
durable classic queues, persistent messages, the same text in each and the same prefetch count; connecting and the
first messages are not timed. One consumer does nothing with a message but acknowledge it. What the helpers do is
recorded.

Tasks of dramatiq and Celery travel in messages of their own, which are larger; both know no auto ack.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable

import pika

from benchmarks.bench import Bench, alone
from benchmarks.peers.job import Job
from benchmarks.peers.peer import PEERS, Peer, PeerError, doing
from benchmarks.row import Goal, Row
from workq_helpers import Lesson
from workq_helpers.rabbitmq.url import address_of
from workq_helpers.waiting import wait_until

PART = "engine"
BODY = "task....."
YARDSTICK = "plain pika"
OURS = "helpers"

#: Messages in a round, so that each takes about a second or two. Publishing with confirms has two kinds.
COUNTS = {1: 2_000, 10: 3_000, 100: 6_000, 0: 10_000}
PUBLISHED, CONFIRMED, END_TO_END = 10_000, 1_500, 3_000

#: Of plain pika: by prefetch count, 0 for auto ack; and for publishing.
GOALS = {1: Goal(">=", 0.95), 100: Goal(">=", 1.8), 0: Goal(">=", 0.9)}
PUBLISH_GOAL, CONFIRM_GOAL = Goal(">=", 1.7), Goal(">=", 9.0)


def measure(bench: Bench) -> None:
    """Measure consuming, publishing and both together."""
    with Lesson("bench", bench.broker) as lesson:
        yard = Yard(bench, lesson)
        # A quick run has everybody publish and consume once, together.
        peers = [PEERS[OURS], PEERS[YARDSTICK]] if bench.quick else yard.peers
        for prefetch_count in (10,) if bench.quick else (1, 10, 100):
            _compare(
                bench,
                f"consume, prefetch {prefetch_count}",
                functools.partial(yard.consume, prefetch_count=prefetch_count),
                peers,
                GOALS.get(prefetch_count),
                ahead_of_all=prefetch_count > 1,
            )
        with_auto_ack = [peer for peer in yard.peers if not peer.is_task_queue]
        if not bench.quick:
            auto_ack = functools.partial(yard.consume, auto_ack=True)
            _compare(bench, "consume, auto ack", auto_ack, with_auto_ack, GOALS[0])
            _compare(bench, "publish", yard.publish, yard.peers, PUBLISH_GOAL)
        confirm = functools.partial(yard.publish, confirm=True)
        _compare(bench, "publish with confirms", confirm, peers, CONFIRM_GOAL, ahead_of_all=True)
        _compare(bench, "publish to done", yard.publish_to_done, yard.peers)


def _compare(
    bench: Bench,
    what: str,
    run: Callable[[Peer], float],
    peers: list[Peer],
    goal: Goal | None = None,
    *,
    ahead_of_all: bool = False,
) -> None:
    goals = {OURS: goal} if goal else {}
    sides = {peer.name: functools.partial(run, peer) for peer in peers}
    figures = bench.compare(PART, what, "msg/s", sides, yardstick=YARDSTICK, goals=goals)
    if not figures or not ahead_of_all:
        return
    rows = [Row(PART, what, name, "msg/s", values) for name, values in figures.items() if name != OURS]
    best = max(rows, key=lambda row: row.median)
    bench.report.add(Row(PART, what, OURS, "msg/s", figures[OURS], best.values, best.who, Goal(">=", 1.0)))


class Yard:
    """Where all of them run: a virtual host of the one broker.

    Args:
        bench: How much of it.
        lesson: Has the virtual host.
    """

    def __init__(self, bench: Bench, lesson: Lesson) -> None:
        self._bench = bench
        self._parameters = lesson.broker.connection_parameters(lesson.virtual_host)
        self._url = address_of(lesson.broker.endpoint.on(lesson.virtual_host))
        missing = [name for name in ("aio_pika", "kombu", "dramatiq", "celery") if not importlib.util.find_spec(name)]
        if missing:
            bench.report.note(f"Not installed, so not measured: {', '.join(missing)}; `make bench` installs them.")
        self.peers = [peer for peer in PEERS.values() if peer.name.lower().replace("-", "_") not in missing]

    def consume(self, peer: Peer, prefetch_count: int = 0, auto_ack: bool = False) -> float:
        """Return how many messages a second one consumer takes."""
        # Without a limit a worker that knows none takes the largest prefetch count that it can have.
        job = self._job(peer, COUNTS[prefetch_count])
        job = job._replace(prefetch_count=prefetch_count, auto_ack=auto_ack)
        if peer.name != OURS:  # which fills the queue of its own lesson
            self._fill(peer, job)
        with doing(peer.consume, job) as consumer:
            began, ended = consumer.moments()
        return job.count / (ended - began)

    def publish(self, peer: Peer, confirm: bool = False) -> float:
        """Return how many messages a second one publisher sends, all of them received by the broker."""
        waits_for_none = not confirm or peer.name in (OURS, "aio-pika")
        job = self._job(peer, PUBLISHED if waits_for_none else CONFIRMED)._replace(confirm=confirm)
        self._empty(job.queue)
        with doing(peer.publish, job) as publisher:
            began, ended = publisher.moments()
        if peer.name != OURS:
            self._wait_for(job.queue, messages=job.total)
        return job.count / (ended - began)

    def publish_to_done(self, peer: Peer) -> float:
        """Return how many tasks a second are done, from the first publish on."""
        job = self._job(peer, END_TO_END)._replace(prefetch_count=10)
        if peer.name == OURS:  # in one process, as in a notebook
            with doing((*peer.consume[:-1], "publish_to_done"), job) as both:
                began, ended = both.moments()
            return job.count / (ended - began)
        self._empty(job.queue)
        with doing(peer.consume, job) as consumer:
            self._wait_for(job.queue, consumers=1)
            with doing(peer.publish, job) as publisher:
                began, _ = publisher.moments()
                _, ended = consumer.moments()
        return job.count / (ended - began)

    def url_of(self, peer: Peer) -> str:
        """Return the address that a peer is given."""
        return self._url

    def _job(self, peer: Peer, count: int) -> Job:
        queue = f"bench-{peer.name.lower().replace(' ', '-')}"
        return Job(self.url_of(peer), queue, BODY, self._bench.count(100, 5), self._bench.count(count, 50))

    def _fill(self, peer: Peer, job: Job) -> None:
        """Put the messages into the queue that a consumer is to take out."""
        self._empty(job.queue)
        publisher = peer if peer.is_task_queue else PEERS[YARDSTICK]
        with doing(publisher.publish, job) as publishing:
            publishing.moments()
        self._wait_for(job.queue, messages=job.total)

    def _empty(self, queue: str) -> None:
        with pika.BlockingConnection(self._parameters) as connection:
            connection.channel().queue_delete(queue)

    def _wait_for(self, queue: str, messages: int = 0, consumers: int = 0) -> None:
        """Wait until the broker has so many messages ready in the queue and so many consumers on it."""
        with pika.BlockingConnection(self._parameters) as connection:

            def has_them() -> bool:
                try:
                    counts = connection.channel().queue_declare(queue, passive=True).method
                except pika.exceptions.ChannelClosedByBroker:  # it is not there yet
                    return False
                return bool(counts.message_count >= messages and counts.consumer_count >= consumers)

            if not wait_until(has_them, 60):
                raise PeerError(f"{queue} has not had {messages} messages and {consumers} consumers in a minute")


if __name__ == "__main__":
    alone(PART, measure, __doc__)
