"""`judge`: what was wrong with a run, decided from its log and the broker's counts alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.plan import Plan, QueuePlan
from workq_helpers.events import Event, Row
from workq_helpers.ledger import Ledger

__all__ = ["Counts", "Seen", "judge"]

#: Who fetches what is left, when all is quiet.
_DRAIN = "notebook"
#: The ends of a connection after which nobody knows what of its last words arrived.
_BAD_ENDS = ("disconnected", "killed", "crashed", "channel closed")
_AT_WORK = ("delivered", "started", "finished", "failed", "acked", "nacked", "rejected")


class Counts(NamedTuple):
    """A queue's messages, as the broker or the log counts them."""

    ready: int
    unacknowledged: int


@dataclass
class Seen:
    """What was seen of a run.

    Attributes:
        rows: The whole log. From `quiet` on workers stop, and the notebook fetches all that is left.
        quiet: How many rows the log had when nothing went on any more.
        counts: The broker's counts at that moment.
        left: The broker's counts at the end.
        publishers: In which state each publisher ended.
        workers: In which state each worker was when all was quiet.
        troubles: What the run itself could not do and should have.
        notes: What it did not do, for good reasons.
        leaks: What is left after it.
    """

    rows: list[Row]
    quiet: int
    counts: dict[str, Counts]
    left: dict[str, Counts] = field(default_factory=dict)
    publishers: dict[str, str] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def judge(plan: Plan, seen: Seen) -> list[str]:
    """Return what was wrong with a run, a line each; nothing if all was well."""
    wrong = [*seen.troubles, *seen.leaks]
    events = [Event._make(row) for row in seen.rows]
    wrong += _after_a_kill(events)
    for name, state in seen.publishers.items():
        if state != "finished" and any(event.actor == name and event.kind == "connected" for event in events):
            wrong.append(f"{name} ended as {state}, not finished")
    for queue in plan.queues:
        wrong += [f"{queue.name}: {text}" for text in _Queue(queue, events, seen).judge()]
    return wrong


def _after_a_kill(events: list[Event]) -> Iterator[str]:
    """A killed worker does nothing any more; what was on its way to one with auto-ack is delivered, and lost."""
    killed = set()
    lost = {(event.actor, event.delivery_tag) for event in events if event.kind == "lost"}
    for event in events:
        on_its_way = event.kind == "delivered" and (event.actor, event.delivery_tag) in lost
        if event.actor in killed and event.kind in _AT_WORK and not on_its_way:
            yield f"{event.actor} was killed, and then the log says {event.kind} {event.task!r}"
        if event.kind == "killed":
            killed.add(event.actor)


