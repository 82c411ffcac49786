"""A quick form of the soak; `make endurance MINUTES=30` is the long one."""

from __future__ import annotations

import pytest

from tests.endurance import report
from tests.endurance.soak import Load, soak
from tests.endurance.trend import Trend
from workq_helpers import Broker


@pytest.mark.nightly
@pytest.mark.once
@pytest.mark.timeout(300)
def test_a_lesson_under_load_takes_no_more_each_time_it_is_opened(broker: Broker) -> None:
    rounds = soak(broker, Load(rate=1_000, messages=1_500, steps=4), lambda over: over < 8, lambda _: None)
    # Memory is too noisy to be judged in so few rounds; the objects in it are not.
    judged = [text for text in report.wrong(rounds) if not text.startswith("megabytes")]
    assert judged == [], report.table(rounds)


def test_what_only_varies_does_not_grow() -> None:
    assert not Trend.of([50, 90, 100, 104, 99, 103, 98, 101, 100, 102, 99, 101]).grows
    assert not Trend.of([26.0] * 12).grows


@pytest.mark.parametrize("values", [[26, 27, 28, 29, 30, 31, 32, 33], [100 + 3 * n + n % 2 for n in range(20)]])
def test_what_leaks_grows(values: list[float]) -> None:
    assert Trend.of(values).grows
