"""A trial without a broker: what it says of a callback that was quicker than an accident."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.mistakes_and_long_work.exercises import _keep_the_line_open
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.calls import Calls
from workq_helpers.teaching.run import Run, Runs
from workq_helpers.teaching.trial import Trial


class QuickTrial(Trial):
    """One whose worker has done its first order before anybody can look."""

    def __init__(self, threads: list[threading.Thread]) -> None:
        self.runs = Runs()
        self.threads = threads
        self.lesson: Any = SimpleNamespace(log=[], workers=[])

    def start(self, *_: object, **__: object) -> Any:
        """Start nobody."""

    def send(self, *orders: str, with_ids: bool = False) -> None:
        run = Run(orders[0], 1, None)
        run.threads = self.threads
        run.end(None)
        self.runs.append(run)

    def settle(self) -> None:
        """All is settled."""


def test_what_was_over_before_it_could_be_killed_is_not_taken_for_no_work() -> None:
    ended = threading.Thread(target=lambda: None)
    with pytest.raises(CheckFailedError, match=r"^'Bread\.\.' was over before its worker could be killed"):
        QuickTrial([ended]).kill_at_work(lambda *_: None, "Bread..")


def test_who_never_works_is_nobody_s_victim() -> None:
    assert QuickTrial([]).kill_at_work(lambda *_: None, "Bread..") == ""


class IdleTrial(Trial):
    """One in which all has happened that its log tells."""

    def __init__(self, log: EventLog) -> None:
        self.runs, self.calls, self._given, self.found = Runs(), Calls(), [], ""
        workers = [SimpleNamespace(name="worker-1", current_task=None)]
        self.lesson: Any = SimpleNamespace(log=log, workers=workers, wait_until_idle=lambda timeout: None)


def test_whose_acknowledgment_is_for_another_delivery_is_told_so_whatever_had_come_when_it_was_sent() -> None:
    trial = IdleTrial(EventLog())
    watched = trial.runs.watched(lambda ch, *_: ch.basic_ack(delivery_tag=2), None, trial.calls, None)
    channel = type("Channel", (), {"basic_ack": lambda *_, **__: None})()
    for tag in (1, 2):
        watched(channel, SimpleNamespace(delivery_tag=tag), None, b"Tea.")
    with pytest.raises(CheckFailedError, match=r"^Delivery 2 was .* basic_ack got delivery_tag=2, multiple=False"):
        trial.settle()


def test_whose_work_goes_on_and_on_is_told_though_it_gets_on() -> None:
    trial = IdleTrial(EventLog())
    run = Run("Tea.", 1, None)
    trial.runs.append(run)
    for what in ("begins", "over"):
        run.hear(what, 20.0)
    with pytest.raises(CheckFailedError, match=r"'Tea\.' has 1 dot, and the callback .* for 20 s over it and goes on"):
        trial.settle()


def test_a_thread_that_runs_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("_PATIENCE_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(f"workq_helpers.teaching.trial.{patience}", 0.1)
    trial = IdleTrial(EventLog())
    trial.lesson.ledger = list
    run = Run("Tea.", 1, None)
    run.threads = [threading.current_thread()]
    run.end(None)
    trial.runs.append(run)
    with pytest.raises(CheckFailedError, match=r"^'Tea\.' was left to a thread, which runs on, and for 0 s"):
        trial.settle()


def test_who_sends_again_and_again_what_is_not_taken_is_told() -> None:
    log = EventLog()

    def take_order(tries: Iterable[int]) -> None:
        for _ in tries:
            log.record("refused", "notebook", "hello", "id-1", "Tea.")
            threading.Event().wait(0.001)

    IdleTrial(log).call(take_order, range(50), name="take_order")
    with pytest.raises(CheckFailedError, match=r"^RabbitMQ had not taken 'Tea\.' \d+ times, and take_order sent it"):
        IdleTrial(log).call(take_order, itertools.count(), name="take_order")


def test_who_fails_beside_a_thread_is_not_told_that_he_waits_for_it() -> None:
    def callback(*_: object) -> None:
        raise ValueError("too many")

    def call(serve: Any, **_: object) -> None:
        serve.__self__.beside.append("Stew....")
        serve.__self__._call(None, SimpleNamespace(delivery_tag=2), None, b"Roast....")

    trial: Any = SimpleNamespace(send=lambda *_: None, call=call)
    with pytest.raises(CheckFailedError, match=r"^At 'Roast\.\.\.\.' the callback raised ValueError: too many\.$"):
        _keep_the_line_open(trial, callback)
