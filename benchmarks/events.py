"""What the log costs: time and memory to record an event, and time to make a table of a million.

Run it with ``python benchmarks/events.py``; ``--json FILE`` keeps the figures, ``--quick`` is a tenth of the
size. The exit status is 1 when a limit is missed. Each round measures ours and the yardstick one after the
other, so that a busy machine slows both; the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from workq_helpers import history
from workq_helpers.events import EventLog

ROUNDS = 7
RECORDED = 200_000
TABLED = 1_000_000


class Result(NamedTuple):
    """One measured figure beside its limit."""

    name: str
    ours: float
    yardstick: float
    unit: str
    figure: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the figure is within its limit."""
        return self.figure <= self.limit


def message(number: int) -> tuple[str, str, int]:
    """Make the id, the task and the delivery tag of a message, as new objects like those off a socket."""
    return f"0badcafe-{number:08d}", f"Task {number} of many....", 1000 + number


def timed(function: Callable[[], object]) -> float:
    """Return the seconds a call takes, without the garbage collector's."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin
    finally:
        gc.enable()


def interleaved(ours: Callable[[], object], yardstick: Callable[[], object]) -> tuple[float, float, float]:
    """Return the medians of both, and of their ratio within a round."""
    pairs = [(timed(ours), timed(yardstick)) for _ in range(ROUNDS)]
    return (
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(mine / other for mine, other in pairs),
    )


def recording(count: int) -> Result:
    """Time `EventLog.record` beside a dict of the same fields appended to a list."""
    messages = [message(number) for number in range(count)]

    def record() -> None:
        record = EventLog().record
        for message_id, task, tag in messages:
            record("delivered", "worker-1", "hello", message_id, task, tag, False, "")

    def append() -> None:
        events: list[dict[str, object]] = []
        clock = time.monotonic
        for message_id, task, tag in messages:
            events.append(
                {
                    "seconds": clock(),
                    "kind": "delivered",
                    "actor": "worker-1",
                    "queue": "hello",
                    "message_id": message_id,
                    "task": task,
                    "delivery_tag": tag,
                    "redelivered": False,
                    "detail": "",
                }
            )

    ours, yardstick, ratio = interleaved(record, append)
    each = 1e9 / count
    return Result("record one event / append a dict", ours * each, yardstick * each, "ns", ratio, 3.0)


def fill(log: EventLog, messages: int) -> None:
    """Record five events a message, the publisher and the worker with copies of their own."""
    for number in range(messages):
        message_id, task, _ = message(number)
        log.record("published", "publisher-1", "hello", message_id, task)
        message_id, task, tag = message(number)
        for kind in ("delivered", "started", "acked", "finished"):
            log.record(kind, "worker-1", "hello", message_id, task, tag)


def bytes_of(record: Callable[[EventLog], None], count: int) -> float:
    """Return the bytes that an event takes, strings and numbers included."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        log = EventLog()
        record(log)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(log) == count
    return (after - before) / count


def memory(count: int) -> list[Result]:
    """Measure an event's bytes as a worker records it, and where nothing is shared between events."""

    def distinct(log: EventLog) -> None:
        for number in range(count):
            message_id, task, tag = message(number)
            log.record("delivered", "worker-1", "hello", message_id, task, tag)

    usual = bytes_of(lambda log: fill(log, count // 5), count)
    worst = bytes_of(distinct, count)
    return [
        Result("memory of an event, five a message", usual, 300, "B", usual, 300.0),
        Result("memory of an event, all distinct", worst, 300, "B", worst, 300.0),
    ]


def tabling(count: int) -> Result:
    """Time `history.events` beside pandas with the same columns ready as lists."""
    log = EventLog()
    fill(log, count // 5)
    columns = log.columns()
    ours, yardstick, ratio = interleaved(lambda: history.events(log), lambda: pd.DataFrame(columns))
    name = f"{count:,} events to a DataFrame / from lists"
    return Result(name, ours * 1e3, yardstick * 1e3, "ms", ratio, 2.0)


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    results = [recording(RECORDED // scale), *memory(RECORDED // scale), tabling(TABLED // scale)]
    print(f"{'':44}{'ours':>10}{'beside':>10}     {'figure':>8}{'limit':>8}")
    for result in results:
        print(
            f"{result.name:44}{result.ours:10.0f}{result.yardstick:10.0f} {result.unit:3} "
            f"{result.figure:8.2f}{result.limit:8.2f}  {'ok' if result.holds else 'MISSED'}"
        )
    if arguments.json:
        figures = [result._asdict() | {"holds": result.holds} for result in results]
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
