"""What each lesson must show, decided from the log and the broker's counts, never from the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons import CHECKS
from workq_helpers.log.events import EventLog
from workq_helpers.teaching.evidence import Evidence
from workq_helpers.text import paragraph

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["CHECKS", "CheckResult", "HasLog", "check", "passed"]

_passed: set[str] = set()


class HasLog(Protocol):
    """A `Lesson`, as far as a check needs one."""

    log: EventLog

    def queue_counts(self) -> Mapping[str, QueueCounts]:
        """Return what the broker says of each queue."""


class CheckResult(NamedTuple):
    """A claim that was observed.

    Attributes:
        name: The check's name.
        saw: A sentence that says what was seen.
    """

    name: str
    saw: str

    def __repr__(self) -> str:
        return f"✔ {self.name}: {self.saw}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


def check(lesson: HasLog | EventLog, name: str) -> CheckResult:
    """Say whether a claim was observed.

    Args:
        lesson: The lesson, or its log; with a log alone, the broker's counts are not looked at.
        name: Which claim: one of `CHECKS`.

    Returns:
        What was seen; shown in a notebook as a sentence.

    Raises:
        CheckFailedError: It was not observed; the message says what is missing and what to do.
        InvalidArgumentError: There is no check of that name.
    """
    claim = CHECKS.get(name) if isinstance(name, str) else None
    if claim is None:
        known = ", ".join(repr(each) for each in CHECKS)
        raise InvalidArgumentError(f"There is no check named {name!r}. The checks are: {known}.")
    if isinstance(lesson, EventLog):
        seen = Evidence(lesson)
    else:
        seen = Evidence(lesson.log, getattr(lesson, "queue_counts", None), getattr(lesson, "programs", ()))
    result = CheckResult(name, claim(seen))
    _passed.add(name)
    return result


def passed() -> frozenset[str]:
    """Return the names of the checks that have passed in this process."""
    return frozenset(_passed)
