"""`CheckResult`: what a check says, which is decided from the log and the broker's counts, never from the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from workq_helpers.log.events import EventLog
from workq_helpers.session import Session
from workq_helpers.teaching.evidence import Evidence
from workq_helpers.text import paragraph

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["CheckResult", "HasLog", "NotChecked", "observed"]


class HasLog(Protocol):
    """A `Session`, as far as a check needs one."""

    log: EventLog

    def queue_counts(self) -> Mapping[str, QueueCounts]:
        """Return what the broker says of each queue."""


class CheckResult(NamedTuple):
    """A claim that was observed."""

    name: str
    saw: str

    def __repr__(self) -> str:
        return f"✔ {self.name}: {self.saw}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


class NotChecked(NamedTuple):
    """A claim that could not be observed, for want of an outage."""

    name: str
    missing: str

    def __repr__(self) -> str:
        return f"Not yet: {self.missing}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


def observed(lesson: HasLog | EventLog, *, outages: bool = False) -> Evidence:
    """Read a lesson for its checks and predictions; of a log alone, the broker's counts are not looked at.

    Args:
        lesson: The lesson, or its log.
        outages: Whether RabbitMQ may go down in the middle of the experiment.

    Raises:
        CheckFailedError: Something that is not the experiment's took part in it; the message names it.
    """
    if isinstance(lesson, EventLog):
        return Evidence(lesson, outages=outages)
    if isinstance(lesson, Session):
        lesson.take_stock()
    counts, programs = getattr(lesson, "queue_counts", None), getattr(lesson, "programs", ())
    return Evidence(lesson.log, counts, programs, outages=outages)
