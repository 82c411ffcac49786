from __future__ import annotations

import pytest

from workq_helpers.lessons.fair_dispatch.work_shares import makespan_seconds, work_shares
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import EventLog


class Clock:
    """A log's clock that only moves when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def evening(monkeypatch: pytest.MonkeyPatch) -> EventLog:
    """Two workers: the first has 3 + 3 dots, the second 1, each in as many seconds."""
    clock = Clock()
    monkeypatch.setattr("workq_helpers.log.events.time", clock)
    log = EventLog()
    for worker in ("worker-1", "worker-2", "worker-3"):
        log.record("connected", worker, "hello", detail=ConsumeOptions())
    work = [("worker-1", "Roast...", 0, 3), ("worker-2", "Tea.", 0, 1), ("worker-1", "Pie...", 3, 6)]
    moments: list[tuple[float, str, str, str]] = []
    for worker, task, begin, end in work:
        moments += [(0, "delivered", worker, task), (begin, "started", worker, task), (end, "finished", worker, task)]
    for seconds, kind, worker, task in sorted(moments, key=lambda moment: moment[0]):
        clock.now = 10.0 + seconds
        log.record(kind, worker, "hello", task, task, {"Roast...": 1, "Tea.": 1, "Pie...": 2}[task])
    clock.now = 100.0
    log.record("killed", "worker-1", "hello")
    return log


def test_shares_tell_tasks_dots_and_time(evening: EventLog) -> None:
    shares = work_shares(evening)
    assert list(shares.index) == ["worker-1", "worker-2", "worker-3"]
    assert list(shares.loc["worker-1"]) == [2, 6, 6.0, 0.0]
    assert list(shares.loc["worker-2"]) == [1, 1, 1.0, 5.0]
    assert list(shares.loc["worker-3"]) == [0, 0, 0.0, 6.0]


def test_the_makespan_ends_with_the_work(evening: EventLog) -> None:
    assert makespan_seconds(evening) == pytest.approx(6.0)


def test_without_work_there_is_nothing_to_share() -> None:
    assert makespan_seconds(EventLog()) == 0.0
    assert work_shares(EventLog()).empty
