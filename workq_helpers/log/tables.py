"""The log as pandas tables: one row an event, a delivery, a task, a worker, or a change of a queue's counts.

Every table keeps its columns and their types when it is empty. Times are seconds since the lesson opened,
missing (``NaN``) where the thing has not happened. Names hold no control characters: their pictures stand for them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workq_helpers.log.details import ConsumeOptions, Detail
from workq_helpers.log.events import KINDS, EventLog, Row
from workq_helpers.log.in_hand import key_of
from workq_helpers.log.ledger import Delivery, Ledger, LogCounts, Message
from workq_helpers.log.trace import Trace
from workq_helpers.text import printable

__all__ = ["OUTCOMES", "deliveries", "events", "queue_counts", "tasks", "trace", "workers"]

#: What can become of a delivery. `in hand` includes a delivery whose callback returned without an ack.
OUTCOMES = ("acked", "nacked", "rejected", "failed", "requeued", "lost", "auto-acked", "in hand")

#: What a worker's last event of these kinds says about it.
_STATES = {
    "connected": "connected",
    "unblocked": "connected",
    "thawed": "connected",
    "blocked": "blocked",
    "cancelled": "cancelled",
    "channel closed": "channel closed",
    "disconnected": "disconnected",
    "hung up": "disconnected",
    "reconnecting": "reconnecting",
    "stopping": "stopping",
    "stopped": "stopped",
    "killed": "killed",
    "crashed": "crashed",
    "frozen": "frozen",
}

_ABOUT_A_DELIVERY = frozenset({"started", "finished", "failed", "acked", "nacked", "rejected", "requeued", "lost"})

# JupyterLab typesets what stands between dollar signs in a table, and a task is text, dollar signs and all.
pd.set_option("display.html.use_mathjax", False)

_TEXT = pd.Series(["text"]).dtype  # str from pandas 3 on, object before


def events(log: EventLog) -> pd.DataFrame:
    """Return the whole log, one row an event in order of recording.

    Returns:
        The fields of `workq_helpers.log.events.Event` as columns: ``seconds`` (float), ``kind``, ``actor`` and
        ``queue`` (categories), ``mark`` and ``task`` (text), ``delivery_tag`` (Int64), ``redelivered``
        (bool) and ``detail`` (text).
    """
    columns = log.columns()
    return pd.DataFrame(
        {
            "seconds": np.array(columns["seconds"], dtype=np.float64),
            "kind": _category(columns["kind"], KINDS),
            "actor": _category(columns["actor"]),
            "queue": _category(columns["queue"]),
            "mark": _text(columns["mark"]),
            "task": _text(columns["task"]),
            "delivery_tag": _integers(columns["delivery_tag"]),
            "redelivered": np.array(columns["redelivered"], dtype=np.bool_),
            "detail": _details(columns["detail"]),
        }
    )


def trace(kept: Trace, methods: Collection[str] = ()) -> pd.DataFrame:
    """Return the AMQP methods that passed last, one row a method, in order.

    Returns:
        ``seconds`` (float), ``client``, ``direction`` ("sent" by the client or "received" by it), ``method``, such as
        "basic.ack", and ``about``, what it was about in AMQP's own words (all text).
    """
    passed = [each for each in kept if not methods or each.method in methods]
    return pd.DataFrame(
        {
            "seconds": _seconds([each.seconds for each in passed]),
            "client": _shown([each.client for each in passed]),
            "direction": _text([each.direction for each in passed]),
            "method": _text([each.method for each in passed]),
            "about": _text([each.about for each in passed]),
        }
    )


def deliveries(log: EventLog) -> pd.DataFrame:
    """Return one row a delivery, in the order in which the broker's deliveries were recorded.

    Returns:
        ``order`` (1 for the first), ``task``, ``worker``, ``delivery_tag``, ``redelivered``,
        ``delivered_seconds``, ``started_seconds``, ``finished_seconds`` (the callback returned),
        ``settled_seconds`` (acked, rejected, requeued or lost), ``outcome`` (one of `OUTCOMES`), ``queue``
        and ``mark``.
    """
    told = _Story.of(log).deliveries
    return pd.DataFrame(
        {
            "order": np.arange(1, len(told) + 1),
            "task": _text([each.task for each in told]),
            "worker": _text([each.worker for each in told]),
            "delivery_tag": _integers([each.tag for each in told]),
            "redelivered": np.array([each.redelivered for each in told], dtype=np.bool_),
            "delivered_seconds": _seconds([each.delivered for each in told]),
            "started_seconds": _seconds([each.started for each in told]),
            "finished_seconds": _seconds([each.finished for each in told]),
            "settled_seconds": _seconds([each.settled for each in told]),
            "outcome": _text([each.outcome for each in told]),
            "queue": _shown([each.queue for each in told]),
            "mark": _text([each.message.mark for each in told]),
        }
    )


def tasks(log: EventLog) -> pd.DataFrame:
    """Return one row a task, in the order in which the log first mentions them.

    Returns:
        ``task``, ``published_seconds`` (missing for a program outside), ``deliveries`` (how many),
        ``workers`` (who got it, in order, joined with commas), ``fate`` (one of
        `workq_helpers.log.ledger.PLACES`), ``done_seconds`` (acked, or with auto-ack finished), ``queue`` and
        ``mark``.
    """
    story = _Story.of(log)
    got: dict[int, list[str]] = {}
    done: dict[int, float] = {}
    for each in story.deliveries:
        got.setdefault(id(each.message), []).append(each.worker)
        if each.outcome in ("acked", "auto-acked"):
            done[id(each.message)] = each.settled
    messages = list(story)
    return pd.DataFrame(
        {
            "task": _text([message.task for message in messages]),
            "published_seconds": _seconds([message.published_seconds for message in messages]),
            "deliveries": np.array([message.deliveries for message in messages], dtype=np.int64),
            "workers": _text([", ".join(got.get(id(message), ())) for message in messages]),
            "fate": _text([message.place for message in messages]),
            "done_seconds": _seconds(
                [done.get(id(message)) if message.place == "done" else None for message in messages]
            ),
            "queue": _shown([message.queue for message in messages]),
            "mark": _text([message.mark for message in messages]),
        }
    )


def workers(log: EventLog) -> pd.DataFrame:
    """Return one row a worker, in the order in which they connected.

    Returns:
        ``worker``, ``queue``, ``auto_ack`` (bool), ``prefetch_count`` (Int64; 0 is no limit, missing with
        auto-ack, which knows none), ``connected_seconds``, ``delivered``, ``in_hand``, ``done`` (counts) and
        ``state`` (such as ``connected``, ``stopped``, ``killed``).
    """
    story = _Story.of(log)
    counts = story.workers()
    connected: dict[str, tuple[str, ConsumeOptions]] = {}
    first: dict[str, float] = {}
    state: dict[str, str] = {}
    for row in log.rows():
        if row[1] == "connected" and isinstance(row[8], ConsumeOptions):
            connected[row[2]] = (row[3], row[8])
            first.setdefault(row[2], row[0])
        if row[1] in _STATES:
            state[row[2]] = _STATES[row[1]]
    names = list(connected) + [name for name in counts if name not in connected]
    nothing = ("", ConsumeOptions())
    options = [connected.get(name, nothing)[1] for name in names]
    tallies = [counts[name] for name in names]
    return pd.DataFrame(
        {
            "worker": _text(names),
            "queue": _shown([connected.get(name, nothing)[0] for name in names]),
            "auto_ack": np.array([each.auto_ack for each in options], dtype=np.bool_),
            "prefetch_count": _integers(
                [
                    None if each.auto_ack or name not in connected else each.prefetch_count
                    for name, each in zip(names, options, strict=True)
                ]
            ),
            "connected_seconds": _seconds([first.get(name) for name in names]),
            "delivered": np.array([tally.delivered for tally in tallies], dtype=np.int64),
            "in_hand": np.array([tally.in_hand for tally in tallies], dtype=np.int64),
            "done": np.array([tally.done for tally in tallies], dtype=np.int64),
            "state": _text([state.get(name, "") for name in names]),
        }
    )


def queue_counts(log: EventLog) -> pd.DataFrame:
    """Return how each queue's counts went, as the log sees them: one row a change.

    Returns:
        ``seconds``, ``queue``, ``ready`` and ``unacknowledged`` (counts).
    """
    ledger = Ledger()
    seen: dict[str, LogCounts] = {}
    changes: list[tuple[float, str, LogCounts]] = []
    for row in log.rows():
        ledger.update([row])
        for queue, counts in ledger.queues().items():
            if seen.get(queue) != counts:
                seen[queue] = counts
                changes.append((row[0], queue, counts))
    return pd.DataFrame(
        {
            "seconds": _seconds([seconds for seconds, _, _ in changes]),
            "queue": _shown([queue for _, queue, _ in changes]),
            "ready": np.array([counts.ready for _, _, counts in changes], dtype=np.int64),
            "unacknowledged": np.array([counts.unacknowledged for _, _, counts in changes], dtype=np.int64),
        }
    )


class _Told:
    """One delivery with its times."""

    __slots__ = (
        "delivered",
        "finished",
        "message",
        "outcome",
        "queue",
        "redelivered",
        "settled",
        "started",
        "tag",
        "task",
        "worker",
    )

    def __init__(self, row: Row, message: Message) -> None:
        self.delivered, _, self.worker, self.queue, _, self.task, self.tag, self.redelivered, _ = row
        self.message = message
        self.started: float | None = None
        self.finished: float | None = None
        self.settled: float = float("nan")
        self.outcome = "in hand"

    def tell(self, row: Row, auto_ack: bool) -> None:
        kind, seconds = row[1], row[0]
        if kind == "started":
            self.started = seconds
            return
        if kind == "finished":
            self.finished = seconds
            kind = "auto-acked"
            if not auto_ack:
                return
        if self.outcome == "in hand":
            self.outcome = kind
        if not (kind == "failed" and not auto_ack) and math.isnan(self.settled):
            self.settled = seconds

    def put_back(self, seconds: float) -> None:
        if math.isnan(self.settled):
            self.settled = seconds
            if self.outcome == "in hand":
                self.outcome = "requeued"


class _Story(Ledger):
    """A ledger that remembers when things happened, so that both agree on what belongs together."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[_Told] = []
        self._told: dict[Delivery, _Told] = {}
        self._last: dict[int, _Told] = {}
        self._gone: dict[tuple[Any, ...], _Told] = {}  # put back while their callbacks were still at work

    @classmethod
    def of(cls, log: EventLog) -> _Story:
        story = cls()
        story.catch_up(log)
        return story

    def update(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row[1] == "delivered":
                self._tell_delivered(row)
            elif row[1] in _ABOUT_A_DELIVERY:
                key, delivery = key_of(row), self._in_hand.delivery_of(row)
                outlived = row[1] == "finished" and key in self._gone and not (delivery and delivery.started)
                if outlived:
                    self._gone.pop(key).finished = row[0]
                super().update((row,))
                if delivery is not None and not outlived:
                    self._told[delivery].tell(row, delivery.auto_ack)
                    if row[1] == "requeued":
                        self._gone[key] = self._told[delivery]
            else:
                super().update((row,))

    def _tell_delivered(self, row: Row) -> None:
        super().update((row,))
        delivery = self._in_hand.last
        message = delivery.message
        told = _Told(row, message)
        self.deliveries.append(told)
        self._told[delivery] = told
        if delivery.settled and not delivery.auto_ack:  # it had been put back before its worker read it
            told.put_back(row[0])
            return
        if (previous := self._last.get(id(message))) is not None:
            # Whatever is delivered again had been put back, whether or not that is recorded yet.
            previous.put_back(row[0])
        if delivery.settled:
            told.outcome, told.settled = "auto-acked", row[0]
        self._last[id(message)] = told


def _text(values: Sequence[str | None]) -> pd.Series[Any]:
    return pd.Series(values, dtype=_TEXT)


def _shown(values: Sequence[str]) -> pd.Series[Any]:
    """Return names and reasons as they may be shown anywhere; there are few different ones."""
    shown = {value: printable(value) for value in set(values)}
    return _text([shown[value] for value in values])


def _details(values: Sequence[Detail]) -> pd.Series[Any]:
    # By identity: most are one of few objects, and equal ones may be of different types.
    keys = list(map(id, values))
    shown = {key: printable(str(value)) for key, value in dict(zip(keys, values, strict=True)).items()}
    return _text(list(map(shown.__getitem__, keys)))


def _seconds(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _integers(values: Sequence[int | None]) -> pd.arrays.IntegerArray:
    numbers = np.array(values, dtype=np.float64)
    missing = np.isnan(numbers)
    numbers[missing] = 0
    return pd.arrays.IntegerArray(numbers.astype(np.int64), missing)


def _category(values: Sequence[str], names: Iterable[str] | None = None) -> pd.Categorical:
    """Make a category of few distinct values; several times faster than pandas does of a list."""
    codes = {name: code for code, name in enumerate(dict.fromkeys(values if names is None else names))}
    coded = np.fromiter(map(codes.__getitem__, values), dtype=np.int32, count=len(values))
    return pd.Categorical.from_codes(coded, categories=pd.Index([printable(name) for name in codes], dtype=_TEXT))
