"""`judge`: what was wrong with a run, decided from its log and the broker's counts alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.books import Books, audit, most_unknown, unknown
from tests.chaos.plan import Plan, QueuePlan
from tests.chaos.unseen import BAD_ENDS, Unseen
from workq_helpers.log.details import BrokerChange, Handback
from workq_helpers.log.events import Event, Row
from workq_helpers.log.ledger import Ledger

__all__ = ["DRAIN", "Counts", "QueueVerdict", "Seen", "flagged", "judge", "tally"]

#: Who fetches what is left, when all is quiet.
DRAIN = "notebook"
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
        happened: Which faults really happened, and how often.
        books: What the run knows by itself; ``None`` where its process was killed, and its books with it.
    """

    rows: Sequence[Row]
    quiet: int
    counts: dict[str, Counts]
    left: dict[str, Counts] = field(default_factory=dict)
    publishers: dict[str, str] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    books: Books | None = None


def judge(plan: Plan, seen: Seen) -> list[str]:
    """Return what was wrong with a run, a line each; nothing if all was well."""
    wrong = [*seen.troubles, *seen.leaks]
    events = [Event._make(row) for row in seen.rows]
    wrong += _after_a_kill(events)
    for name, state in seen.publishers.items():
        if state != "finished" and any(event.actor == name and event.kind == "connected" for event in events):
            wrong.append(f"{name} ended as {state}, not finished")
    for queue in plan.queues:
        wrong += [f"{queue.name}: {text}" for text in QueueVerdict(plan, queue, events, seen).judge()]
    if seen.books is not None:
        wrong += audit(seen.books, {queue.name: queue.auto_ack for queue in plan.queues})
        if (count := unknown(seen.books)) and not any(seen.happened.values()):
            wrong.append(f"nothing happened, and {count} are unknown")
    return wrong


def tally(plan: Plan, seen: Seen) -> Counter[str]:
    """Return what there was to judge: how many messages and deliveries, and what became of them."""
    events = [Event._make(row) for row in seen.rows]
    safe = {queue.name for queue in plan.queues if queue.safe}
    found: Counter[str] = Counter()
    for event in events:
        if event.kind == "delivered":
            found["deliveries"] += 1
            found["redeliveries, all with their flag"] += event.redelivered
            found["left in a queue and fetched at the end"] += event.actor == DRAIN
            elsewhere = plan.program is not None and event.actor.startswith(plan.program.name)
            found["deliveries to a program, seen through the relay"] += elsewhere
        found["messages published"] += event.kind == "published"
        found["confirmed"] += event.kind == "confirmed"
        found["confirmed in a safe queue, none lost"] += event.kind == "confirmed" and event.queue in safe
    found["runs broken before anything was published, with nothing to judge"] = not found["messages published"]
    if seen.books is not None:
        found["tasks in the books, each held against the log"] = len(seen.books.sent)
        found["unknown in the log"] = unknown(seen.books)
        auto_ack = {queue.name: queue.auto_ack for queue in plan.queues}
        found["in flight when something broke, by the books: the most that may be"] = most_unknown(seen.books, auto_ack)
    for queue in plan.queues:
        verdict = QueueVerdict(plan, queue, events, seen)
        found["lost, and named by the log"] += verdict.named()
        found["lost on the way to or from who died, as its kind of queue allows"] += verdict.unnamed()
    return found


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


def flagged(events: list[Event]) -> int:
    """Return up to which event RabbitMQ flags each redelivery: after a restart some lack their flag (seen on 4.3.6)."""
    outages = (
        number
        for number, event in enumerate(events)
        if isinstance(event.detail, BrokerChange) and event.detail.is_outage
    )
    return next(outages, len(events))


