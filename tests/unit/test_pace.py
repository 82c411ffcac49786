from __future__ import annotations

import threading
from typing import Any

import pytest

from workq_helpers.clients.pace import Pace, WorkerKilled, seconds_per_dot, work
from workq_helpers.errors import InvalidArgumentError


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr("workq_helpers.clients.pace.sleep", naps.append)
    return naps


def test_a_dot_is_a_second_by_default(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    monkeypatch.delenv("WORKQ_SECONDS_PER_DOT", raising=False)
    work(b"Hello...")
    work("Hallo.")
    work(b"")
    assert slept == [3.0, 1.0, 0.0]


def test_the_second_is_scaled_in_one_place(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    monkeypatch.setenv("WORKQ_SECONDS_PER_DOT", "0.25")
    work(b"..")
    assert slept == [0.5]


@pytest.mark.parametrize("value", ["quick", "-1", "nan", "inf", ""])
def test_a_scale_that_is_no_time(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WORKQ_SECONDS_PER_DOT", value)
    with pytest.raises(InvalidArgumentError, match=f"WORKQ_SECONDS_PER_DOT is '{value}'.*Set it to"):
        seconds_per_dot()


class Sleeper:
    """A thread that works at a pace, and what became of it."""

    def __init__(self, pace: Pace, dots: int) -> None:
        self.outcome = ""
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(pace, dots))
        self.thread.start()
        assert self.begun.wait(10)

    def _run(self, pace: Pace, dots: int) -> None:
        pace.enter()
        self.begun.set()
        try:
            work("." * dots)
            self.outcome = "done"
        except WorkerKilled:
            self.outcome = "killed"

    def join(self) -> str:
        self.thread.join(10)
        return self.outcome


def test_a_kill_ends_work_at_once() -> None:
    pace = Pace()
    sleeper = Sleeper(pace, 1_000_000)
    pace.kill()
    assert sleeper.join() == "killed"
    with pytest.raises(WorkerKilled):
        pace.check()


def test_a_frozen_worker_works_on_when_thawed(poll_for: Any) -> None:
    pace = Pace()
    pace.freeze()
    sleeper = Sleeper(pace, 1)
    assert sleeper.thread.is_alive()
    pace.thaw()
    assert sleeper.join() == "done"


def test_a_frozen_worker_can_be_killed() -> None:
    pace = Pace()
    pace.freeze()
    sleeper = Sleeper(pace, 1)
    pace.kill()
    assert sleeper.join() == "killed"


def test_except_exception_does_not_stop_a_kill() -> None:
    assert not issubclass(WorkerKilled, Exception)
