from __future__ import annotations

import dataclasses
from collections import Counter

from tests.chaos.books import Books
from tests.chaos.forgery import FORGERIES, forge
from tests.chaos.plan import Plan, QueuePlan
from tests.chaos.verdict import Counts, Seen, judge
from workq_helpers.log.details import ConsumeOptions, PublishOptions, QueueOptions
from workq_helpers.log.events import EventLog

QUEUE = QueuePlan("q1", "classic", durable=True, auto_ack=False, persistent=True, confirm=True, heirs=True)
PLAN = Plan(0, (QUEUE,), (), (), ())


def a_run_that_went_well() -> Seen:
    """Two tasks done, one redelivered after a kill, one left in the queue and fetched."""
    log = EventLog()

    def tell(kinds: str, actor: str, mark: str | None = None, tag: int | None = None, again: bool = False) -> None:
        for kind in kinds.split(", "):
            log.record(kind, actor, "q1", mark, "T" if mark else "", tag, again)

    log.record("declared", "notebook", "q1", detail=QueueOptions(durable=True))
    for worker in ("v", "w"):
        log.record("connected", worker, "q1", detail=ConsumeOptions(prefetch_count=1))
    for mark in "abcd":
        log.record("published", "p", "q1", mark, "T", detail=PublishOptions(persistent=True))
        tell("confirmed", "p", mark)
    tell("delivered, started, acked, finished", "w", "a", 1)
    tell("delivered, started", "v", "b", 1)
    tell("killed", "v")
    tell("requeued", "v", "b", 1)
    tell("delivered, started, acked, finished", "w", "b", 2, again=True)
    tell("delivered, started, acked, finished", "w", "c", 3)
    quiet = len(log)
    tell("stopped", "w")
    tell("delivered, acked", "notebook", "d", 1)
    workers = {"v": "killed", "w": "idle"}
    seen = Seen(log.rows(), quiet, {"q1": Counts(1, 0)}, publishers={"p": "finished"}, workers=workers)
    seen.happened["worker killed during work"] = 1
    seen.books = books()
    return seen


def books() -> Books:
    """Books of a task in each place where the log may have it."""
    tasks = {place: ("q1", place) for place in ("waiting", "done", "lost", "discarded", "unknown")}
    return Books(
        sent=Counter(tasks.values()),
        acked=Counter([tasks["done"]]),
        found=Counter([tasks["waiting"]]),
        in_flight=Counter([tasks["unknown"]]),
        told={task: Counter([place]) for place, task in tasks.items()},
    )


def test_the_judge_sees_every_forgery_and_nothing_in_the_true_log() -> None:
    seen = a_run_that_went_well()
    assert judge(PLAN, seen) == []
    for seed in range(20):
        forged = list(forge(PLAN, seen, seed))
        assert len(forged) == len(FORGERIES)
        for text, falsified in forged:
            assert judge(PLAN, falsified), text
    assert judge(PLAN, seen) == []  # a forgery leaves the true log alone


def test_only_what_a_worker_got_is_left_out_of_a_workers_log() -> None:
    seen = a_run_that_went_well()
    log = EventLog()
    for mark, tag in (("e", 1), ("f", 2)):
        log.record("delivered", "the kernel's notebook", "q1", mark, "T", tag)
    rows = [*seen.rows[: seen.quiet], *log.rows(), *seen.rows[seen.quiet :]]
    taken = {"e", "f"}
    for seed in range(20):
        for text, falsified in forge(PLAN, dataclasses.replace(seen, rows=rows), seed):
            if text == "a worker's log leaves a delivery out":
                assert taken <= {row[4] for row in falsified.rows}


def test_a_forgery_is_repeatable() -> None:
    seen = a_run_that_went_well()
    first, again = ([forged.seen.rows for forged in forge(PLAN, seen, 3)] for _ in range(2))
    assert first == again


def test_dropping_any_event_that_matters_is_seen() -> None:
    seen = a_run_that_went_well()
    for number, row in enumerate(seen.rows):
        if row[1] in ("published", "confirmed", "delivered", "acked"):
            rows = [*seen.rows[:number], *seen.rows[number + 1 :]]
            quiet = seen.quiet - (number < seen.quiet)
            shortened = Seen(rows, quiet, seen.counts, publishers=seen.publishers, workers=seen.workers)
            unseen = {("delivered", "b", False)}  # the dead worker's: the redelivery tells as much
            assert judge(PLAN, shortened) or (row[1], row[4], row[7]) in unseen, row
