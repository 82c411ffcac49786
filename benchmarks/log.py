"""What the log costs, and its tables and pictures, at several sizes: `python benchmarks/log.py`.

Five events a message, as a publisher and four workers record them. Recording is beside appending a dict of the same
fields to a list, the table of all events beside pandas with the same columns ready as lists. Times are the
processor's, without the garbage collector's; memory is what `tracemalloc` counts, strings and numbers included.
"""

from __future__ import annotations

import functools
import gc
import time
import tracemalloc
from collections.abc import Callable

import pandas as pd

from benchmarks.bench import Bench, alone
from benchmarks.growth import Growth
from benchmarks.rounds import interleaved, processor_seconds_of
from benchmarks.row import Goal, Row
from workq_helpers.log import tables
from workq_helpers.log.details import ConsumeOptions, PublishOptions
from workq_helpers.log.events import EventLog
from workq_helpers.pictures import timeline

PART = "log"
SIZES = (10_000, 100_000, 1_000_000)
OURS = "helpers"
WORKERS = 4
KINDS = ("delivered", "started", "acked", "finished")

#: What may be made of a log, by name.
USES: dict[str, Callable[[EventLog], object]] = {
    "table of all events": tables.events,
    "table of deliveries": tables.deliveries,
    "table of tasks": tables.tasks,
    "timeline": lambda log: timeline.timeline(log).png(),
}

#: Linear, give or take what a computer's caches do.
LINEAR = Goal("<=", 1.1)


def measure(bench: Bench) -> None:
    """Measure recording, memory, tables and pictures at each size."""
    costs: dict[str, dict[int, list[float]]] = {}
    sizes = bench.sizes(*SIZES)
    for size in sizes:
        for what, seconds in _at(bench, size).items():
            costs.setdefault(what, {})[size] = seconds
    for what, by_size in costs.items():
        unit = "MB" if what == "memory" else "s"
        bench.report.add(Growth(PART, what, unit, "events", by_size, LINEAR))


def _at(bench: Bench, size: int) -> dict[str, list[float]]:
    """Measure everything at one size; return seconds, or megabytes, by what was measured."""
    log = EventLog()
    _fill(log, size)
    columns = log.columns()
    sides: dict[str, Callable[[], float]] = {
        "recording": functools.partial(processor_seconds_of, lambda: _fill(EventLog(), size)),
        "dicts": functools.partial(processor_seconds_of, lambda: _append(size)),
        "columns": functools.partial(processor_seconds_of, lambda: pd.DataFrame(columns)),
    }
    for name, use in USES.items():
        sides[name] = functools.partial(processor_seconds_of, functools.partial(use, log))
    found = interleaved(sides, bench.rounds)
    found["memory"] = [_megabytes(size)]  # the same each time, and tracemalloc is slow
    add, events = bench.report.add, f"{size:,} events"
    add(Row(PART, f"record {events}", OURS, "s", found["recording"], found["dicts"], "dicts", Goal("<=", 3.0)))
    each = [megabytes * 1e6 / size for megabytes in found["memory"]]
    add(Row(PART, f"memory of an event, {events}", OURS, "B", each, goal=Goal("<=", 300.0)))
    for name in USES:
        if name == "table of all events":
            goal = Goal("<=", 2.0) if size >= SIZES[-1] else None
            add(Row(PART, f"{name}, {events}", OURS, "s", found[name], found["columns"], "pandas", goal))
        else:
            add(Row(PART, f"{name}, {events}", OURS, "s", found[name]))
    return {name: values for name, values in found.items() if name not in ("dicts", "columns")}


def _message(number: int) -> tuple[str, str, int]:
    """Make the id, the task and the delivery tag of a message, as new objects like those off a socket."""
    return f"0badcafe-{number:08d}", f"Task {number} of many....", 1000 + number


def _fill(log: EventLog, events: int) -> None:
    """Record five events a message, the publisher and the worker with copies of their own."""
    for name in range(WORKERS):
        log.record("connected", f"worker-{name}", "hello", detail=ConsumeOptions(prefetch_count=1))
    for number in range(events // (1 + len(KINDS))):
        mark, task, _ = _message(number)
        log.record("published", "publisher-1", "hello", mark, task, detail=PublishOptions(persistent=True))
        mark, task, tag = _message(number)
        worker = f"worker-{number % WORKERS}"
        for kind in KINDS:
            log.record(kind, worker, "hello", mark, task, tag)


def _append(events: int) -> None:
    """Do the same with a list of dicts."""
    rows: list[dict[str, object]] = []

    def record(kind: str, actor: str, mark: str, task: str, tag: int | None) -> None:
        rows.append(
            {
                "seconds": time.monotonic(),
                "kind": kind,
                "actor": actor,
                "queue": "hello",
                "mark": mark,
                "task": task,
                "delivery_tag": tag,
                "redelivered": False,
                "detail": "",
            }
        )

    for number in range(events // (1 + len(KINDS))):
        mark, task, _ = _message(number)
        record("published", "publisher-1", mark, task, None)
        mark, task, tag = _message(number)
        worker = f"worker-{number % WORKERS}"
        for kind in KINDS:
            record(kind, worker, mark, task, tag)


def _megabytes(events: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        log = EventLog()
        _fill(log, events)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(log) >= events
    return (after - before) / 1e6


if __name__ == "__main__":
    alone(PART, measure, __doc__)
