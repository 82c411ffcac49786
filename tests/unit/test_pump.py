from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from workq_helpers.clients.pump import Pump


class Recorder:
    """A job without a connection: it notes who called what."""

    def __init__(self) -> None:
        self.work: deque[Callable[[], None]] = deque()
        self.polls: deque[str] = deque(maxlen=1_000)
        self.errors: list[Exception] = []
        self.connected = threading.Event()
        self.fail = False
        self.pump = Pump("pump", self)

    def connect(self, loop: Any) -> None:
        self.connected.set()

    def after_poll(self) -> None:
        self.polls.append(threading.current_thread().name)
        if self.fail:
            raise ZeroDivisionError("in the loop")

    def has_work(self) -> bool:
        return bool(self.work)

    def do_work(self) -> None:
        self.work.popleft()()

    def failed(self, error: Exception) -> None:
        self.errors.append(error)

    def give(self, work: Callable[[], None]) -> None:
        self.pump.call(lambda: self.work.append(work))

    def __enter__(self) -> Recorder:
        self.pump.start()
        assert self.connected.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.pump.call(self.pump.finish)
        assert self.pump.join(10)


def test_work_is_done_by_the_main_thread() -> None:
    done: list[str] = []
    finished = threading.Event()
    with Recorder() as job:
        job.give(lambda: done.append(threading.current_thread().name))
        job.give(finished.set)
        assert finished.wait(10)
    assert done == ["pump"]


def test_polling_goes_on_while_work_is_slow() -> None:
    go_on = threading.Event()
    called = threading.Event()
    with Recorder() as job:
        job.give(lambda: go_on.wait(10) and None)
        job.pump.call(called.set)
        # Run by the helper: the main thread waits for it.
        assert called.wait(10)
        job.pump.call(go_on.set)
        assert go_on.wait(10)
        assert "pump (I/O)" in job.polls


def test_the_helper_wakes_up_again_for_slow_work_after_a_pause(poll_for: Any) -> None:
    with Recorder() as job:
        for _ in range(3):
            go_on = threading.Event()
            job.give(lambda go_on=go_on: go_on.wait(10) and None)  # type: ignore[misc]
            job.pump.call(go_on.set)
            assert go_on.wait(10)
            poll_for(lambda: job.pump._helper_sleeps)


def test_quick_work_is_never_lost_between_the_threads() -> None:
    done: list[int] = []
    finished = threading.Event()
    with Recorder() as job:
        for number in range(2_000):
            job.give(lambda number=number: done.append(number))  # type: ignore[misc]
        job.give(finished.set)
        assert finished.wait(30)
    assert done == list(range(2_000))


def test_an_error_in_the_loop_ends_the_pump_and_is_told() -> None:
    job = Recorder()
    job.pump.start()
    assert job.connected.wait(10)
    job.fail = True
    job.pump.call(lambda: None)
    assert job.pump.join(10)
    assert [str(error) for error in job.errors] == ["in the loop"]


def test_calls_after_the_end_are_harmless() -> None:
    with Recorder() as job:
        pass
    job.pump.call(lambda: None)
    job.pump.nudge()
