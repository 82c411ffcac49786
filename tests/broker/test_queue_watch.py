from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workq_helpers import Lesson
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.lessons.fair_dispatch.queue_watch import QueueWatch, counts_beside, wait_until_ready, watch_queue


def test_the_broker_is_asked_again_and_again(lesson: Lesson, poll_for: Callable[..., None]) -> None:
    watch = watch_queue(lesson)
    poll_for(lambda: watch.counted)
    lesson.start_publisher(["Tea.", "Soup.."], "hello").wait()
    poll_for(lambda: watch.counted[-1].ready == 2)
    watch.stop()
    known = len(watch.counted)
    assert known >= 2
    (axes,) = watch.picture().figure.axes
    published = next(event.seconds for event in lesson.log if event.kind == "published")
    dots = axes.lines[0].get_xdata()  # on the time of the bands, however long the queue had been empty before
    assert dots[-1] == pytest.approx(watch.counted[known - 1].seconds - published)
    words = repr(watch)
    assert "in the end 2 ready and 0 unacknowledged. The broker's own counts: at most 2 ready;" in words
    assert watch._repr_mimebundle_()["text/plain"] == words
    assert len(watch.counted) == known, "it was stopped"


def test_what_the_log_can_not_see_the_dots_show(lesson: Lesson, poll_for: Callable[..., None]) -> None:
    with lesson.connect() as connection:
        connection.channel().queue_declare("rail", durable=True, arguments={"x-max-length": 2})
    watch = QueueWatch(lesson, "rail")
    lesson.start_publisher("Plate.", "rail", count=6).wait()
    poll_for(lambda: watch.counted and watch.counted[-1].ready == 2)
    watch.stop()
    assert "in the end 6 ready" in repr(watch)
    assert "when it was asked last, 2 ready and 0 unacknowledged." in repr(watch)
    lesson.take_stock()  # as the stage does in the background
    beside = counts_beside(lesson).loc["rail"]
    assert beside["ready"].to_dict() == {"broker": 2, "log": 6}


def test_it_ends_with_its_lesson(lesson: Lesson, poll_for: Callable[..., None]) -> None:
    watch = watch_queue(lesson)
    poll_for(lambda: watch.counted)
    lesson.close()
    poll_for(lambda: not watch._thread.is_alive())


def test_a_queue_that_is_not_there_is_drawn_empty(lesson: Lesson, poll_for: Callable[..., None]) -> None:
    watch = QueueWatch(lesson, "cellar")
    watch.stop()
    assert repr(watch) == "Queue cellar: nothing happened. The broker itself was not asked."


def test_waiting_for_a_count_ends_when_it_is_reached_or_says_what_there_is(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_publisher(["Tea.", "Soup.."], "hello").wait()
    wait_until_ready(lesson, "hello", 2)
    with pytest.raises(WaitTimeoutError, match=r"2 messages are ready in 'hello' after 0.1 seconds, not 3"):
        wait_until_ready(lesson, "hello", 3, timeout=0.1)
