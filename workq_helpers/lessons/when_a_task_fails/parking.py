"""`parked`: what lies in a queue for dead letters, and why, as a table; everything stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workq_helpers.errors import WaitTimeoutError
from workq_helpers.text import printable
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["parked", "read_death"]

_COLUMNS = ["task", "reason", "died in", "times"]


def parked(lesson: Session, expected: int, queue: str = "parked", timeout: float = 10.0) -> pd.DataFrame:
    """Look into a queue of dead letters, once so many are there.

    Each is fetched and put back, so the queue keeps them, in their order.

    Args:
        lesson: Where the queue is.
        expected: How many to wait for.
        queue: Its name.
        timeout: Seconds to wait at most.

    Returns:
        A row for each: ``task``, and of its last death ``reason``, ``died in`` (the queue) and ``times`` (how often
        it died there of that).

    Raises:
        WaitTimeoutError: There were fewer all the time; the message says how many.
    """
    rows = []
    with lesson.connect() as connection:
        channel = connection.channel()
        ready = wait_until(
            lambda: int(channel.queue_declare(queue=queue, passive=True).method.message_count),
            timeout,
            accept=lambda count: count >= expected,
        )
        if ready < expected:
            raise WaitTimeoutError(
                f"{ready} messages are in {queue!r} after {timeout} seconds, not {expected}. Was everything above run, "
                f"in order?"
            )
        while True:
            method, properties, body = channel.basic_get(queue=queue)
            if method is None or properties is None or body is None:
                break
            rows.append((printable(body.decode(errors="replace")), *read_death(properties.headers)))
        if rows:
            channel.basic_nack(delivery_tag=0, multiple=True, requeue=True)
    return pd.DataFrame(rows, columns=_COLUMNS)


def read_death(headers: dict[str, Any] | None) -> tuple[str, str, int]:
    """Return reason, queue and count of the last death that a message's headers tell of.

    Args:
        headers: The message's headers.

    Returns:
        ``("", "", 0)`` where they tell of none.
    """
    deaths = (headers or {}).get("x-death")
    if not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], dict):
        return "", "", 0
    last = deaths[0]
    return printable(str(last.get("reason", ""))), printable(str(last.get("queue", ""))), int(last.get("count", 1))
