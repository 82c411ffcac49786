"""`seconds_of`: a time that a variable of the environment holds, or a sentence about it."""

from __future__ import annotations

from workq_helpers.errors import InvalidArgumentError

__all__ = ["seconds_of"]


def seconds_of(variable: str, value: str, example: str) -> float:
    """Return the seconds that a variable holds.

    Args:
        variable: Its name.
        value: What it holds.
        example: What it may hold, for who has it wrong.

    Raises:
        InvalidArgumentError: It is not a number of seconds.
    """
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidArgumentError(
            f"{variable} is {value!r}, which is not a number of seconds. Set it to something like {example}, or "
            "unset it."
        )
    return seconds
