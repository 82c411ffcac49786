from __future__ import annotations

from typing import Any

import pytest

from workq_helpers import Lesson
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.lessons.fair_dispatch import prefetch_sweep as module
from workq_helpers.lessons.fair_dispatch.prefetch_sweep import prefetch_sweep


def test_every_run_does_all_tasks_within_its_limit(lesson: Lesson, work_and_ack: Any) -> None:
    sweep = prefetch_sweep(lesson, work_and_ack, [1, 10], tasks=50, rounds=2)
    assert [(run.prefetch_count, run.tasks) for run in sweep.runs] == [(1, 50), (10, 50)] * 2
    assert all(run.most_held <= run.prefetch_count for run in sweep.runs)
    assert [run.empty_hands for run in sweep.runs if run.prefetch_count == 1] == [49, 49]
    assert all(run.empty_hands < 49 for run in sweep.runs if run.prefetch_count == 10)
    assert lesson.ledger().places()["done"] == 200
    assert lesson.check("price of fairness").saw.startswith("With prefetch_count=1 the worker had empty hands 49")


def test_a_callback_that_forgets_to_acknowledge_is_told(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(WaitTimeoutError, match=r"1 of 5 tasks. Does the callback acknowledge"):
        prefetch_sweep(lesson, lambda *_: None, [1], tasks=5, rounds=1)
