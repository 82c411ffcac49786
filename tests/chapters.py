"""What all lessons hold, by name, for tests that ask for it."""

from __future__ import annotations

from workq_helpers.lessons import CHAPTERS
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.check import CheckResult, HasLog

__all__ = ["CHECKS", "EXERCISES", "PREDICTIONS", "check"]

#: The chapter that has each check.
CHECKS = {name: chapter for chapter in CHAPTERS for name in chapter.checks}
EXERCISES = {each.name: each for chapter in CHAPTERS for each in chapter.exercises}
PREDICTIONS = {each.name: each for chapter in CHAPTERS for each in chapter.predictions}


def check(lesson: HasLog | EventLog, name: str) -> CheckResult:
    """Say whether a claim of any lesson was observed."""
    return CHECKS[name].require(lesson, name)
