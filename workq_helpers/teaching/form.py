"""`Form`: a prediction's question with its choices, to be answered in a notebook."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets

from workq_helpers.teaching import widgets
from workq_helpers.teaching.answer_form import AnswerForm
from workq_helpers.teaching.observation import note_of
from workq_helpers.teaching.prediction import Answer, Prediction

__all__ = ["Form"]


class Form(AnswerForm[Prediction, Answer]):
    """A question with its answers, as radio buttons in a notebook."""

    def choose(self, position: int, why: str = "") -> None:
        """Take an answer down."""
        late = self._is_late(unchanged=self.answer is not None and self.answer.choice == position)
        self._answers[self.asked.name] = Answer(position, str(why or "").strip(), late)

    def _noted(self) -> str:
        if self.answer is None:
            return self._wanted("Choose one before you run the experiment.")
        return note_of(self.asked.letter(self.answer.choice), late=self.answer.late)

    def widget(self) -> Any:
        """Return the form as an ipywidget: radio buttons, a field for the reason, and what has been noted."""
        wide = ipywidgets.Layout(width="auto", max_width="60em")
        answers = list(zip(self.asked.labels(), self.asked.order, strict=True))
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

    def _without_buttons(self) -> str:
        items = "<br>".join(map(html.escape, self.asked.labels()))
        return (
            f"<p>{items}</p><p>Without buttons, write your answer into the cell and run it: "
            f'<code>predict(lesson, "{html.escape(self.asked.name)}", answer="a")</code></p>'
        )

    def __repr__(self) -> str:
        choices = [f"  {label}" for label in self.asked.labels()]
        return "\n".join([f"Predict: {self.asked.question}", *choices])
