"""Logs as tests want them, without a broker, and what they ask of a lesson's."""

from __future__ import annotations

from typing import Any

from workq_helpers import Lesson
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import EventLog

__all__ = ["events", "fates", "round_robin"]

_MANUAL = ConsumeOptions()


def round_robin(
    tasks: int = 4, workers: int = 2, text: str = "Task {}.", options: ConsumeOptions = _MANUAL
) -> EventLog:
    """Return the log of workers that took and did tasks in turn."""
    log = EventLog()
    for worker in range(1, workers + 1):
        log.record("connected", f"worker-{worker}", "hello", detail=options)
    for number in range(tasks):
        task, mark = text.format(number), f"id-{number}"
        log.record("published", "publisher-1", "hello", mark, task)
        worker, tag = f"worker-{number % workers + 1}", number // workers + 1
        for kind in ("delivered", "started", "acked", "finished"):
            log.record(kind, worker, "hello", mark, task, tag)
    return log


def events(lesson: Lesson, *kinds: str) -> list[Any]:
    """Return a lesson's events of some kinds."""
    return [event for event in lesson.log if event.kind in kinds]


def fates(lesson: Lesson) -> dict[str, str]:
    """Return where each task of a lesson is."""
    return {message.task: message.place for message in lesson.ledger()}
