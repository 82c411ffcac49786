from __future__ import annotations

import threading

import pytest

from workq_helpers.events import Event, EventLog


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
    assert log.rows() == [tuple(event) for event in log]
    assert log.rows(2) == [tuple(log[2])]
    assert log.rows(3) == []
    assert list(log.columns()) == list(Event._fields)
    assert list(zip(*log.columns().values(), strict=True)) == log.rows()


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
