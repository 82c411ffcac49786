"""`Estimate`: a number that a learner predicts, held against what was observed, with a tolerance that is said."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.teaching import widgets
from workq_helpers.teaching.answer_form import AnswerForm
from workq_helpers.teaching.comparison import LATE, Comparison
from workq_helpers.teaching.observation import note_of
from workq_helpers.text import shown

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Counted", "Estimate", "EstimateComparison", "EstimateForm", "Number"]


class Counted(NamedTuple):
    """What was observed."""

    number: float
    saw: str


class Number(NamedTuple):
    """What a learner predicted.

    Attributes:
        number: The number.
        late: Whether the experiment had been run already.
    """

    number: float
    late: bool = False


@dataclass(frozen=True)
class Estimate:
    """A question about an experiment whose answer is a number.

    Attributes:
        name: What `estimate` and `measured` call it.
        question: The question, in a sentence or two.
        tolerance: How far a number that counts as right may be from what was observed.
        why: Why it is what happens; shown afterwards.
        observe: Says what happened in a lesson; raises CheckFailedError while the experiment has not been run.
        section: The title of the notebook's section that asks it.
    """

    name: str
    question: str
    tolerance: float
    why: str
    observe: Callable[[Session], Counted]
    section: str = ""

    def accuracy(self) -> str:
        """Say how exact an answer has to be."""
        return f"right is what is at most {self.tolerance:g} off" if self.tolerance else "right is the exact number"


class EstimateForm(AnswerForm[Estimate, Number]):
    """A question with a field for a number, in a notebook."""

    def take(self, number: object) -> None:
        """Take an answer down.

        Raises:
            InvalidArgumentError: It is no number.
        """
        try:
            value = float(str(number).strip())
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InvalidArgumentError(f"The answer is {shown(number)}. Pass a number, such as 3 or 0.5.")
        late = self._is_late(unchanged=self.answer is not None and self.answer.number == value)
        self._answers[self.asked.name] = Number(value, late)

    def _noted(self) -> str:
        if self.answer is None:
            return self._wanted(f"Write a number before you run the experiment: {self.asked.accuracy()}.")
        return note_of(f"{self.answer.number:g}", late=self.answer.late)

    def widget(self) -> Any:
        """Return the form as an ipywidget: a field for the number, and what has been noted."""
        given = "" if self.answer is None else f"{self.answer.number:g}"
        field = ipywidgets.Text(value=given, description="Number", placeholder="a number, then Enter")
        field.continuous_update = False
        noted = ipywidgets.Label(self._noted())

        def take(_change: object) -> None:
            try:
                self.take(field.value)
            except InvalidArgumentError as error:
                noted.value = str(error)
            else:
                noted.value = self._noted()

        field.observe(take, names="value")
        return widgets.form([field, noted])

    def _without_buttons(self) -> str:
        example = html.escape(f'estimate(lesson, "{self.asked.name}", answer=1)')
        return f"<p>Without a field, write your number into the cell and run it: <code>{example}</code></p>"

    def __repr__(self) -> str:
        return f"Predict: {self.asked.question}\n  A number: {self.asked.accuracy()}."


class EstimateComparison(Comparison[Estimate, Number, Counted]):
    """A learner's number beside what was observed."""

    @property
    def right(self) -> bool | None:
        """Whether the number is near enough; ``None`` if there is none, or nothing to compare it with."""
        if self.answer is None or self.seen is None:
            return None
        return abs(self.answer.number - self.seen.number) <= self.asked.tolerance

    def _answered(self, answer: Number) -> str:
        return f"{answer.number:g}{LATE if answer.late else ''}"

    def _so(self, seen: Counted) -> list[tuple[str, str]]:
        verdict = "" if self.right is None else f"✔ {self.foreseen}: " if self.right else "✗ It came out differently: "
        return [("So", f"{verdict}{seen.number:g}, and {self.asked.accuracy()}. {self.asked.why}")]
