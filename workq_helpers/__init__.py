"""Helpers for a course on RabbitMQ work queues: start, watch, kill and restart the real thing.

A notebook needs no more than ``from workq_helpers import Lesson, work``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workq_helpers.broker import Broker, find_broker
    from workq_helpers.clients.callbacks import print_and_work, print_work_and_ack
    from workq_helpers.clients.pace import work
    from workq_helpers.clients.publisher import Publisher
    from workq_helpers.clients.worker import Worker
    from workq_helpers.errors import CheckFailedError, WorkqError
    from workq_helpers.lesson import Lesson

__all__ = [
    "Broker",
    "CheckFailedError",
    "Lesson",
    "Publisher",
    "Worker",
    "WorkqError",
    "find_broker",
    "print_and_work",
    "print_work_and_ack",
    "work",
]

# Imported when first asked for: the process that keeps the broker imports this package too, and has no use
# for most of it.
_HOMES = {
    "Broker": "broker",
    "CheckFailedError": "errors",
    "Lesson": "lesson",
    "Publisher": "clients.publisher",
    "Worker": "clients.worker",
    "WorkqError": "errors",
    "find_broker": "broker",
    "print_and_work": "clients.callbacks",
    "print_work_and_ack": "clients.callbacks",
    "work": "clients.pace",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from workq_helpers.impostors import refuse_imported_impostors, refuse_impostors

    refuse_impostors()
    try:
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except (ImportError, AttributeError):
        refuse_impostors(None)  # Python's own modules can be taken for others too
        raise
    refuse_imported_impostors()
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
