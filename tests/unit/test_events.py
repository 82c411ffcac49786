from __future__ import annotations

import threading

import pytest

from workq_helpers.log.events import Event, EventLog


def log_of(*kinds: str) -> EventLog:
    log = EventLog()
    for kind in kinds:
        log.record(kind, "worker-1", "hello", "m", "Task.", 7, True, "why")
    return log


def test_an_event_reads_back_as_it_was_recorded() -> None:
    event = log_of("delivered")[0]
    assert event == Event(event.seconds, "delivered", "worker-1", "hello", "m", "Task.", 7, True, "why")
    assert event.seconds >= 0


def test_a_log_is_a_sequence_of_events() -> None:
    log = log_of("published", "delivered", "acked")
    assert len(log) == 3
    assert [event.kind for event in log] == ["published", "delivered", "acked"]
    assert log[-1].kind == "acked"
    assert [event.kind for event in log[1:]] == ["delivered", "acked"]
    assert [event.kind for event in log[::-2]] == ["acked", "published"]
    assert repr(log) == "<EventLog of 3 events>"
    with pytest.raises(IndexError):
        log[3]
    with pytest.raises(IndexError):
        EventLog()[-1]


def test_rows_and_columns_hold_the_same() -> None:
    log = log_of("published", "delivered", "acked")
    assert list(log.rows()) == [tuple(event) for event in log]
    assert list(log.rows(2)) == [tuple(log[2])]
    assert log.rows()[-1] == log.rows()[1:][1] == tuple(log[2])
    assert log.rows().column(1) == [event.kind for event in log]
    assert log.rows()[::-2].column(1) == ["acked", "published"]
    assert not log.rows(3)
    assert list(log.columns()) == list(Event._fields)
    assert list(zip(*log.columns().values(), strict=True)) == list(log.rows())


def test_threads_lose_no_event_and_order_is_the_order_of_time() -> None:
    log = EventLog()
    begin = threading.Barrier(4)

    def write(name: str) -> None:
        begin.wait()
        for tag in range(500):
            log.record("delivered", name, delivery_tag=tag)

    threads = [threading.Thread(target=write, args=(f"worker-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    begin.wait()
    read = 0
    while any(thread.is_alive() for thread in threads):
        assert all(len(row) == len(Event._fields) for row in log.rows(read)), "no half event is ever seen"
        read = max(0, len(log) - 10)
    for thread in threads:
        thread.join()
    times = log.columns()["seconds"]
    assert times == sorted(times)
    for name in ("worker-0", "worker-1", "worker-2"):
        assert [event.delivery_tag for event in log if event.actor == name] == list(range(500))


def test_waiting_ends_with_the_event_or_with_the_time() -> None:
    log = EventLog()
    asked = threading.Event()

    def condition() -> bool:
        asked.set()
        return len(log) > 0

    def write() -> None:
        asked.wait(60)
        log.record("published", "p")

    writer = threading.Thread(target=write)
    writer.start()
    assert log.wait_for(condition, 60)
    writer.join()
    assert not log.wait_for(lambda: len(log) > 1, 0)


def test_rows_may_end_before_the_end() -> None:
    log = EventLog()
    for number in range(5):
        log.record("published", f"p{number}")
    assert [row[2] for row in log.rows(1, 3)] == ["p1", "p2"]
    assert not log.rows(4, 4)


def test_events_are_counted_up_to_a_moment() -> None:
    log = EventLog()
    for _ in range(3):
        log.record("published", "p")
    times = [event.seconds for event in log]
    assert log.count_until(times[0] - 1) == 0
    assert log.count_until(times[1]) == 2 + (times[1] == times[2])
    assert log.count_until(times[-1] + 1) == 3


def test_a_cleared_log_begins_again_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("workq_helpers.log.events.time.monotonic", lambda: now)
    log = EventLog()
    now = 107.0
    log.record("published", "p")
    held = log.columns()
    log.clear()
    assert (len(log), log.generation, log.seconds()) == (0, 1, 0.0)
    now = 108.0
    log.record("delivered", "w")
    assert [(event.kind, event.seconds) for event in log] == [("delivered", 1.0)]
    assert (held["kind"], held["seconds"]) == (["published"], [7.0])
