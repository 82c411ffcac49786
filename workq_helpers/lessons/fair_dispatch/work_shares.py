"""`work_shares` and `makespan_seconds`: how work was shared, and how long it took, read from a log."""

from __future__ import annotations

import pandas as pd

from workq_helpers.log import tables
from workq_helpers.log.events import EventLog

__all__ = ["makespan_seconds", "work_shares"]


def work_shares(log: EventLog) -> pd.DataFrame:
    """Return a row for each worker: what it did, and how long it was busy and idle.

    Returns:
        By worker: ``tasks`` (how many it finished), ``dots`` (of work in them), ``busy_seconds`` (in its
        callback) and ``idle_seconds`` (the rest of the time from the first delivery to the last finished task).
    """
    deliveries = tables.deliveries(log)
    done = deliveries[deliveries["finished_seconds"].notna()]
    span = makespan_seconds(log)
    rows = []
    for worker in tables.workers(log)["worker"]:
        mine = done[done["worker"] == worker]
        busy = float((mine["finished_seconds"] - mine["started_seconds"]).sum())
        dots = sum(str(task).count(".") for task in mine["task"])
        rows.append((worker, len(mine), dots, round(busy, 3), round(max(span - busy, 0.0), 3)))
    columns = ["worker", "tasks", "dots", "busy_seconds", "idle_seconds"]
    return pd.DataFrame(rows, columns=columns).set_index("worker")


def makespan_seconds(log: EventLog) -> float:
    """Return how long all the work took: from the first delivery to the last finished task, in seconds.

    Returns:
        The seconds; 0.0 if nothing was finished.
    """
    deliveries = tables.deliveries(log)
    finished = deliveries["finished_seconds"].dropna()
    if finished.empty:
        return 0.0
    return float(finished.max() - deliveries["delivered_seconds"].min())
