"""The lesson knows when each of its experiments was, so that its stage can replay it."""

from __future__ import annotations

import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog
from workq_helpers.log.experiments import Experiments


def test_an_experiment_is_what_happened_from_its_question_to_its_comparison() -> None:
    log = EventLog()
    experiments = Experiments(log)
    log.record("declared", "lesson", "hello")
    experiments.begin("five orders")
    log.record("published", "p")
    log.record("killed", "w")
    experiments.end("five orders")
    log.record("published", "p")
    begin, end = experiments.span("five orders")
    assert log.count_until(end) == 3
    assert begin <= log[1].seconds
    assert end == log[2].seconds


def test_a_question_that_is_asked_again_afterwards_takes_nothing_away() -> None:
    log = EventLog()
    experiments = Experiments(log)
    experiments.begin("five orders")
    log.record("published", "p")
    experiments.end("five orders")
    span = experiments.span("five orders")
    experiments.begin("five orders")
    experiments.end("five orders")
    assert experiments.span("five orders") == span


def test_without_a_question_it_is_all_of_the_log() -> None:
    log = EventLog()
    log.record("published", "p")
    experiments = Experiments(log)
    experiments.end("five orders")
    assert log.count_until(experiments.span("five orders").end_seconds) == 1


def test_what_is_unknown_is_refused_with_what_is_known() -> None:
    log = EventLog()
    experiments = Experiments(log)
    log.record("published", "p")
    experiments.end("five orders")
    with pytest.raises(InvalidArgumentError, match=r"nothing to replay of 'six'.*can be replayed: 'five orders'"):
        experiments.span("six")
    log.clear()
    with pytest.raises(InvalidArgumentError, match="nothing to replay of 'five orders'"):
        experiments.span("five orders")


def test_the_last_experiment_is_that_of_the_last_question_after_which_something_was_published() -> None:
    log = EventLog()
    experiments = Experiments(log)
    assert experiments.last_began_seconds() == 0.0
    experiments.begin("one")
    log.record("published", "p")
    experiments.begin("two")
    log.record("published", "p")
    assert experiments.last_began_seconds() == log[1].seconds
    experiments.begin("three")
    log.record("declared", "lesson")
    assert experiments.last_began_seconds() == log[1].seconds
    log.clear()
    assert experiments.last_began_seconds() == 0.0
