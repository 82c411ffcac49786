"""`prefetch_sweep`: the same tiny tasks with one prefetch count after another, and what each of them costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from workq_helpers.errors import InvalidArgumentError, WaitTimeoutError
from workq_helpers.log.events import Row
from workq_helpers.pictures.palette import BLUE, INK, MUTED, PAPER
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.style import STYLE, WIDTH, plain_axes
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.clients.worker import Callback, Worker
    from workq_helpers.session import Session

__all__ = ["PREFETCH_COUNTS", "Run", "Sweep", "prefetch_sweep", "read_run"]

PREFETCH_COUNTS = (1, 2, 5, 20, 100)

_TIMEOUT_SECONDS = 60.0
_LOOK_SECONDS = 0.01
_HEIGHT = 3.2


class Run(NamedTuple):
    """One worker's way through all the tasks.

    Attributes:
        prefetch_count: How many unacknowledged deliveries it could hold.
        tasks: How many tasks there were.
        seconds: From its first delivery to its last acknowledgment.
        empty_hands: How often it had acknowledged all that it had, with tasks still to come.
        most_held: How many unacknowledged deliveries it held at most.
    """

    prefetch_count: int
    tasks: int
    seconds: float
    empty_hands: int
    most_held: int


class Sweep:
    """What came of it: a table, and a picture where a notebook shows it.

    Args:
        runs: Every run; each prefetch count has one in every round.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)

    def table(self) -> pd.DataFrame:
        """Return a row for each prefetch count.

        Returns:
            By ``prefetch_count``: ``throughput`` (tasks a second, beside the first count's in the same round, as
            a ratio: the median of all rounds), ``lowest`` and ``highest`` of those ratios, and ``empty_hands``
            (the median of how often the worker had to wait with nothing to do, of so many tasks).
        """
        counts = list(dict.fromkeys(run.prefetch_count for run in self.runs))
        by_count = {count: [run for run in self.runs if run.prefetch_count == count] for count in counts}
        first = by_count[counts[0]]
        rows = []
        for count in counts:
            ratios = [base.seconds / run.seconds for base, run in zip(first, by_count[count], strict=True)]
            empty = int(statistics.median(run.empty_hands for run in by_count[count]))
            rows.append((count, statistics.median(ratios), min(ratios), max(ratios), empty))
        columns = ["prefetch_count", "throughput", "lowest", "highest", "empty_hands"]
        return pd.DataFrame(rows, columns=columns).set_index("prefetch_count").round(2)

    def picture(self) -> Picture:
        """Draw the throughput by prefetch count, with its spread over the rounds."""
        table = self.table()
        with mpl.rc_context(STYLE):
            return Picture(_draw(table, self.runs[0].tasks), _describe(table))

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return self.picture()._repr_mimebundle_()

    def __repr__(self) -> str:
        return self.picture().alternative_text


def prefetch_sweep(
    lesson: Session,
    callback: Callback,
    prefetch_counts: Iterable[int] = PREFETCH_COUNTS,
    *,
    queue: str = "hello",
    task: str = "Tea",
    tasks: int = 500,
    rounds: int = 3,
) -> Sweep:
    """Let one worker do the same tasks with each prefetch count in turn, in several rounds.

    The tasks lie in the queue before the worker comes, so that only it sets the pace. Rounds alternate between
    the counts, so that whatever else the machine does meets them all alike.

    Args:
        lesson: Where to do it; the queue must be there and empty.
        callback: What the worker does with each task.
        prefetch_counts: Which; the first is what the others are compared with.
        queue: The queue.
        task: The text of each task; without dots there is no work in it.
        tasks: How many in each run.
        rounds: How many rounds.

    Raises:
        InvalidArgumentError: Nothing would be measured.
        WaitTimeoutError: A run takes longer than a minute.
    """
    counts = list(prefetch_counts)
    if not counts or tasks < 1 or rounds < 1:
        raise InvalidArgumentError(
            f"prefetch_counts is {counts!r}, tasks {tasks!r} and rounds {rounds!r}. Pass at least one of each."
        )
    return Sweep([_run(lesson, callback, count, queue, task, tasks) for _ in range(rounds) for count in counts])


def _run(lesson: Session, callback: Callback, count: int, queue: str, task: str, tasks: int) -> Run:
    lesson.start_publisher(task, queue, count=tasks, confirm=True).wait(_TIMEOUT_SECONDS)
    begin = len(lesson.log)
    worker = lesson.start_worker(callback, queue, prefetch_count=count)
    _wait_for(worker, tasks)
    worker.stop()
    return read_run(count, tasks, [row for row in lesson.log.rows(begin) if row[2] == worker.name])


def _wait_for(worker: Worker, tasks: int) -> None:
    """Look now and then, for waiting on the log would wake this thread for each of its events."""
    wait_until(lambda: worker.finished >= tasks or not worker.alive, _TIMEOUT_SECONDS, interval_seconds=_LOOK_SECONDS)
    if worker.finished < tasks:
        raise WaitTimeoutError(
            f"{worker.name} is {worker.state} and has finished {worker.finished} of {tasks} tasks. "
            f"Does the callback acknowledge each of them?"
        )


def read_run(count: int, tasks: int, rows: Sequence[Row]) -> Run:
    """Read from a worker's events what it held, and when it began and ended."""
    held = most = delivered = empty = 0
    first = last = 0.0
    for row in rows:
        if row[1] == "delivered":
            first = first or row[0]
            delivered += 1
            held += 1
            most = max(most, held)
        elif row[1] == "acked":
            last = row[0]
            held -= 1
            empty += held == 0 and delivered < tasks
    return Run(count, tasks, max(last - first, 1e-6), empty, most)


def _draw(table: pd.DataFrame, tasks: int) -> Figure:
    figure = Figure(figsize=(WIDTH, _HEIGHT), facecolor=PAPER)
    axes = figure.add_axes((0.1, 0.17, 0.88, 0.76))
    places = range(len(table))
    ratios = table["throughput"]
    spread = [ratios - table["lowest"], table["highest"] - ratios]
    axes.bar(places, ratios, width=0.6, color=BLUE.face, edgecolor=BLUE.edge, linewidth=1.2, zorder=2)
    axes.errorbar(places, ratios, yerr=spread, fmt="none", ecolor=MUTED, elinewidth=1.2, capsize=4, zorder=3)
    for place, (ratio, highest, empty) in zip(
        places, zip(ratios, table["highest"], table["empty_hands"], strict=True), strict=True
    ):
        axes.annotate(
            f"{ratio:.1f} times\nempty hands\n{empty:,} times",
            (place, highest),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
    axes.set_xticks(list(places), [str(count) if count else "no limit" for count in table.index])
    axes.set_ylim(0, float(table["highest"].max()) * 1.4)
    axes.set_xlabel(f"prefetch count, one worker, {tasks:,} tasks without work", fontsize=8, color=MUTED)
    axes.set_ylabel(f"throughput (prefetch {table.index[0]} = 1)", fontsize=8, color=MUTED)
    plain_axes(axes, grid="y")
    return figure


def _describe(table: pd.DataFrame) -> str:
    said = [
        f"{f'prefetch {count}' if count else 'no limit'}: {ratio:.1f} times, empty hands {empty} times"
        for count, ratio, empty in zip(table.index, table["throughput"], table["empty_hands"], strict=True)
    ]
    return f"Throughput by prefetch count, beside the first: {'; '.join(said)}."
