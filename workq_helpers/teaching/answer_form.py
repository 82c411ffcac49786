"""`AnswerForm`: a question before an experiment, to be answered in a notebook in whatever way."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from workq_helpers.teaching import widgets
from workq_helpers.teaching.observation import OVER, was_run

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["AnswerForm", "ExperimentQuestion", "Given"]


class ExperimentQuestion(Protocol):
    """A question about an experiment."""

    @property
    def name(self) -> str:
        """What a notebook calls it."""

    @property
    def question(self) -> str:
        """The question, in a sentence or two."""

    @property
    def observe(self) -> Callable[[Session], object]:
        """What says what happened."""


class Given(Protocol):
    """An answer to it."""

    @property
    def late(self) -> bool:
        """Whether the experiment had been run already."""


Q = TypeVar("Q", bound=ExperimentQuestion)
A = TypeVar("A", bound=Given)


class AnswerForm(Generic[Q, A]):
    """A question with what it takes to answer it; the answer is kept past a lesson that is opened again."""

    _deed: ClassVar = "Predict"

    def __init__(self, asked: Q, lesson: Session, answers: dict[str, A]) -> None:
        self.asked = asked
        self._lesson = lesson
        self._answers = answers
        if self.answer is not None and self.answer.late and not self._is_over():
            # It came too late for an experiment that is to be run again: now there is something to predict.
            del answers[asked.name]

    @property
    def answer(self) -> A | None:
        """The learner's answer so far."""
        return self._answers.get(self.asked.name)

    def _is_late(self, *, unchanged: bool) -> bool:
        """Whether an answer comes after the experiment; one that was given before is as late as it was."""
        known = self.answer
        return known.late if known is not None and unchanged else self._is_over()

    def _is_over(self) -> bool:
        return was_run(self.asked.observe, self._lesson)

    def _wanted(self, how: str) -> str:
        """Say how to answer, or that it is late for that."""
        return OVER if self._is_over() else how

    def widget(self) -> Any:
        """Return the form as an ipywidget, with what has been noted below."""
        raise NotImplementedError

    def _without_buttons(self) -> str:
        """Return as HTML how to answer where there are no widgets."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        # The question stands outside the widget: a notebook that is opened again has no widgets, but this.
        widgets.show(repr(self), self._as_html(), self.widget())

    def _as_html(self) -> str:
        question = f"<p><strong>{self._deed}:</strong> {html.escape(self.asked.question)}</p>"
        return question + widgets.without_buttons(self._without_buttons())
