"""A trial without a broker: what it says of a callback that was quicker than an accident."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from workq_helpers.errors import CheckFailedError
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.calls import Call, Calls
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
        self.runs, self.calls, self._given = Runs(), Calls(), []
        workers = [SimpleNamespace(name="worker-1", current_task=None)]
        self.lesson: Any = SimpleNamespace(log=log, workers=workers, wait_until_idle=lambda timeout: None)


@pytest.mark.parametrize("task", ["Soup.", ""], ids=["it had come", "it was on its way"])
def test_whose_acknowledgment_is_for_another_delivery_is_told_it_whether_that_had_come_or_not(task: str) -> None:
    log = EventLog()
    log.record("started", "worker-1", "hello", "id-1", "Tea.", 1)
    log.record("acked", "worker-1", "hello", "id-2", task, 2)
    trial = IdleTrial(log)
    trial.calls.append(Call("basic_ack", {"delivery_tag": 2, "multiple": False}, None))
    with pytest.raises(CheckFailedError, match=r"elivery 2.* basic_ack got delivery_tag=2, multiple=False"):
        trial.settle()


def test_whose_work_goes_on_and_on_is_told_though_it_gets_on() -> None:
    trial = IdleTrial(EventLog())
    run = Run("Tea.", 1, None)
    trial.runs.append(run)
    for what in ("begins", "over"):
        run.hear(what, 20.0)
    with pytest.raises(CheckFailedError, match=r"'Tea\.' has 1 dot, and the callback .* for 20 s over it and goes on"):
        trial.settle()


def test_who_sends_again_and_again_what_is_not_taken_is_told() -> None:
    log = EventLog()

    def take_order() -> None:
        while True:
            log.record("refused", "notebook", "hello", "id-1", "Tea.")
            threading.Event().wait(0.01)

    with pytest.raises(CheckFailedError, match=r"^RabbitMQ had not taken 'Tea\.' \d+ times, and take_order sent it"):
        IdleTrial(log).call(take_order, name="take_order")
