"""The controls of the stage, in the order in which the course introduces them."""

from __future__ import annotations

from workq_helpers.errors import InvalidArgumentError

__all__ = ["CONTROLS", "up_to"]

#: By the names that a lesson uses; a line for each lesson.
CONTROLS = (
    *("send", "add_worker", "kill"),
    *("stop", "player", "python", "details", "start_over", "five"),
    *("freeze", "purge", "ack"),
    *("declare", "persistent", "confirm", "restart", "crash"),
    *("many", "prefetch"),
)


def up_to(name: str) -> list[str]:
    """Return the controls that are introduced when one of them has been.

    Raises:
        InvalidArgumentError: There is no such control.
    """
    if name not in CONTROLS:
        raise InvalidArgumentError(f"The stage has no control {name!r}. It has: {', '.join(CONTROLS)}.")
    return list(CONTROLS[: CONTROLS.index(name) + 1])
