"""Whatever a program does, at rest the log counts what the broker counts, and nothing waits that is not there."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pika
from hypothesis import given, settings
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionClosedByBroker

from tests.properties import examples
from tests.support import need
from workq_helpers import Broker, Lesson
from workq_helpers.waiting import wait_until

QUEUES: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"x-max-length": 2},
    "brief": {"x-message-ttl": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "plain"},
    "dying": {"x-dead-letter-exchange": "dead"},
    "lost": {"x-max-length": 1, "x-dead-letter-exchange": "nowhere"},
    "round": {"x-message-ttl": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "round"},
    "left": {},
    "right": {"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "left"},
    "theirs": {"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "plain"},
    "stream": {"x-queue-type": "stream"},
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": 2},
    "durable": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "quorum"},
    "mine": {},
    "fleeting": {},
    "their own": {},
    "unused": {"x-expires": 500},
}
HOW: dict[str, dict[str, bool]] = {
    "stream": {"durable": True},
    "quorum": {"durable": True},
    "durable": {"durable": True},
    "mine": {"exclusive": True},
    "fleeting": {"auto_delete": True},
    "their own": {"exclusive": True},
}
#: Where dead letters of theirs go.
REACH = {"brief": ["plain"], "right": ["left"], "theirs": ["plain"], "dying": ["plain"], "durable": ["quorum"]}
THEIRS = ("theirs", "their own")
DEEDS = [
    "publish", "publish", "persist", "expire", "fanout", "copy", "headers", "misspell",
    "get", "get", "take", "consume", "consume auto", "cancel", "read", "read",
    "ack", "nack", "ack all", "nack all", "discard", "recover", "close", "leave", "purge", "delete", "declare",
    "other publish", "other take", "other hold", "other release", "other close", "other purge", "other delete",
    "other consume", "other leave",
]  # fmt: skip
OUTAGES = ["restart", "crash"]


def programs(deeds: list[str], most: int) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(st.sampled_from(deeds), st.sampled_from(sorted(QUEUES))), min_size=1, max_size=most)


class Program:
    """Does what is drawn, with a channel that is seen and one that is not, and keeps its own book of what is done."""

    def __init__(self, lesson: Lesson, no_quorum: bool = False) -> None:
        self.lesson = lesson
        self.arguments = QUEUES | ({"quorum": {}} if no_quorum else {})
        self.count = 0
        self.acked: Counter[tuple[str, str]] = Counter()  # while their queue was there
        self.deleted = {"unused"}  # or may be, or was
        self.brief: set[str] = set()  # what expires as soon as it comes to the head
        #: The queues in which what others publish, or hand back, may stand in the place of what they took.
        self.mixed: set[str] = set()
        self._connect()
        self._connect_other()
        for queue in QUEUES:
            self.make(queue)
        for queue in ("left", "right"):
            self.seen.queue_bind(queue, "logs")
        self.seen.queue_bind("plain", "dead", "dying")
        for queue in ("plain", "right", "dying", "stream", "mine"):
            self.seen.queue_bind(queue, "amq.headers", arguments={"x-match": "any", "for": queue, "hot": True})

    def _connect(self) -> None:
        self.connection = self.lesson.connect()
        self.seen = self.connection.channel()
        self.held: list[tuple[Any, str, str]] = []
        self.consumers: list[tuple[str, str]] = []
        for name, kind in (("logs", "fanout"), ("dead", "direct")):
            self.seen.exchange_declare(name, kind)

    def _connect_other(self) -> None:
        self.other = pika.BlockingConnection(self.lesson.broker.connection_parameters(self.lesson.virtual_host))
        self.unseen = self.other.channel()
        self.theirs: list[tuple[int, str]] = []

    def make(self, queue: str) -> None:
        channel = self.unseen if queue in THEIRS else self.seen
        channel.queue_declare(queue, arguments=self.arguments[queue], **HOW.get(queue, {}))

    def do(self, deed: str, queue: str) -> None:
        self.count += 1
        is_theirs = deed.startswith("other ")
        channel = self.unseen if is_theirs else self.seen
        what = deed.removeprefix("other ").replace(" ", "_")
        method = getattr(self, f"_other_{what}", None) if is_theirs else None
        with contextlib.suppress(ChannelClosedByBroker):
            (method or getattr(self, f"_{what}"))(channel, queue)
        self.read()

    def read(self) -> None:
        for connection in (self.connection, self.other):
            connection.process_data_events(0)
        if self.seen.is_closed:
            self._anew()
        if self.unseen.is_closed:
            self.unseen, self.theirs = self.other.channel(), []

    def _anew(self) -> None:
        self.held.clear()
        self.consumers.clear()
        self.seen = self.connection.channel()

    def _send(self, channel: Any, exchange: str, key: str, **properties: Any) -> None:
        channel.basic_publish(exchange, key, f"Task {self.count}".encode(), pika.BasicProperties(**properties))

    def _publish(self, channel: Any, queue: str) -> None:
        self._send(channel, "", queue)

    def _other_publish(self, channel: Any, queue: str) -> None:
        self._send(channel, "", queue)
        self.mixed.update((queue, *REACH.get(queue, ())))

    def _persist(self, channel: Any, queue: str) -> None:
        self._send(channel, "", queue, delivery_mode=2)

    def _expire(self, channel: Any, queue: str) -> None:
        self._send(channel, "", queue, expiration="1")
        self.brief.add(f"Task {self.count}")

    def _fanout(self, channel: Any, _queue: str) -> None:
        self._send(self.seen, "logs", "")

    def _copy(self, channel: Any, queue: str) -> None:
        self._send(channel, "", "plain", headers={"CC": [queue, "left"], "BCC": ["dying"]})

    def _headers(self, channel: Any, queue: str) -> None:
        self._send(channel, "amq.headers", "", headers={"for": queue, "hot": self.count % 2 == 0})

    def _misspell(self, channel: Any, queue: str) -> None:
        self._send(channel, "", f"{queue}s")

    def _can_get(self, channel: Any, queue: str) -> bool:
        return queue != "stream" and self._may_use(channel, queue) and self._is_there(queue)

    def _may_use(self, channel: Any, queue: str) -> bool:
        return queue != ("mine" if channel is self.unseen else "their own")

    def _get(self, channel: Any, queue: str) -> None:
        if self._can_get(channel, queue):
            method, _, body = channel.basic_get(queue)
            if method is not None:
                self.held.append((method, queue, body.decode()))

    def _settle(self, how: Callable[[int], object]) -> list[tuple[str, str]]:
        if not self.held:
            return []
        method, *settled = self.held.pop(0)
        how(method.delivery_tag)
        return [(settled[0], settled[1])]

    def _acknowledged(self, settled: list[tuple[str, str]]) -> None:
        for queue, task in settled:
            if queue not in self.deleted:
                self.acked[queue, task] += 1

    def _ack(self, channel: Any, _queue: str) -> None:
        self._acknowledged(self._settle(channel.basic_ack))

    def _ack_all(self, channel: Any, _queue: str) -> None:
        if self.held:
            channel.basic_ack(0, multiple=True)
            self._acknowledged([(queue, task) for _, queue, task in self.held])
            self.held.clear()

    def _nack_all(self, channel: Any, _queue: str) -> None:
        if self.held:
            channel.basic_nack(0, multiple=True)
            self.held.clear()

    def _recover(self, channel: Any, _queue: str) -> None:
        channel.basic_recover(requeue=True)
        self.held.clear()

    def _nack(self, channel: Any, _queue: str) -> None:
        self._settle(channel.basic_nack)

    def _discard(self, channel: Any, _queue: str) -> None:
        self._settle(lambda tag: channel.basic_reject(tag, requeue=False))

    def _close(self, channel: Any, _queue: str) -> None:
        channel.close()
        self._anew()

    def _leave(self, _channel: Any, _queue: str) -> None:
        self.connection.close()
        self.deleted.update(("mine", "fleeting"))
        self._connect()

    def _other_close(self, channel: Any, _queue: str) -> None:
        channel.close()
        self.mixed.update(queue for _, queue in self.theirs)
        self.unseen, self.theirs = self.other.channel(), []

    def _other_leave(self, channel: Any, _queue: str) -> None:
        self.mixed.update(queue for _, queue in self.theirs)
        self.other.close()
        self.deleted.update(("their own", "fleeting"))
        self._connect_other()

    def _purge(self, channel: Any, queue: str) -> None:
        if self._can_get(channel, queue):
            channel.queue_purge(queue)

    def _take(self, channel: Any, queue: str) -> None:
        if self._can_get(channel, queue):
            method, _, body = channel.basic_get(queue, auto_ack=True)
            if method is not None and channel is self.seen:
                self.acked[queue, body.decode()] += 1

    def _hold(self, channel: Any, queue: str) -> None:
        if self._can_get(channel, queue):
            method, _, _ = channel.basic_get(queue)
            if method is not None:
                self.theirs.append((method.delivery_tag, queue))

    def _other_release(self, channel: Any, _queue: str) -> None:
        if self.theirs:
            tag, held_of = self.theirs.pop(0)
            self.mixed.add(held_of)
            channel.basic_nack(tag)

    def _delete(self, channel: Any, queue: str) -> None:
        if self._may_use(channel, queue):
            channel.queue_delete(queue)
            self.deleted.add(queue)

    def _declare(self, _channel: Any, queue: str) -> None:
        if not self._is_there(queue):
            self.make(queue)
            self.deleted.add(queue)

    def _consume(self, channel: Any, queue: str) -> None:
        self._consumes(channel, queue, auto_ack=False)

    def _consume_auto(self, channel: Any, queue: str) -> None:
        self._consumes(channel, queue, auto_ack=queue != "stream")

    def _consumes(self, channel: Any, queue: str, auto_ack: bool) -> None:
        if not (self._may_use(channel, queue) and self._is_there(queue)):
            return

        def came(_: Any, method: Any, __: Any, body: bytes) -> None:
            if auto_ack:
                self.acked[queue, body.decode()] += channel is self.seen
            elif channel is self.seen:
                self.held.append((method, queue, body.decode()))
            else:
                self.theirs.append((method.delivery_tag, queue))

        channel.basic_qos(prefetch_count=2)
        tag = channel.basic_consume(queue, came, auto_ack=auto_ack)
        if channel is self.seen:
            self.consumers.append((queue, tag))

    def _cancel(self, channel: Any, _queue: str) -> None:
        if self.consumers:
            queue, tag = self.consumers.pop(0)
            channel.basic_cancel(tag)
            if queue == "fleeting":
                self.deleted.add("fleeting")

    def _read(self, channel: Any, queue: str) -> None:
        self.ready(queue)  # once this is answered, what was sent before it is here

    def _restart(self, _channel: Any, _queue: str) -> None:
        self._goes(self.lesson.broker.restart)

    def _crash(self, _channel: Any, _queue: str) -> None:
        self._goes(self.lesson.broker.crash)

    def _goes(self, how: Callable[[], None]) -> None:
        how()
        for connection in (self.connection, self.other):
            with contextlib.suppress(AMQPError):
                connection.process_data_events(0)
            with contextlib.suppress(AMQPError):
                connection.close()
        self._connect()
        self._connect_other()
        self.deleted.update(QUEUES)

    def _is_there(self, queue: str) -> bool:
        return self.ready(queue) is not None

    def ready(self, queue: str) -> int | None:
        connection = self.connection if queue == "mine" else self.other
        channel = pika.BlockingConnection.channel(connection)
        try:
            return int(channel.queue_declare(queue, passive=True).method.message_count)
        except pika.exceptions.ChannelClosedByBroker:
            return None
        finally:
            if channel.is_open:
                channel.close()

    def differences(self) -> dict[str, tuple[int | None, int | None]]:
        """What the broker and the log count in each queue in which they differ; ``None`` where there is no queue.

        Of one that others made and deleted the log may never have heard.
        """
        self.read()
        ledger = self.lesson.ledger()
        known = [queue for queue in QUEUES if queue != "stream" and (queue in ledger.queues() or self.ready(queue))]
        counted = {queue: self.ready(queue) for queue in known}
        logged = {
            queue: None if ledger.absent(queue) else ledger.pending(queue) + ledger.unseen(queue) for queue in known
        }
        return {queue: (counted[queue], logged[queue]) for queue in known if counted[queue] != logged[queue]}

    def drain(self, queue: str) -> list[str]:
        """Take all that is ready in a queue, with a client of one's own."""
        found = list[str]()

        def is_drained() -> bool:
            parameters = self.lesson.broker.connection_parameters(self.lesson.virtual_host)
            with contextlib.suppress(ConnectionClosedByBroker), pika.BlockingConnection(parameters) as connection:
                got = connection.channel().consume(queue, auto_ack=True, inactivity_timeout=0.1)
                found.extend(body.decode() for _, _, body in itertools.takewhile(lambda each: each[0] is not None, got))
                return True
            return False  # while a queue comes back after an outage

        assert not self._is_there(queue) or wait_until(is_drained, 30.0)
        return found

    def close(self) -> None:
        for connection in (self.connection, self.other):
            with contextlib.suppress(AMQPError):
                connection.close()


