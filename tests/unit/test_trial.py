"""A trial without a broker: what it says of a callback that was quicker than an accident."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from workq_helpers.errors import CheckFailedError
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
