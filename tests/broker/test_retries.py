from __future__ import annotations

import pytest

from workq_helpers import Lesson
from workq_helpers.clients.pace import pause
from workq_helpers.lessons.when_a_task_fails import check
from workq_helpers.lessons.when_a_task_fails import retries as module
from workq_helpers.lessons.when_a_task_fails.retries import compare_retries


@pytest.mark.nightly  # the lesson does it on a machine that is quick enough
def test_on_a_slow_machine_at_once_takes_many_more_deliveries_all_the_same(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pause", lambda seconds: pause(seconds + 0.03))
    table = compare_retries(lesson)
    assert (table["lost"] == 0).all()
    assert check(lesson, "retries")
