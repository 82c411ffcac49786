"""`delivery_rate` and `wait_for_deliveries`: deliveries waited for and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.errors import WaitTimeoutError

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["delivery_rate", "wait_for_deliveries"]

_TIMEOUT_SECONDS = 60.0


def delivery_rate(lesson: Session, deliveries: int = 300) -> int:
    """Wait for so many deliveries from now on, and return how many that were a second.

    Args:
        lesson: Where they are looked for.
        deliveries: How many.

    Raises:
        WaitTimeoutError: There were not so many in a minute.
    """
    log = lesson.log
    began, seen = log.seconds(), len(log)
    found: list[float] = []

    def enough() -> bool:
        nonlocal seen
        rows = log.rows(seen)
        seen += len(rows)
        found.extend(row[0] for row in rows if row[1] == "delivered")
        return len(found) >= deliveries

    if not log.wait_for(enough, _TIMEOUT_SECONDS):
        raise WaitTimeoutError(
            f"There were {len(found)} deliveries in {_TIMEOUT_SECONDS:.0f} seconds, not {deliveries}. Does a worker "
            f"consume, and does something go round?"
        )
    return round(len(found) / max(found[-1] - began, 0.001))


def wait_for_deliveries(lesson: Session, queue: str, count: int, timeout: float = 60.0) -> None:
    """Wait until so many deliveries from a queue have been seen since the lesson was opened.

    Args:
        lesson: Where they are looked for.
        queue: The queue's name.
        count: How many.
        timeout: Seconds to wait at most.

    Raises:
        WaitTimeoutError: There were fewer; the message says how many.
    """
    found = seen = 0

    def enough() -> bool:
        nonlocal found, seen
        rows = lesson.log.rows(seen)
        seen += len(rows)
        found += sum(row[1] == "delivered" and row[3] == queue for row in rows)
        return found >= count

    if not lesson.log.wait_for(enough, timeout):
        raise WaitTimeoutError(
            f"{found} messages came from {queue!r} in {timeout} seconds, not {count}. Was everything above run, in "
            f"order?"
        )
