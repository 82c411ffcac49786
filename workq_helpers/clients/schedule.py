"""What a publisher sends and how fast, from what a learner asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from workq_helpers.errors import InvalidArgumentError

__all__ = ["limited", "seconds_between"]


def limited(tasks: Iterable[str | bytes] | str | bytes, count: int | None) -> Iterator[str | bytes]:
    """Return the tasks to send, one after another.

    Args:
        tasks: An iterable of texts or bytes; or one text, which is sent `count` times.
        count: How many to send at most; by default all, or 1 for a single text.

    Raises:
        InvalidArgumentError: An argument makes no sense.
    """
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise InvalidArgumentError(f"count is {count!r}. Pass how many tasks to send, 0 or more.")
    if isinstance(tasks, str | bytes):
        return itertools.repeat(tasks, 1 if count is None else count)
    try:
        iterator = iter(tasks)
    except TypeError as error:
        raise InvalidArgumentError(
            f"tasks is {tasks!r}, which holds no tasks. Pass a list of texts, for example "
            f'["First message.", "Second message.."].'
        ) from error
    return iterator if count is None else itertools.islice(iterator, count)


def seconds_between(interval_seconds: float | None, rate: float | None) -> float:
    """Return how many seconds pass from one task to the next; 0 for as fast as it goes.

    Args:
        interval_seconds: That time.
        rate: The same as tasks a second.

    Raises:
        InvalidArgumentError: Both are given, or one that makes no sense.
    """
    if interval_seconds is not None and rate is not None:
        raise InvalidArgumentError(
            f"Both interval_seconds={interval_seconds!r} and rate={rate!r} say how fast to publish. Pass one of them."
        )
    if rate is not None:
        _check_number("rate", rate, "tasks a second, more than 0", rate_is_zero_too=False)
        return 1.0 / rate
    if interval_seconds is not None:
        _check_number("interval_seconds", interval_seconds, "seconds, 0 or more", rate_is_zero_too=True)
        return float(interval_seconds)
    return 0.0


def _check_number(name: str, value: object, wanted: str, *, rate_is_zero_too: bool) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not (0 <= float(value) < float("inf")) or (value == 0 and not rate_is_zero_too):  # type: ignore[arg-type]
        raise InvalidArgumentError(f"{name} is {value!r}. Pass a number of {wanted}.")
