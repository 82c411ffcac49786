"""`Chart`: what a timeline draws, from a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workq_helpers.log import tables
from workq_helpers.log.details import ProgramOptions
from workq_helpers.log.events import EventLog
from workq_helpers.pictures.style import one_line

__all__ = ["MOST_NAMED", "MOST_ROWS", "Chart", "at_work", "counted", "rows_of", "word"]

#: So many workers get a row; the others are counted below.
MOST_ROWS = 20

#: The alternative text names the tasks of so many deliveries and counts them beyond.
MOST_NAMED = 24

#: How a worker may have ended.
ENDS = ("killed", "crashed", "stopped")


class Chart(NamedTuple):
    """What there is to draw; times are seconds after the first task."""

    workers: list[str]
    hidden: int
    notes: dict[str, str]
    bands: dict[str, tuple[float, float]]
    ends: dict[str, str]
    programs: frozenset[str]
    deliveries: pd.DataFrame
    published: list[float]
    waiting: int
    span: float

    @classmethod
    def of(
        cls,
        log: EventLog,
        since_seconds: float = 0.0,
        without: Collection[str] = (),
        now_seconds: float = 0.0,
    ) -> Chart:
        """Return what to draw of a log; what was over by some second is left out, and so are some workers.

        It ends with the last event, or now where a callback is still at work.
        """
        everything = tables.events(log)
        events = everything[(everything["seconds"] >= since_seconds) & ~everything["actor"].isin(without)]
        deliveries = tables.deliveries(log)
        over = deliveries["settled_seconds"].fillna(np.inf) < since_seconds
        deliveries = deliveries[~over & ~deliveries["worker"].isin(without)].reset_index(drop=True)
        about = tables.workers(log)
        about = about[~about["worker"].isin(without) & about["worker"].isin(_seen(events, deliveries, about))]
        published = events.loc[events["kind"] == "published", "seconds"]
        begin = min([*published[:1], *deliveries["delivered_seconds"][:1]], default=0.0)
        if published.empty and deliveries.empty and not events.empty:
            begin = float(events["seconds"].iloc[0])
        # Nothing of theirs comes later, whatever else the log has.
        own = events[events["actor"].isin(about["worker"]) | (events["kind"] == "published")]
        end = float(own["seconds"].iloc[-1]) if len(own) else begin
        if any(at_work(row) for row in rows_of(deliveries)):
            end = max(end, now_seconds)
        span = max(end - begin, 1e-6)
        for column in ("delivered_seconds", "started_seconds", "finished_seconds", "settled_seconds"):
            deliveries[column] -= begin
        names = list(about["worker"])
        life = everything[everything["kind"].isin(ENDS)]
        ends = {str(row.actor): (str(row.kind), float(row.seconds) - begin) for row in rows_of(life)}
        starts = dict(zip(names, (about["connected_seconds"] - begin).fillna(0.0), strict=True))
        still = {name: state not in ENDS for name, state in zip(names, about["state"], strict=True)}
        bands = {name: (max(starts[name], 0.0), span if still[name] else min(ends[name][1], span)) for name in names}
        fates = tables.tasks(log)["fate"]
        return cls(
            workers=names[:MOST_ROWS],
            hidden=max(0, len(names) - MOST_ROWS),
            notes={str(row.worker): _how(row.auto_ack, row.prefetch_count) for row in rows_of(about)},
            bands=bands,
            ends={name: ends[name][0] for name in names if not still[name]},
            programs=frozenset(str(row[2]) for row in log.rows() if isinstance(row[8], ProgramOptions)),
            deliveries=deliveries,
            published=[float(seconds) - begin for seconds in published],
            waiting=int((fates == "waiting").sum()),
            span=span,
        )

    def while_at_work(self) -> Chart:
        """Return the chart up to its last piece of work."""
        columns = ["delivered_seconds", "started_seconds", "finished_seconds", "settled_seconds"]
        if self.deliveries.empty:
            return self
        span = max(*(float(self.deliveries[column].max()) for column in columns), 1e-6)
        return self._replace(
            bands={name: (min(begin, span), min(end, span)) for name, (begin, end) in self.bands.items()},
            ends={name: what for name, what in self.ends.items() if self.bands[name][1] < span},
            span=span,
        )

    def describe(self) -> str:
        """Say what the picture shows, without measured times."""
        tasks = self.deliveries["mark"].nunique() if len(self.deliveries) else 0
        workers = len(self.workers) + self.hidden
        parts = [f"Timeline: {counted(workers, 'worker')}, {counted(tasks, 'task')} delivered."]
        if self.waiting:
            parts.append(f"{counted(self.waiting, 'task')} waiting in the queue.")
        named = len(self.deliveries) <= MOST_NAMED
        for worker in self.workers:
            mine = self.deliveries[self.deliveries["worker"] == worker]
            if named:
                what = "; ".join(
                    f"{row.task}{' (redelivered)' if row.redelivered else ''} {word(str(row.outcome))}"
                    for row in rows_of(mine)
                )
            else:
                what = ", ".join(f"{number} {word(outcome)}" for outcome, number in Counter(mine["outcome"]).items())
            end = f" It was {self.ends[worker]}." if worker in self.ends else ""
            parts.append(f"{worker}: {what or 'nothing'}.{end}")
        if self.hidden:
            parts.append(f"{counted(self.hidden, 'more worker')} not drawn.")
        return one_line(" ".join(parts))


def _seen(events: pd.DataFrame, deliveries: pd.DataFrame, about: pd.DataFrame) -> set[str]:
    """Return the workers that did something in what is shown, or are still there."""
    alive = about.loc[~about["state"].isin(list(ENDS)), "worker"]
    return {*map(str, events["actor"]), *map(str, deliveries["worker"]), *map(str, alive)}


def rows_of(table: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table."""
    return table.itertuples(index=False)


def at_work(delivery: Any) -> bool:
    """Whether the callback has begun with a delivery, and nothing has come of it so far."""
    begun, over = pd.notna(delivery.started_seconds), pd.notna(delivery.finished_seconds)
    return bool(begun and not over and delivery.outcome == "in hand")


def _how(auto_ack: object, prefetch_count: object) -> str:
    if auto_ack:
        return "auto ack"
    if prefetch_count is pd.NA:
        return ""
    return f"prefetch {prefetch_count}" if prefetch_count else "no prefetch limit"


def word(outcome: str) -> str:
    """Return what the outcome of a delivery is called."""
    return "done" if outcome in ("acked", "auto-acked") else outcome


def counted(number: int, noun: str) -> str:
    """Return so many of something in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
