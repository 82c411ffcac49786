from __future__ import annotations

import math
import time

import pytest

from workq_helpers.waiting import wait_until


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on only while somebody sleeps; the list holds how long."""
    slept: list[float] = []
    monkeypatch.setattr("workq_helpers.waiting.sleep", slept.append)
    monkeypatch.setattr("workq_helpers.waiting.monotonic", lambda: sum(slept))
    return slept


def test_what_holds_already_costs_no_time(clock: list[float]) -> None:
    assert wait_until(lambda: "here", 0.0) == "here"
    assert clock == []


def test_it_asks_until_the_condition_holds(clock: list[float]) -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), math.inf, interval_seconds=0.5) == 7
    assert clock == [0.5, 0.5]


def test_the_last_answer_comes_after_the_deadline(clock: list[float]) -> None:
    asked: list[float] = []
    assert wait_until(lambda: asked.append(sum(clock)), 1.0, interval_seconds=0.4) is None
    assert asked == pytest.approx([0.0, 0.4, 0.8, 1.0])


def test_what_will_do_is_for_the_caller_to_say(clock: list[float]) -> None:
    answers = iter([3, 2, 0, 0])
    assert wait_until(lambda: next(answers), math.inf, accept=lambda left: left == 0) == 0
    assert next(answers) == 0


def test_an_error_of_the_condition_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 1.0)


def test_a_cell_may_put_another_clock_and_another_sleep_into_the_place_of_pythons(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells: list[str] = []
    monkeypatch.setattr(time, "sleep", lambda _seconds: cells.append("slept"))
    monkeypatch.setattr(time, "monotonic", lambda: cells.append("looked at"))
    assert not wait_until(lambda: False, 1.0, interval_seconds=0.4)
    assert sum(clock) == pytest.approx(1.0)
    assert cells == []
