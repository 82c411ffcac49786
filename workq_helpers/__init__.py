"""Helpers for a course on RabbitMQ work queues: start, watch, kill and restart the real thing.

A notebook needs no more than ``from workq_helpers import Lesson, work``.
"""

from workq_helpers.impostors import explain_failed_import, refuse_imported_impostors, refuse_impostors

try:
    from typing import TYPE_CHECKING

    import lazy_loader

    from workq_helpers.interrupts import defer_while_importing, deferred

    defer_while_importing(__name__)
    from workq_helpers import errors  # noqa: F401 - what any refusal is made of
except Exception:
    explain_failed_import()
    raise

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
# for most of it. A lesson comes with the list of all lessons, for it knows their checks by name.
_attached, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "broker": ["Broker", "find_broker"],
        "clients.callbacks": ["print_and_work", "print_work_and_ack"],
        "clients.pace": ["work"],
        "clients.publisher": ["Publisher"],
        "clients.worker": ["Worker"],
        "errors": ["CheckFailedError", "WorkqError"],
        "lessons": ["Lesson"],
    },
)


def __getattr__(name: str) -> object:
    refuse_impostors()
    try:
        with deferred():
            found: object = _attached(name)
    except ImportError:
        refuse_impostors(None)  # Python's own modules can be taken for others too
        raise
    refuse_imported_impostors()
    return found
