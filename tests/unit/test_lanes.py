from __future__ import annotations

import threading
from collections.abc import Callable

from workq_helpers.stage.lanes import Lanes


def test_jobs_of_a_lane_run_in_order(poll_for: Callable[..., None]) -> None:
    lanes, done = Lanes(), []
    for number in range(200):
        lanes.run("publish", lambda number=number: done.append(number))  # type: ignore[misc]
    poll_for(lambda: len(done) == 200)
    assert done == list(range(200))


def test_a_slow_lane_keeps_no_other_waiting(poll_for: Callable[..., None]) -> None:
    lanes, go_on, done = Lanes(), threading.Event(), threading.Event()
    lanes.run("broker", lambda: go_on.wait(30) and None)
    lanes.run("kill", done.set)
    assert done.wait(30)
    go_on.set()


def test_what_has_not_begun_is_dropped_and_the_rest_is_waited_for(poll_for: Callable[..., None]) -> None:
    lanes, asked, done = Lanes(), threading.Event(), []

    def slow() -> None:
        assert asked.wait(30)
        poll_for(lambda: not lanes._jobs["publish"])
        done.append("slow")

    lanes.run("publish", slow)
    poll_for(lambda: not lanes._jobs["publish"])
    lanes.run("publish", lambda: done.append("never"))
    asked.set()
    lanes.drop(30)
    assert done == ["slow"]


def test_a_lane_can_be_used_again_after_its_thread_ended(poll_for: Callable[..., None]) -> None:
    lanes, done = Lanes(), []
    for number in range(3):
        lanes.run("kill", lambda number=number: done.append(number))  # type: ignore[misc]
        poll_for(lambda: len(done) == number + 1)  # noqa: B023 - looked at before the next turn
        poll_for(lambda: not any(thread.name == "stage: kill" for thread in threading.enumerate()))
    assert done == [0, 1, 2]
