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
from workq_helpers.teaching.comparison import replay_link
from workq_helpers.teaching.observation import note_of, was_run
from workq_helpers.text import marked, shown

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


class EstimateForm:
    """A question with a field for a number, in a notebook."""

    def __init__(self, estimate: Estimate, lesson: Session, answers: dict[str, Number]) -> None:
        self.estimate = estimate
        self._lesson = lesson
        self._answers = answers

    @property
    def answer(self) -> Number | None:
        """The learner's answer so far."""
        return self._answers.get(self.estimate.name)

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
        known = self.answer
        late = (
            known.late if known is not None and known.number == value else was_run(self.estimate.observe, self._lesson)
        )
        self._answers[self.estimate.name] = Number(value, late)

    def _noted(self) -> str:
        if self.answer is None:
            return f"Write a number before you run the experiment: {self.estimate.accuracy()}."
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

    def _ipython_display_(self) -> None:
        widgets.show(repr(self), self._as_html(), self.widget())

    def _as_html(self) -> str:
        example = html.escape(f'estimate(lesson, "{self.estimate.name}", answer=1)')
        how = f"<p>Without a field, write your number into the cell and run it: <code>{example}</code></p>"
        question = f"<p><strong>Predict:</strong> {html.escape(self.estimate.question)}</p>"
        return f"{question}{widgets.without_buttons(how)}"

    def __repr__(self) -> str:
        return f"Predict: {self.estimate.question}\n  A number: {self.estimate.accuracy()}."


class EstimateComparison:
    """A learner's number beside what was observed.

    Attributes:
        estimate: The question.
        answer: The learner's number, or ``None``.
        seen: What happened, or ``None`` while the experiment has not been run.
        missing: What has to be run first; ``""`` if nothing.
        lesson: The lesson's name, whose stage can replay the experiment; ``""`` where none can.
    """

    def __init__(
        self, estimate: Estimate, answer: Number | None, seen: Counted | None, missing: str, lesson: str = ""
    ) -> None:
        self.estimate = estimate
        self.answer = answer
        self.seen = seen
        self.missing = missing
        self.lesson = lesson

    @property
    def right(self) -> bool | None:
        """Whether the number is near enough; ``None`` if there is none, or nothing to compare it with."""
        if self.answer is None or self.seen is None:
            return None
        return abs(self.answer.number - self.seen.number) <= self.estimate.tolerance

    def rows(self) -> list[tuple[str, str]]:
        """Return what the table says: a heading and a sentence for each row."""
        if self.seen is None:
            return [("Your answer", self._answered()), ("RabbitMQ", f"Nothing to compare with yet. {self.missing}")]
        verdict = "" if self.right is None else "✔ You predicted it: " if self.right else "✗ It came out differently: "
        so = f"{verdict}{self.seen.number:g}, and {self.estimate.accuracy()}. {self.estimate.why}"
        return [("Your answer", self._answered()), ("RabbitMQ", self.seen.saw), ("So", so)]

    def _answered(self) -> str:
        if self.answer is None:
            return "None this time."
        return f"{self.answer.number:g}{' (given after the experiment)' if self.answer.late else ''}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; vertical-align: top">{head}</th>'
            f'<td style="text-align: left">{marked(text)}</td></tr>'
            for head, text in self.rows()
        )
        caption = html.escape(self.estimate.question)
        table = f'<table><caption style="text-align: left">{caption}</caption><tbody>{rows}</tbody></table>'
        link = "" if self.seen is None else replay_link(self.lesson, self.estimate.name)
        return {"text/plain": repr(self), "text/html": table + link}

    def __repr__(self) -> str:
        rows = self.rows()
        width = max(len(head) for head, _ in rows) + 2
        return "\n".join(f"{head + ':':<{width}}{text}" for head, text in rows)
