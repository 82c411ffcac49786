"""`Form`: a prediction's question with its choices, to be answered in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from workq_helpers.teaching import widgets
from workq_helpers.teaching.observation import note_of, was_run
from workq_helpers.teaching.prediction import Answer, Prediction

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Form"]


class Form:
    """A question with its answers, as radio buttons in a notebook."""

    def __init__(self, prediction: Prediction, lesson: Session, answers: dict[str, Answer]) -> None:
        self.prediction = prediction
        self._lesson = lesson
        self._answers = answers

    @property
    def answer(self) -> Answer | None:
        """The learner's answer so far."""
        return self._answers.get(self.prediction.name)

    def choose(self, position: int, why: str = "") -> None:
        """Take an answer down."""
        known = self.answer
        late = (
            known.late
            if known is not None and known.choice == position
            else was_run(self.prediction.observe, self._lesson)
        )
        self._answers[self.prediction.name] = Answer(position, str(why or "").strip(), late)

    def _noted(self) -> str:
        if self.answer is None:
            return "Choose one before you run the experiment."
        return note_of(self.prediction.letter(self.answer.choice), late=self.answer.late)

    def widget(self) -> Any:
        """Return the form as an ipywidget: radio buttons, a field for the reason, and what has been noted."""
        wide = ipywidgets.Layout(width="auto", max_width="60em")
        answers = list(zip(self.prediction.labels(), self.prediction.order, strict=True))
        given = self.answer
        buttons = ipywidgets.RadioButtons(
            options=answers, value=None if given is None else given.choice, layout=ipywidgets.Layout(width="auto")
        )
        reason = ipywidgets.Text(
            value="" if given is None else given.why,
            description="Why?",
            placeholder="in a few words, if you like",
            layout=wide,
        )
        noted = ipywidgets.Label(self._noted())

        def take(_change: object) -> None:
            if buttons.value is not None:
                self.choose(buttons.value, reason.value)
            noted.value = self._noted()

        buttons.observe(take, names="value")
        reason.observe(take, names="value")
        return widgets.form([buttons, reason, noted])

    def _ipython_display_(self) -> None:
        # The question stands outside the widget: a notebook that is opened again has no widgets, but this.
        widgets.show(repr(self), self._as_html(), self.widget())

    def _as_html(self) -> str:
        name = html.escape(self.prediction.name)
        items = "<br>".join(map(html.escape, self.prediction.labels()))
        how = (
            f"<p>Without buttons, write your answer into the cell and run it: "
            f'<code>predict(lesson, "{name}", answer="a")</code></p>'
        )
        question = f"<p><strong>Predict:</strong> {html.escape(self.prediction.question)}</p>"
        return f"{question}{widgets.without_buttons(f'<p>{items}</p>{how}')}"

    def __repr__(self) -> str:
        choices = [f"  {label}" for label in self.prediction.labels()]
        return "\n".join([f"Predict: {self.prediction.question}", *choices])
