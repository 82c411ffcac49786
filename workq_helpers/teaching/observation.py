"""What came of an experiment, asked before and after it: `observe` says what is missing, `was_run` if it is over.

`note_of` is a form's word for an answer, by when it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.teaching.experiment import only_played

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["OVER", "note_of", "observe", "was_run"]

T = TypeVar("T")

#: What a form says where nothing was answered and the experiment has been run.
OVER = "The experiment is over: an answer now comes after it. Run its section again to predict it."


def observe(how: Callable[[Session], T], lesson: Session) -> tuple[T | None, str]:
    """Return what happened in an experiment and ``""``; while it has not been run, ``None`` and what is missing."""
    try:
        return how(lesson), ""
    except CheckFailedError as error:
        return None, str(error)


def was_run(how: Callable[[Session], object], lesson: Session) -> bool:
    """Whether an experiment has been run already: an answer that is given then is late."""
    try:
        return observe(how, lesson)[0] is not None and not only_played(lesson.log or ())
    except WorkqError:  # a form outlives its lesson, and the broker may be down: no answer is lost for that
        return False


def note_of(answer: str, *, late: bool) -> str:
    """Return what a form says of an answer that it has taken; one that is given after the experiment predicts nothing.

    Args:
        answer: In a few letters, ``""`` if the form shows it anyway.
        late: Whether the experiment had been run already.
    """
    told = f"Noted: {answer}" if answer else "Noted"
    if late:
        return f"{told}, after the experiment. Run its section again to predict it."
    return f"{told}. You may change it until you run the experiment."
