"""`wait_until`: wait for a condition, with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep  # their own: a learner's cell may put others in their place
from typing import TypeVar

__all__ = ["wait_until"]

T = TypeVar("T")

#: How long to wait before asking again, in seconds.
_INTERVAL_SECONDS = 0.02


def wait_until(
    condition: Callable[[], T],
    timeout_seconds: float,
    *,
    accept: Callable[[T], object] = bool,
    interval_seconds: float = _INTERVAL_SECONDS,
) -> T:
    """Ask until a condition holds or the time is over, and return its last answer.

    Args:
        condition: Asked at least once, and once more after the deadline, so that a slow machine is not unlucky.
        timeout_seconds: Seconds to wait at most; `math.inf` for as long as it takes.
        accept: Whether an answer will do; by default one that is true.
        interval_seconds: Seconds from one answer to the next question.

    Returns:
        The first answer that will do, or the last one, which does not.
    """
    deadline = monotonic() + timeout_seconds
    while not accept(answer := condition()):
        left = deadline - monotonic()
        if left <= 0:
            break
        sleep(min(interval_seconds, left))
    return answer
