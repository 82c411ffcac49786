"""How a learner's function is ended: not in the middle of what the course does in its thread."""

from __future__ import annotations

import threading
import time

import pytest

from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching import patience
from workq_helpers.teaching.patience import Effort, Interrupted, call_with_patience, undisturbed


def spin_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_spins_is_not_ended_in_the_middle_of_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_SPIN_SECONDS", 0.2)
    halves: list[str] = []

    def function() -> None:
        try:
            while True:
                with undisturbed():
                    halves.append("begun")
                    spin_for(0.4)
                    halves.append("done")
                spin_for(0.05)
        finally:
            with undisturbed():
                halves.append("begun")
                spin_for(0.2)
                halves.append("done")

    with pytest.raises(CheckFailedError, match="does not come back"):
        call_with_patience(function, name="function", give_up=lambda: None)
    assert halves.count("begun") == halves.count("done") > 1


def test_an_interrupt_that_was_put_off_comes_at_the_end_of_the_block() -> None:
    effort = Effort(None)
    inside = []

    def work() -> None:
        with effort.undisturbed():
            effort.interrupt(Interrupted)
            spin_for(0.01)
            inside.append("done")

    with pytest.raises(Interrupted):
        work()
    assert inside == ["done"]


def test_what_is_ours_does_not_count_as_the_functions_time() -> None:
    effort = Effort(None)
    with effort.undisturbed():
        threading.Event().wait(0.3)
    assert effort.seconds < 0.3


def test_outside_of_a_learners_call_nothing_is_put_off() -> None:
    with undisturbed():
        pass