class QueueVerdict:
    """The judgement of one queue."""

    def __init__(self, plan: Plan, queue: QueuePlan, events: list[Event], seen: Seen) -> None:
        self._plan = queue
        self._seen = seen
        self._events = [event for event in events if event.queue == queue.name]
        self._unseen = Unseen(self._events)
        self._all_events = events
        self._ledger = Ledger()
        self._ledger.update(seen.rows[: seen.quiet])
        self._published = self._count("published")
        self._fetched = self._taken_out(events[seen.quiet :])

    def _count(self, *kinds: str) -> Counter[str | None]:
        return Counter(event.mark for event in self._events if event.kind in kinds)

    def _taken_out(self, events: list[Event]) -> Counter[str | None]:
        """Count what came out of the queue at the end: fetched, or done by a worker that was to stop after another."""
        ours = [event for event in events if event.queue == self._plan.name]
        fetched = Counter(event.mark for event in ours if (event.kind, event.actor) == ("delivered", DRAIN))
        settled = Counter(
            event.mark
            for event in ours
            if event.actor != DRAIN
            and (event.kind == "acked" or (event.kind, event.detail) == ("rejected", Handback.DISCARD))
        )
        settled.pop(None, None)  # an ack of nothing
        return fetched | settled

    def judge(self) -> Iterator[str]:
        yield from self._invented()
        yield from self._unseen.gaps()
        if any(left := self._seen.left.get(self._plan.name, Counts(0, 0))):
            # What has not been looked at may be well: it is not called lost.
            yield f"could not be drained: {left}"
            return
        if self._plan.safe:
            yield from self._lost()
        yield from self._unconfirmed()
        yield from self._differences()

    def _invented(self) -> Iterator[str]:
        fresh = Counter(event.mark for event in self._flagged() if event.kind == "delivered" and not event.redelivered)
        for mark in self._count("delivered"):
            if mark not in self._published:
                yield f"message {mark} was delivered and never published"
            elif fresh[mark] > self._published[mark]:
                yield (
                    f"message {mark} was published {self._published[mark]} times and delivered "
                    f"{fresh[mark]} times without the flag of a redelivery"
                )

    def _flagged(self) -> list[Event]:
        return [event for event in self._all_events[: flagged(self._all_events)] if event.queue == self._plan.name]

    def _lost(self) -> Iterator[str]:
        """Whatever was confirmed was done in the end, by a worker or by who fetched what was left.

        What became of a delivery is looked at for each by itself: who reads slowly may tell of one after the next one.
        """
        acked: defaultdict[str | None, set[tuple[str, int | None]]] = defaultdict(set)
        for event in self._events:
            delivery = event.actor, event.delivery_tag
            if event.kind == "acked" or (event.kind == "rejected" and event.detail is Handback.DISCARD):
                acked[event.mark].add(delivery)
            elif event.kind in ("delivered", "ack dropped", "requeued"):
                acked[event.mark].discard(delivery)
        for mark in self._count("confirmed"):
            if not acked[mark]:
                yield f"message {mark} was confirmed, and is lost"

    def _unconfirmed(self) -> Iterator[str]:
        if not self._plan.confirm:
            return
        answered = self._count("confirmed", "refused")
        finished = {name for name, state in self._seen.publishers.items() if state == "finished"}
        for event in self._events:
            if event.kind == "published" and event.actor in finished and event.mark not in answered:
                yield f"message {event.mark} was never confirmed, and {event.actor} finished"

    # -- the log's messages beside the broker's

    def _differences(self) -> Iterator[str]:
        broker = self._seen.counts.get(self._plan.name)
        ours = self._ledger.queues().get(self._plan.name)
        if broker is None:
            if ours is not None and any(ours):
                yield f"the broker has no such queue, and the log counts {ours}"
            return
        here = self.here()
        if sum(broker) != sum(self._fetched.values()):
            yield f"the broker counted {broker}, and {sum(self._fetched.values())} messages were fetched"
        if ours is not None and ours.unacknowledged != broker.unacknowledged:
            yield f"unacknowledged: {broker.unacknowledged} by the broker, {ours.unacknowledged} by the log"
        for mark in (self._fetched - here).keys() - self._may_be_here() - self._unknown():
            yield f"message {mark} is in the queue, and by the log is {self._place(mark)}"
        for mark in (here - self._fetched).keys() - self.may_be_gone():
            yield f"message {mark} is not in the queue, and by the log is {self._place(mark)}"

    def here(self) -> Counter[str | None]:
        """Return the messages that are in the queue, by the log."""
        return Counter(
            message.mark
            for message in self._ledger
            if message.queue == self._plan.name and message.place in ("waiting", "in hand") and not self._taken(message)
        )

    def _unknown(self) -> set[str | None]:
        return {message.mark for message in self._ledger if message.place == "unknown"}

    def named(self) -> int:
        """Return how many messages are lost by the log."""
        return sum(message.queue == self._plan.name and message.place == "lost" for message in self._ledger)

    def unnamed(self) -> int:
        """Return how many messages are gone that no event names as lost: sent to a worker that died, or never sent."""
        return len((self.here() - self._fetched).keys() - self._published_again())

    def _taken(self, message: object) -> bool:
        return self._plan.auto_ack and getattr(message, "place", "") == "in hand"

    def _place(self, mark: str | None) -> str:
        message = self._ledger.message(mark or "")
        return "nowhere" if message is None else message.place

    def _may_be_here(self) -> set[str | None]:
        """Messages whose ack may have been lost on its way, or that were published more than once."""
        return self._in_doubt("acked", "rejected") | self._published_again()

    def may_be_gone(self) -> set[str | None]:
        """Messages of which the log can't know that the broker does not have them."""
        sent_and_lost = self._in_doubt("published") - set(self._count("confirmed"))
        gone = sent_and_lost | self._published_again()
        crashed = any(event.detail is BrokerChange.CRASHING for event in self._all_events if event.kind == "broker")
        if crashed or self._seen.happened["disk full under the broker"]:
            # What was not confirmed need not have been written.
            gone |= self._published.keys() - self._count("confirmed").keys()
        if self._plan.auto_ack:
            gone |= self._unseen.messages()
        return gone

    def _published_again(self) -> set[str | None]:
        return {mark for mark, times in self._published.items() if times > 1}

    def _in_doubt(self, *kinds: str) -> set[str | None]:
        """Return the messages of events on connections that came to a bad end."""
        doubtful: set[str | None] = set()
        current: defaultdict[str, set[str | None]] = defaultdict(set)
        for event in self._events:
            if event.kind in kinds:
                current[event.actor].add(event.mark)
            elif event.kind == "connected":
                current[event.actor].clear()
            elif event.kind in BAD_ENDS:
                doubtful |= current[event.actor]
        return doubtful
