from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from tests.logs import round_robin
from workq_helpers.log import tables
from workq_helpers.log.details import ConsumeOptions, Handback
from workq_helpers.log.events import KINDS, EventLog


def outcomes(log: EventLog) -> list[str]:
    return list(tables.deliveries(log)["outcome"])


EMPTY = {
    tables.events: {
        "seconds": "float64",
        "kind": "category",
        "actor": "category",
        "queue": "category",
        "mark": "text",
        "task": "text",
        "delivery_tag": "Int64",
        "redelivered": "bool",
        "detail": "text",
    },
    tables.deliveries: {
        "order": "int64",
        "task": "text",
        "worker": "text",
        "delivery_tag": "Int64",
        "redelivered": "bool",
        "delivered_seconds": "float64",
        "started_seconds": "float64",
        "finished_seconds": "float64",
        "settled_seconds": "float64",
        "outcome": "text",
        "queue": "text",
        "mark": "text",
    },
    tables.tasks: {
        "task": "text",
        "published_seconds": "float64",
        "deliveries": "int64",
        "workers": "text",
        "fate": "text",
        "done_seconds": "float64",
        "queue": "text",
        "mark": "text",
    },
    tables.workers: {
        "worker": "text",
        "queue": "text",
        "auto_ack": "bool",
        "prefetch_count": "Int64",
        "connected_seconds": "float64",
        "delivered": "int64",
        "in_hand": "int64",
        "done": "int64",
        "state": "text",
    },
    tables.queue_counts: {
        "seconds": "float64",
        "queue": "text",
        "ready": "int64",
        "unacknowledged": "int64",
    },
}


@pytest.mark.parametrize("log", [EventLog(), round_robin(1), round_robin()], ids=["empty", "one", "four"])
@pytest.mark.parametrize("table", EMPTY, ids=lambda table: table.__name__)
def test_columns_and_types_are_the_same_for_every_log(table: Callable[[EventLog], pd.DataFrame], log: EventLog) -> None:
    text = str(pd.Series(["text"]).dtype)
    expected = {name: text if dtype == "text" else dtype for name, dtype in EMPTY[table].items()}
    assert {name: str(dtype) for name, dtype in table(log).dtypes.items()} == expected


def test_events_hold_every_field_of_every_event() -> None:
    log = round_robin()
    log.record("nacked", "w", detail=Handback.REQUEUE)
    table = tables.events(log)
    for field in log[0]._fields:
        values = [None if pd.isna(value) else value for value in table[field]]
        seen = [getattr(event, field) for event in log]
        assert values == (list(map(str, seen)) if field == "detail" else seen)
    assert list(table["kind"].cat.categories) == list(KINDS)


def test_deliveries_are_in_order_with_their_times() -> None:
    table = tables.deliveries(round_robin())
    assert list(table["order"]) == [1, 2, 3, 4]
    assert list(table["task"]) == ["Task 0.", "Task 1.", "Task 2.", "Task 3."]
    assert list(table["worker"]) == ["worker-1", "worker-2"] * 2
    assert list(table["delivery_tag"]) == [1, 1, 2, 2]
    assert set(table["outcome"]) == {"acked"}
    times = table[["delivered_seconds", "started_seconds", "settled_seconds", "finished_seconds"]]
    assert times.notna().all(axis=None)
    assert (times.diff(axis="columns").iloc[:, 1:] >= 0).all(axis=None)


@pytest.mark.parametrize(
    ("ack", "kinds", "outcome", "fate"),
    [
        (ConsumeOptions(), "delivered", "in hand", "in hand"),
        (ConsumeOptions(), "delivered started finished", "in hand", "in hand"),
        (ConsumeOptions(), "delivered started finished acked", "acked", "done"),
        (ConsumeOptions(), "delivered started acked finished", "acked", "done"),
        (ConsumeOptions(), "delivered started failed", "failed", "in hand"),
        (ConsumeOptions(), "delivered started failed requeued", "failed", "waiting"),
        (ConsumeOptions(), "delivered started requeued", "requeued", "waiting"),
        (ConsumeOptions(), "delivered started nacked finished", "nacked", "waiting"),
        (ConsumeOptions(), "delivered started rejected finished", "rejected", "waiting"),
        (ConsumeOptions(auto_ack=True), "delivered started", "in hand", "in hand"),
        (ConsumeOptions(auto_ack=True), "delivered started finished", "auto-acked", "done"),
        (ConsumeOptions(auto_ack=True), "delivered started failed", "failed", "lost"),
        (ConsumeOptions(auto_ack=True), "delivered started lost", "lost", "lost"),
    ],
)
def test_what_became_of_a_delivery_and_of_its_task(ack: ConsumeOptions, kinds: str, outcome: str, fate: str) -> None:
    log = EventLog()
    log.record("connected", "w", "hello", detail=ack)
    log.record("published", "p", "hello", "m", "T")
    for kind in kinds.split():
        log.record(kind, "w", "hello", "m", "T", 1, detail=Handback.REQUEUE)
    assert outcomes(log) == [outcome]
    assert outcome in tables.OUTCOMES
    task = tables.tasks(log).iloc[0]
    assert (task["fate"], pd.notna(task["done_seconds"])) == (fate, fate == "done")


