"""What a run hears of work in threads that its callback leaves it to."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from workq_helpers.clients import pace
from workq_helpers.teaching.calls import Calls
from workq_helpers.teaching.run import Run, Runs
from workq_helpers.teaching.threads import waits_for_a_job
from workq_helpers.waiting import wait_until


class Channel:
    """One on which nothing comes of an acknowledgment."""

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        """Acknowledge."""


def given(runs: Runs, callback: Any, *tasks: str, at_work: Any = None) -> Channel:
    """Give a callback some orders, as a worker would."""
    channel = Channel()
    watched = runs.watched(callback, callback, Calls(), at_work)
    for tag, task in enumerate(tasks, start=1):
        watched(channel, SimpleNamespace(delivery_tag=tag), None, task.encode())
    return channel


def test_a_pool_s_work_is_heard_for_each_order() -> None:
    runs = Runs()
    with pace.overhear_others(runs.hear), ThreadPoolExecutor(1) as pool:
        given(runs, lambda *order: pool.submit(pace.work, order[3]), "Tea.", "Soup..", "Tea.")
    assert [run.worked for run in runs] == [True, True, True]
    assert not any(run.goes_on or run.at_work for run in runs)


def test_who_is_to_have_an_accident_at_work_has_it_in_the_thread() -> None:
    runs, told, raised = Runs(), list[Run](), list[BaseException]()

    def accident(run: Run) -> None:
        told.append(run)
        raise ValueError("the pan burned")

    def cook(body: bytes) -> None:
        assert runs.current() is None
        try:
            pace.work(body)
        except ValueError as error:
            raised.append(error)

    def callback(*order: Any) -> None:
        thread = threading.Thread(target=cook, args=order[3:])
        thread.start()
        thread.join()

    with pace.overhear_others(runs.hear):
        given(runs, callback, "Tea.", at_work=accident)
    assert told == list(runs)
    assert len(raised) == 1
    assert runs[0].broken_off
    assert runs[0].worked_in_a_thread
    assert not runs[0].goes_on


def test_what_nobody_listens_to_is_no_run_s() -> None:
    runs = Runs()
    given(runs, lambda *_: None, "Tea.")
    pace.work("Tea.")
    assert not runs[0].worked


@pytest.mark.parametrize("job", ["a queue's", "a pool's"])
def test_who_waits_for_a_job_is_not_at_work(job: str) -> None:
    jobs: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        if job == "a queue's":
            thread = threading.Thread(target=jobs.get)
            thread.start()
        else:
            pool.submit(threading.get_ident).result()
            (thread,) = (each for each in threading.enumerate() if each.name.startswith("ThreadPoolExecutor-"))
        assert wait_until(lambda: waits_for_a_job(thread.ident), 10.0)
        jobs.put("Tea.")
    thread.join()


def test_a_thread_that_waits_for_what_nobody_brings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workq_helpers.teaching.patience._IDLE_SECONDS", 0.05)
    runs, lock = Runs(), threading.Lock()
    lock.acquire()

    def wait() -> None:
        lock.acquire()

    given(runs, lambda *_: threading.Thread(target=wait).start(), "Tea....")
    assert wait_until(lambda: runs[0].trouble_in_a_thread, 20.0).startswith("still runs after")
    lock.release()
    assert wait_until(lambda: not runs[0].goes_on, 10.0)
    assert not runs[0].trouble_in_a_thread
