"""`QuizForm`: a quiz to be answered in a notebook."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets

from workq_helpers.teaching import widgets
from workq_helpers.teaching.quiz import Quiz
from workq_helpers.text import marked

__all__ = ["QuizForm"]

_EXAMPLE = 'quiz("a", "b")'


class QuizForm:
    """A quiz with its choices, as radio buttons in a notebook.

    An answer counts when the button below it is pressed: the arrow keys go through radio buttons one by one.
    """

    def __init__(self, quiz: Quiz) -> None:
        self.quiz = quiz

    def widget(self) -> Any:
        """Return the form as an ipywidget: the choices of each question, a button, and what is said of the answer."""
        return widgets.form([self._question(number) for number in range(len(self.quiz.asked))])

    def _question(self, number: int) -> Any:
        question = ipywidgets.HTML(f"<p><strong>{html.escape(self.quiz.heading(number))}</strong></p>")
        buttons = ipywidgets.RadioButtons(
            options=[(choice.text, at) for at, choice in enumerate(self.quiz.choices(number))],
            value=self.quiz.given(number),
            layout=ipywidgets.Layout(width="auto"),
        )
        answer = ipywidgets.Button(description="Answer", tooltip=f"Answer question {number + 1}")
        told = ipywidgets.HTML(_told(self.quiz.feedback(number)))

        def take(_: object) -> None:
            if buttons.value is not None:
                self.quiz.answer(number, buttons.value)
            told.value = _told(self.quiz.feedback(number) or "Choose one first.")

        answer.on_click(take)
        return ipywidgets.VBox([question, buttons, answer, told])

    def _ipython_display_(self) -> None:
        widgets.show(repr(self), self._as_html(), self.widget())

    def _as_html(self) -> str:
        questions = "".join(
            f"<p>{'<br>'.join(marked(line.strip()) for line in self.quiz.lines(number))}</p>"
            for number in range(len(self.quiz.asked))
        )
        how = f"<p>Without buttons, write your answers into the cell and run it: <code>{_EXAMPLE}</code></p>"
        return f"<p>{html.escape(self.quiz.summary())}</p>{widgets.without_buttons(questions + how)}"

    def __repr__(self) -> str:
        questions = ["\n".join(self.quiz.lines(number)) for number in range(len(self.quiz.asked))]
        return "\n\n".join([self.quiz.summary(), *questions, f"Answer in the order of the questions: {_EXAMPLE}"])


def _told(text: str) -> str:
    # A screen reader says it when it comes.
    return f'<p role="status">{marked(text)}</p>' if text else ""
