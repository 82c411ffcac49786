from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.plan import make_plan
from tests.chaos.run import _Run
from tests.chaos.verdict import Counts
from workq_helpers.log.ledger import LogCounts


class Clock:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    monkeypatch.setattr("workq_helpers.waiting.monotonic", made.monotonic)
    monkeypatch.setattr("workq_helpers.waiting.sleep", made.sleep)
    return made


def run_with(counts: Callable[[], Counts], ours: LogCounts) -> _Run:
    run = _Run(make_plan(1), broker=SimpleNamespace(), tell=print)  # type: ignore[arg-type]
    ledger = SimpleNamespace(queues=lambda: {"q1": ours})
    lesson: Any = SimpleNamespace(log=range(7), ledger=lambda: ledger, queue_counts=lambda: {"q1": counts()})
    run.lesson = lesson
    return run


def test_what_a_broker_holds_for_a_connection_that_it_has_not_given_up_is_waited_for(clock: Clock) -> None:
    run = run_with(lambda: Counts(0, 1 if clock.seconds < 6 else 0), LogCounts(0, 0))
    assert run._counts_that_agree() == ({"q1": Counts(0, 0)}, 7)


def test_a_difference_that_no_wait_will_mend_is_not_waited_for(clock: Clock) -> None:
    run = run_with(lambda: Counts(0, 0), LogCounts(3, 0))
    assert run._counts_that_agree() == ({"q1": Counts(0, 0)}, 7)
    assert clock.seconds < 3


@pytest.mark.usefixtures("clock")
def test_a_broker_that_holds_something_for_ever_is_told_of() -> None:
    run = run_with(lambda: Counts(0, 1), LogCounts(0, 0))
    assert run._counts_that_agree() == ({"q1": Counts(0, 1)}, 7)
