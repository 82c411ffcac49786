from __future__ import annotations

import base64
from typing import Any

import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons.fair_dispatch.prefetch_sweep import Run, Sweep, prefetch_sweep, read_run
from workq_helpers.log.events import EventLog


def log_of(*kinds: str) -> EventLog:
    log = EventLog()
    for kind in kinds:
        log.record(kind, "worker-1", "hello")
    return log


def test_one_at_a_time_leaves_empty_hands_after_each_but_the_last() -> None:
    run = read_run(1, 3, log_of("delivered", "started", "acked", "finished", *["delivered", "acked"] * 2).rows())
    assert (run.empty_hands, run.most_held) == (2, 1)


def test_hands_that_are_refilled_in_time_are_not_empty() -> None:
    kinds = ["delivered", "delivered", "acked", "delivered", "acked", "delivered", "acked", "acked"]
    run = read_run(2, 4, log_of(*kinds).rows())
    assert (run.empty_hands, run.most_held) == (0, 2)


def test_a_run_lasts_from_the_first_delivery_to_the_last_acknowledgment() -> None:
    log = log_of("starting", "connected", "delivered", "acked", "finished", "stopped")
    seconds = [row[0] for row in log.rows()]
    assert read_run(1, 1, log.rows()).seconds == pytest.approx(max(seconds[3] - seconds[2], 1e-6))


def sweep() -> Sweep:
    """Two rounds: prefetch 10 takes a half of the time in the first, a quarter in the second."""
    return Sweep([Run(1, 8, 4.0, 7, 1), Run(10, 8, 2.0, 1, 9), Run(1, 8, 8.0, 7, 1), Run(10, 8, 2.0, 0, 8)])


def test_throughput_is_a_ratio_within_each_round() -> None:
    table = sweep().table()
    assert list(table.loc[1]) == [1.0, 1.0, 1.0, 7.0]
    assert list(table.loc[10]) == [3.0, 2.0, 4.0, 0.0]


def test_the_picture_has_words_and_a_bar_for_each_count() -> None:
    picture = sweep().picture()
    assert len(picture.figure.axes[0].patches) == 2
    words = "prefetch 1: 1.0 times, empty hands 7 times; prefetch 10: 3.0 times, empty hands 0 times."
    assert words in picture.alternative_text
    bundle = sweep()._repr_mimebundle_()
    assert bundle["text/plain"] == repr(sweep()) == picture.alternative_text
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_no_limit_is_called_so() -> None:
    words = Sweep([Run(1, 8, 4.0, 7, 1), Run(0, 8, 2.0, 1, 8)]).picture().alternative_text
    assert "no limit: 2.0 times" in words


@pytest.mark.parametrize("wrong", [{"prefetch_counts": []}, {"tasks": 0}, {"rounds": 0}])
def test_a_sweep_over_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="Pass at least one of each"):
        prefetch_sweep(None, None, **wrong)  # type: ignore[arg-type]
