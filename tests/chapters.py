"""What all lessons hold, by name, for tests that ask for it."""

from __future__ import annotations

import pytest

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.check import CheckResult, HasLog

__all__ = ["CHECKS", "EXERCISES", "PREDICTIONS", "HandMadeLog", "check"]

#: The chapter that has each check.
CHECKS = {name: chapter for chapter in CHAPTERS for name in chapter.checks}
EXERCISES = {each.name: each for chapter in CHAPTERS for each in chapter.exercises}
PREDICTIONS = {each.name: each for chapter in CHAPTERS for each in chapter.predictions}


def check(lesson: HasLog | EventLog, name: str) -> CheckResult:
    """Say whether a claim of any lesson was observed."""
    return CHECKS[name].require(lesson, name)


class HandMadeLog:
    """A log that a test writes, and what the course makes of it."""

    def __init__(self) -> None:
        self.log = EventLog()

    def says(self, name: str) -> str:
        """Return what a check saw."""
        return check(self.log, name).saw

    def lacks(self, name: str) -> str:
        """Return what a check misses."""
        with pytest.raises(CheckFailedError) as caught:
            self.says(name)
        return str(caught.value)

    def seen(self, name: str) -> tuple[int | None, str]:
        """Return what came of a prediction: the number of the choice that was right, and what was seen."""
        return PREDICTIONS[name].observe(self)  # type: ignore[arg-type]