def judge(lesson: Lesson, program: Program) -> None:
    """Hold the log against the broker's counts, against the program's own book, and against what is in the queues."""
    # What expires does so after a moment, and the counts lag a little: at rest they agree, and stay so.
    assert wait_until(lambda: lesson.take_stock() and not program.differences(), 20.0), program.differences()
    ledger = lesson.ledger()

    def those(place: str) -> Counter[tuple[str, str]]:
        found = (message for message in ledger if message.place == place)
        return Counter((message.queue, message.task) for message in found if message.queue != "stream")

    assert not any(ledger.pending(name) for name in ledger.queues().keys() - QUEUES.keys())
    done, in_hand = those("done"), those("in hand")
    assert done <= program.acked, "counts never make a message done"
    assert {queue for queue, _ in program.acked - done} - {"stream"} <= program.deleted, "what came first can't be told"
    held = Counter((queue, task) for _, queue, task in program.held if queue != "stream")
    assert in_hand <= held
    assert {queue for queue, _ in held - in_hand} <= program.deleted
    waiting = {each: count for each, count in those("waiting").items() if each[1] not in program.brief}
    for queue in QUEUES.keys() - program.mixed - {"stream", "mine", "their own", "unused"}:
        there = Counter((queue, task) for task in program.drain(queue))
        assert Counter({each: count for each, count in waiting.items() if each[0] == queue}) <= there


def run(broker: Broker, deeds: list[tuple[str, str]], no_quorum: bool = False) -> None:
    with Lesson("any-program", broker) as lesson, contextlib.closing(Program(lesson, no_quorum)) as program:
        for deed, queue in deeds:
            program.do(deed, queue)
        try:
            judge(lesson, program)
        except AssertionError as error:
            error.add_note(lesson.events().to_string())
            raise


@settings(max_examples=examples(24))
@given(deeds=programs(DEEDS, 16))
def test_at_rest_what_waits_is_what_the_broker_counts(broker: Broker, deeds: list[tuple[str, str]]) -> None:
    run(broker, deeds)


@settings(max_examples=examples(8))
@given(before=programs(DEEDS, 8), outage=st.sampled_from(OUTAGES), after=programs(DEEDS, 6))
def test_after_an_outage_too(
    broker: Broker, before: list[tuple[str, str]], outage: str, after: list[tuple[str, str]]
) -> None:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    # After a crash a quorum queue of RabbitMQ 3.10 may let nobody consume for half a minute and more.
    run(broker, [*before, (outage, ""), *after], no_quorum=broker.version.major < 4)
