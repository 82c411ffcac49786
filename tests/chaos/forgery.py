"""`forgeries`: the log of a run that went well, falsified in ways of which each must be found by `judge`."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from tests.chaos.books import could_be_unknown
from tests.chaos.plan import Plan
from tests.chaos.verdict import DRAIN, QueueVerdict, Seen, flagged
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import Event, Row

__all__ = ["FORGERIES", "Forgery", "forge"]


class Forgery(NamedTuple):
    """What was falsified, and what is seen of the run now."""

    text: str
    seen: Seen


class _Case:
    """A run, by its messages."""

    def __init__(self, plan: Plan, seen: Seen, rng: random.Random) -> None:
        self.plan, self.seen, self.rng = plan, seen, rng
        self.events = [Event._make(row) for row in seen.rows]
        self.numbers: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
        self.fresh: Counter[str | None] = Counter()
        for number, event in enumerate(self.events):
            self.numbers[event.kind, event.mark].append(number)
            self.fresh[event.mark] += event.kind == "delivered" and not event.redelivered
        self.published = {event.mark: event for event in self.events if event.kind == "published" and event.mark}
        self.once = {id_ for id_ in self.published if len(self.numbers["published", id_]) == 1}

    def any_of(self, numbers: Collection[int]) -> int | None:
        return self.rng.choice(sorted(numbers)) if numbers else None

    def edited(self, text: str, drop: Collection[int] = (), insert: Mapping[int, Row] | None = None) -> Forgery:
        """Return the run without some of its rows, and with others after the rows of these numbers."""
        rows: list[Row] = []
        quiet = 0
        for number, row in enumerate(self.seen.rows):
            if number not in drop:
                rows.append(row)
            if insert and number in insert:
                rows.append(insert[number])
            if number < self.seen.quiet:
                quiet = len(rows)
        return Forgery(text, dataclasses.replace(self.seen, rows=rows, quiet=quiet))


def _lose(case: _Case) -> Forgery | None:
    safe = {queue.name for queue in case.plan.queues if queue.safe}
    confirmed = [n for n, event in enumerate(case.events) if event.kind == "confirmed" and event.queue in safe]
    number = case.any_of(confirmed)
    if number is None:
        return None
    lost = case.events[number].mark
    kept = ("published", "confirmed")
    drop = {n for n, event in enumerate(case.events) if event.mark == lost and event.kind not in kept}
    return case.edited(f"confirmed message {lost} was never delivered", drop)


def _invent(case: _Case) -> Forgery | None:
    number = case.any_of([n for n, event in enumerate(case.events) if event.kind == "delivered"])
    if number is None:
        return None
    forged = case.events[number]._replace(mark="forged")
    return case.edited("a message that nobody published was delivered", insert={number: tuple(forged)})


def _unpublish(case: _Case) -> Forgery | None:
    known = [case.numbers["published", id_][0] for id_ in case.once if case.numbers["delivered", id_]]
    number = case.any_of(known)
    return None if number is None else case.edited("a delivered message was not published", {number})


def _unflag(case: _Case) -> Forgery | None:
    with_flag = [
        number
        for id_ in case.once
        if case.fresh[id_] == 1
        for number in case.numbers["delivered", id_]
        if case.events[number].redelivered and number < flagged(case.events)
    ]
    number = case.any_of(with_flag)
    if number is None:
        return None
    bare = case.events[number]._replace(redelivered=False)
    return case.edited("a redelivery lacks its flag", {number}, {number: tuple(bare)})


def _deliver_twice(case: _Case) -> Forgery | None:
    known = [n for id_ in case.once if case.fresh[id_] == 1 for n in case.numbers["delivered", id_]]
    before = flagged(case.events)
    number = case.any_of([n for n in known if not case.events[n].redelivered and n < before])
    if number is None:
        return None
    return case.edited("a message was delivered twice as if new", insert={number: case.seen.rows[number]})


def _unconfirm(case: _Case) -> Forgery | None:
    confirming = {queue.name for queue in case.plan.queues if queue.confirm}
    finished = {name for name, state in case.seen.publishers.items() if state == "finished"}
    known = [
        case.numbers["confirmed", id_][0]
        for id_, event in case.published.items()
        if event.queue in confirming and event.actor in finished and len(case.numbers["confirmed", id_]) == 1
    ]
    number = case.any_of(known)
    return None if number is None else case.edited("a publisher finished without a confirm", {number})


def _unlog(case: _Case) -> Forgery | None:
    """A worker gets a message that the log never mentions again, and then another."""
    found: list[int] = []
    last: dict[str, list[int]] = {}  # of each worker's connection, the latest delivery if there was one
    for number, event in enumerate(case.events):
        if event.kind == "connected" and isinstance(event.detail, ConsumeOptions):
            last[event.actor] = []
        elif event.kind == "delivered" and event.actor in last:
            found += last[event.actor]
            last[event.actor] = [number]
    number = case.any_of(found)
    if number is None:
        return None
    return case.edited("a worker's log leaves a delivery out", {number})


def _work_of_the_dead(case: _Case) -> Forgery | None:
    number = case.any_of([n for n, event in enumerate(case.events) if event.kind == "killed"])
    if number is None:
        return None
    forged = case.events[number]._replace(kind="started", task="forged", delivery_tag=1_000_000_000)
    return case.edited("a killed worker works", insert={number: tuple(forged)})


def _miscount(case: _Case) -> Forgery | None:
    if not case.seen.counts:
        return None
    name = case.rng.choice(sorted(case.seen.counts))
    known = case.seen.counts[name]
    counts = case.seen.counts | {name: known._replace(ready=known.ready + case.rng.choice((1, 2, 50)))}
    return Forgery("the broker counts more than there is", dataclasses.replace(case.seen, counts=counts))


def _lose_in_the_queue(case: _Case) -> Forgery | None:
    """A message waits by the log, and the broker neither counts nor has it."""
    fetched = [
        (number, event)
        for number, event in enumerate(case.events)
        if number >= case.seen.quiet and (event.kind, event.actor) == ("delivered", DRAIN)
    ]
    excused = {
        queue.name: QueueVerdict(case.plan, queue, case.events, case.seen).may_be_gone() for queue in case.plan.queues
    }
    waiting = {queue.name: QueueVerdict(case.plan, queue, case.events, case.seen).here() for queue in case.plan.queues}
    known = [
        number
        for number, event in fetched
        if event.mark in waiting[event.queue] and event.mark not in excused[event.queue]
    ]
    number = case.any_of(known)
    if number is None:
        return None
    lost = case.events[number]
    drop = {n for n, event in enumerate(case.events) if n >= case.seen.quiet and event.mark == lost.mark}
    forgery = case.edited("a waiting message is in no queue", drop)
    before = case.seen.counts[lost.queue]
    forgery.seen.counts = case.seen.counts | {lost.queue: before._replace(ready=before.ready - 1)}
    return forgery


def _say(was: str, says: str) -> Callable[[_Case], Forgery | None]:
    """Return what has the log say of a task that it is elsewhere."""

    def falsify(case: _Case) -> Forgery | None:
        books = case.seen.books
        if books is None:
            return None
        auto_ack = {queue.name: queue.auto_ack for queue in case.plan.queues}
        most = could_be_unknown(books, auto_ack)
        # What is unknown may be there or not: of a task with such copies too, not every false word can be told.
        known = []
        for task, places in sorted(books.told.items()):
            surely = places["waiting"] + places["in hand"]
            there = surely + places["unknown"] if was == "waiting" else surely
            full = places["unknown"] >= most[task]
            if places[was] and (full if says == "unknown" else books.found[task] == there):
                known.append(task)
        if not known:
            return None
        task = case.rng.choice(known)
        told = books.told | {task: books.told[task] - Counter([was]) + Counter([says])}
        seen = dataclasses.replace(case.seen, books=dataclasses.replace(books, told=told))
        return Forgery(f"{task[1]!r} in {task[0]} is said to be {says}, and was {was}", seen)

    return falsify


#: Every way to falsify a run.
FORGERIES: tuple[Callable[[_Case], Forgery | None], ...] = (
    _lose, _invent, _unpublish, _unflag, _deliver_twice, _unconfirm, _unlog, _work_of_the_dead, _miscount,
    _lose_in_the_queue,
    *(_say(was, says) for was, says in (("waiting", "done"), ("waiting", "lost"), ("done", "waiting"),
                                        ("lost", "waiting"), ("unknown", "waiting"), ("discarded", "waiting"),
                                        ("waiting", "unknown"), ("done", "unknown"))),
)  # fmt: skip


def forge(plan: Plan, seen: Seen, seed: int) -> Iterator[Forgery]:
    """Falsify a run in every way in which it can be falsified, each at a place that `seed` chooses."""
    case = _Case(plan, seen, random.Random(f"forgery {seed}"))  # noqa: S311 - it is to be repeatable, not secret
    for way in FORGERIES:
        forgery = way(case)
        if forgery is not None:
            yield forgery
