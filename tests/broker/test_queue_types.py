from __future__ import annotations

from workq_helpers import Lesson
from workq_helpers.lessons.fair_dispatch.queue_types import _numbers, compare_global_limits, compare_overflows


def test_who_has_to_go_depends_on_the_type_of_queue(lesson: Lesson) -> None:
    table = compare_overflows(lesson)
    assert table.to_dict() == {
        "classic": {
            "not set": "4-8 stay, 1-3 dead-lettered",
            "reject-publish": "1-5 stay, 6-8 refused",
            "reject-publish-dlx": "1-5 stay, 6-8 refused, 6-8 dead-lettered",
        },
        "quorum": {
            "not set": "4-8 stay, 1-3 dead-lettered",
            "reject-publish": "1-6 stay, 7-8 refused",
            "reject-publish-dlx": "4-8 stay, 1-3 dead-lettered",
        },
    }


def test_one_limit_for_a_whole_channel_is_a_thing_of_the_past(lesson: Lesson) -> None:
    table = compare_global_limits(lesson)
    apart = "2 delivered, 2 wait"
    assert list(table.loc["global_qos=False"]) == [apart, apart]
    if lesson.broker.features.prefetch_count_of_a_channel:
        assert list(table.loc["global_qos=True"]) == ["1 delivered, 3 wait", "refused: 540 NOT_IMPLEMENTED"]
    else:
        assert list(table.loc["global_qos=True"]) == [apart, apart]


def test_the_lesson_sees_nothing_of_it(lesson: Lesson) -> None:
    events, queues = len(lesson.log), set(lesson.queue_counts())
    compare_global_limits(lesson)
    assert len(lesson.log) == events
    assert set(lesson.queue_counts()) == queues


def test_numbers_are_told_as_people_write_them() -> None:
    assert _numbers([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert _numbers([]) == ""