@pytest.mark.parametrize("told", ["in time", "late", "never"])
def test_a_redelivery_is_a_row_of_its_own(told: str) -> None:
    log = EventLog()
    log.record("published", "p", "hello", "m", "T")
    log.record("delivered", "w", "hello", "m", "T", 1)
    if told == "in time":
        log.record("requeued", "w", "hello", "m", "T", 1)
    log.record("delivered", "v", "hello", "m", "T", 1, True)
    if told == "late":
        log.record("requeued", "w", "hello", "m", "T", 1)
    log.record("acked", "v", "hello", "m", "T", 1)
    table = tables.deliveries(log)
    assert list(table["outcome"]) == ["requeued", "acked"]
    assert list(table["redelivered"]) == [False, True]
    task = tables.tasks(log).iloc[0]
    assert (task["deliveries"], task["workers"], task["fate"]) == (2, "w, v", "done")
    assert task["done_seconds"] == table["settled_seconds"][1]


@pytest.mark.parametrize("before", [True, False], ids=["read before its redelivery's ack", "read after it"])
def test_a_delivery_that_is_read_after_its_redelivery_is_a_row_of_its_own_too(before: bool) -> None:
    log = EventLog()
    log.record("published", "p", "hello", "m", "T")
    log.record("delivered", "v", "hello", "m", "T", 1, True)
    if not before:
        log.record("acked", "v", "hello", "m", "T", 1)
    log.record("delivered", "w", "hello", "m", "T", 7)
    log.record("started", "w", "hello", "m", "T", 7)
    log.record("requeued", "w", "hello", "m", "T", 7)
    log.record("finished", "w", "hello", "m", "T", 7)
    if before:
        log.record("acked", "v", "hello", "m", "T", 1)
    table = tables.deliveries(log)
    assert list(table["worker"]) == ["v", "w"]
    assert list(table["outcome"]) == ["acked", "requeued"]
    task = tables.tasks(log).iloc[0]
    assert (task["deliveries"], task["workers"], task["fate"]) == (2, "v, w", "done")
    assert task["done_seconds"] == table["settled_seconds"][0]


def test_a_task_that_waits_has_no_worker() -> None:
    log = EventLog()
    log.record("published", "p", "hello", "m", "T")
    task = tables.tasks(log).iloc[0]
    assert (task["deliveries"], task["workers"], task["fate"]) == (0, "", "waiting")
    assert pd.isna(task["done_seconds"])


def test_workers_say_how_they_take_messages_and_what_became_of_them() -> None:
    log = round_robin(3)
    log.record("connected", "worker-3", "hello", detail=ConsumeOptions(auto_ack=True))
    log.record("connected", "publisher-1", detail="")
    log.record("killed", "worker-2", "hello")
    table = tables.workers(log).set_index("worker")
    assert list(table.index) == ["worker-1", "worker-2", "worker-3"]
    assert list(table["auto_ack"]) == [False, False, True]
    assert list(table["prefetch_count"].isna()) == [False, False, True]
    assert list(table["done"]) == [2, 1, 0]
    assert list(table["state"]) == ["connected", "killed", "connected"]


def test_queue_counts_have_a_row_a_change() -> None:
    log = EventLog()
    log.record("published", "p", "hello", "m", "T")
    log.record("delivered", "w", "hello", "m", "T", 1)
    log.record("started", "w", "hello", "m", "T", 1)
    log.record("acked", "w", "hello", "m", "T", 1)
    table = tables.queue_counts(log)
    assert list(table["ready"]) == [1, 0, 0]
    assert list(table["unacknowledged"]) == [0, 1, 0]