class _Queue:
    """The judgement of one queue."""

    def __init__(self, plan: QueuePlan, events: list[Event], seen: Seen) -> None:
        self._plan = plan
        self._seen = seen
        self._events = [event for event in events if event.queue == plan.name]
        self._all_events = events
        self._ledger = Ledger()
        self._ledger.update(seen.rows[: seen.quiet])
        self._published = self._count("published")
        self._fetched = Counter(
            event.message_id for event in self._events if (event.kind, event.actor) == ("delivered", _DRAIN)
        )

    def _count(self, *kinds: str) -> Counter[str | None]:
        return Counter(event.message_id for event in self._events if event.kind in kinds)

    def judge(self) -> Iterator[str]:
        yield from self._invented()
        if self._plan.safe:
            yield from self._lost()
        yield from self._unconfirmed()
        yield from self._differences()
        if any(left := self._seen.left.get(self._plan.name, Counts(0, 0))):
            yield f"could not be drained: {left}"

    def _invented(self) -> Iterator[str]:
        fresh = Counter(
            event.message_id for event in self._events if event.kind == "delivered" and not event.redelivered
        )
        for message_id in self._count("delivered"):
            if message_id not in self._published:
                yield f"message {message_id} was delivered and never published"
            elif fresh[message_id] > self._published[message_id]:
                yield (
                    f"message {message_id} was published {self._published[message_id]} times and delivered "
                    f"{fresh[message_id]} times without the flag of a redelivery"
                )

    def _lost(self) -> Iterator[str]:
        """Whatever was confirmed was done in the end, by a worker or by who fetched what was left."""
        done: set[str | None] = set()
        last: dict[str | None, tuple[str, int | None]] = {}
        for event in self._events:
            delivery = event.actor, event.delivery_tag
            if event.kind == "delivered":
                last[event.message_id] = delivery
                done.discard(event.message_id)
            elif last.get(event.message_id) != delivery:
                continue  # a late report: the message has moved on
            elif event.kind == "acked" or (event.kind == "rejected" and event.detail == "discard"):
                done.add(event.message_id)
            elif event.kind in ("ack dropped", "requeued"):
                done.discard(event.message_id)
        for message_id in self._count("confirmed"):
            if message_id not in done:
                yield f"message {message_id} was confirmed, and is lost"

    def _unconfirmed(self) -> Iterator[str]:
        if not self._plan.confirm:
            return
        answered = self._count("confirmed", "refused")
        finished = {name for name, state in self._seen.publishers.items() if state == "finished"}
        for event in self._events:
            if event.kind == "published" and event.actor in finished and event.message_id not in answered:
                yield f"message {event.message_id} was never confirmed, and {event.actor} finished"

    # -- the log's messages beside the broker's

    def _differences(self) -> Iterator[str]:
        broker = self._seen.counts.get(self._plan.name)
        ours = self._ledger.queues().get(self._plan.name)
        if broker is None:
            if ours is not None and any(ours):
                yield f"the broker has no such queue, and the log counts {ours}"
            return
        here = Counter(
            message.message_id
            for message in self._ledger
            if message.queue == self._plan.name and message.place in ("waiting", "in hand") and not self._taken(message)
        )
        if sum(broker) != sum(self._fetched.values()):
            yield f"the broker counted {broker}, and {sum(self._fetched.values())} messages were fetched"
        if ours is not None and ours.unacknowledged != broker.unacknowledged:
            yield f"unacknowledged: {broker.unacknowledged} by the broker, {ours.unacknowledged} by the log"
        for message_id in (self._fetched - here).keys() - self._may_be_here():
            yield f"message {message_id} is in the queue, and by the log is {self._place(message_id)}"
        for message_id in (here - self._fetched).keys() - self._may_be_gone():
            yield f"message {message_id} is not in the queue, and by the log is {self._place(message_id)}"

    def _taken(self, message: object) -> bool:
        return self._plan.auto_ack and getattr(message, "place", "") == "in hand"

    def _place(self, message_id: str | None) -> str:
        message = self._ledger.message(message_id or "")
        return "nowhere" if message is None else message.place

    def _may_be_here(self) -> set[str | None]:
        """Messages whose ack may have been lost on its way, or that were published more than once."""
        return self._in_doubt("acked", "rejected") | self._published_again()

    def _may_be_gone(self) -> set[str | None]:
        """Messages of which the log can't know that the broker does not have them."""
        sent_and_lost = self._in_doubt("published") - set(self._count("confirmed"))
        gone = sent_and_lost | self._published_again()
        if any(event.detail == "crashing" for event in self._all_events if event.kind == "broker"):
            # What was not confirmed need not have been written.
            gone |= self._published.keys() - self._count("confirmed").keys()
        if self._plan.auto_ack and self._bad_ends():
            gone |= self._published.keys()  # what is sent is gone, and who would have logged it as well
        return gone

    def _published_again(self) -> set[str | None]:
        return {message_id for message_id, times in self._published.items() if times > 1}

    def _bad_ends(self) -> bool:
        return any(event.kind in _BAD_ENDS and event.actor in self._seen.workers for event in self._events)

    def _in_doubt(self, *kinds: str) -> set[str | None]:
        """Return the messages of events on connections that came to a bad end."""
        doubtful: set[str | None] = set()
        current: defaultdict[str, set[str | None]] = defaultdict(set)
        for event in self._events:
            if event.kind in kinds:
                current[event.actor].add(event.message_id)
            elif event.kind == "connected":
                current[event.actor].clear()
            elif event.kind in _BAD_ENDS:
                doubtful |= current[event.actor]
        return doubtful
