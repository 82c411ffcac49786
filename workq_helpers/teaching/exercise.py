"""`Exercise`: a cell to complete, a check that diagnoses, hints in steps, and a solution for whoever asks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython import display

from workq_helpers.errors import BrokerError, CheckFailedError
from workq_helpers.teaching.function import look_at
from workq_helpers.teaching.help_buttons import HelpButtons
from workq_helpers.teaching.progress import CourseProgress
from workq_helpers.teaching.reason import Reason
from workq_helpers.teaching.source import Source, read_source
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import Code, paragraph, worded

if TYPE_CHECKING:
    from workq_helpers.broker import Broker

__all__ = ["Exercise", "Hint", "OpenExercise", "Verdict"]


#: Whose log tells of connections.
_LIBRARIES = ("pika", "httpx", "httpcore")

#: How many clues are told at once: the first explain the most.
_CLUES = 2


@dataclass(frozen=True)
class Exercise:
    """An exercise of the course.

    Attributes:
        name: What a notebook calls it.
        source: Its file below ``lessons``, such as "round_robin/share_the_work".
        hands_in: What a learner hands in, as it is called in the cell.
        hints: From a nudge to nearly the solution.
        judge: Tries the answer in a trial and says what was seen; raises CheckFailedError with a diagnosis.
        parameters: Those of the function that is handed in, as "channel, order"; empty where it is a value.
    """

    name: str
    source: str
    hands_in: str
    hints: tuple[str, ...]
    judge: Callable[[Trial, Any], str]
    parameters: str = ""

    def read(self) -> Source:
        """Return the exercise's cell and the solution."""
        return read_source(self.source)


class Verdict(NamedTuple):
    """What a check says about an answer.

    Attributes:
        name: The exercise.
        passed: Whether the answer does what was asked.
        saw: What was seen, or what is missing.
        opened: The exercise, for its hints.
        reason: Where one can see why it did not pass.
    """

    name: str
    passed: bool
    saw: str
    opened: OpenExercise | None = None
    reason: Reason | None = None

    def _ipython_display_(self) -> None:
        display.display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)
        if self.opened is not None and not self.passed:
            HelpButtons(self.opened.hint, self.opened.solution).show()

    def __repr__(self) -> str:
        return f"✔ {self.name}: {self.saw}" if self.passed else f"Not yet: {self.saw}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self)) + (self.reason.html() if self.reason else "")


class Hint(NamedTuple):
    """One hint."""

    number: int
    of: int
    text: str

    def __repr__(self) -> str:
        more = "" if self.number < self.of else " That was the last one; solution() shows a way."
        return f"Hint {self.number} of {self.of}: {self.text}{more}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


class OpenExercise:
    """An exercise that a learner works on.

    Args:
        exercise: Which.
        broker: The broker to try answers on; by default the one that `find_broker` finds.
    """

    def __init__(self, exercise: Exercise, broker: Broker | None = None) -> None:
        self.exercise = exercise
        self._broker = broker
        self._hints_given = 0
        self._reason: Reason | None = None

    def check(self, *answer: object) -> Verdict:
        """Try an answer on the real broker, in a virtual host of its own, and say what came of it.

        Args:
            *answer: What the exercise's cell defines.

        Raises:
            BrokerError: The broker can't be used; what is wrong with an answer never raises.
        """
        try:
            saw = self._judge(answer)
        except CheckFailedError as diagnosis:
            return Verdict(self.exercise.name, False, str(diagnosis), self, self._reason)
        progress = CourseProgress()
        progress.mark_exercise(self.exercise.name)
        return Verdict(self.exercise.name, True, f"{saw} {progress.trouble}".rstrip())

    def _judge(self, answers: tuple[object, ...]) -> str:
        known = self.exercise
        self._reason = None
        if len(answers) != 1:
            raise CheckFailedError(
                f"check was given {len(answers) or 'nothing'}{' things' if answers else ''}. Hand in what the cell "
                f"above defines: check({known.hands_in})."
            )
        answer = answers[0]
        if known.parameters:
            look_at(answer, known.hands_in, known.parameters)
        with _only_their_own_log(), Trial(known.name, self._broker) as trial:
            try:
                saw = known.judge(trial, answer)
                trial.nothing_was_emptied()
                trial.the_owner_settled()
            except CheckFailedError as diagnosis:
                self._reason = Reason(trial.lesson.log.copy())
                raise CheckFailedError(" ".join([str(diagnosis), *trial.clues(answer)[:_CLUES]])) from diagnosis
            except BrokerError:
                raise
            except Exception as error:
                # Nobody knows all that an answer can do, and a learner is not to read a traceback of ours.
                what = " ".join([f"The check could not be finished: {worded(error)}.", *trial.clues(answer)])
                raise CheckFailedError(what) from error
        return saw

    def hint(self) -> Hint:
        """Return the next hint, and the last one again when there are no more."""
        hints = self.exercise.hints
        self._hints_given = min(self._hints_given + 1, len(hints))
        return Hint(self._hints_given, len(hints), hints[self._hints_given - 1])

    def solution(self) -> Code:
        """Return code that passes the check."""
        return Code(self.exercise.read().solution)

    def __repr__(self) -> str:
        return (
            f"Exercise {self.exercise.name!r}: check({self.exercise.hands_in}) tries your answer, hint() gives the "
            f"next hint, solution() shows a way."
        )


@contextlib.contextmanager
def _only_their_own_log() -> Iterator[None]:
    """Keep what libraries say of a check's connections from the log that an answer writes: the verdict says it."""
    logs = [logging.getLogger(name) for name in _LIBRARIES]
    before = [log.propagate for log in logs]
    for log in logs:
        log.propagate = False
    try:
        yield
    finally:
        for log, propagated in zip(logs, before, strict=True):
            log.propagate = propagated
