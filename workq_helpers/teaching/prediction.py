"""Predict, run, compare: a question before an experiment, and afterwards the answer beside what RabbitMQ did.

Questions, answers and explanations stand in `workq_helpers.lessons`, so that no notebook gives an answer away;
what RabbitMQ did is read from the lesson when it is asked for.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from workq_helpers.errors import CheckFailedError, InvalidArgumentError

if TYPE_CHECKING:
    from workq_helpers.lesson import Lesson

__all__ = ["Answer", "Choice", "Comparison", "Form", "Prediction", "Seen", "compare", "predict"]


class Choice(NamedTuple):
    """One answer that a learner may give.

    Attributes:
        text: The answer, in a sentence.
        why: Why it is what happens, or what is wrong about it; shown afterwards.
    """

    text: str
    why: str


class Seen(NamedTuple):
    """What happened.

    Attributes:
        choice: The position of the choice that came true, from 0; ``None`` if none did.
        saw: What was seen, in a sentence.
    """

    choice: int | None
    saw: str


@dataclass(frozen=True)
class Prediction:
    """A question about an experiment.

    Attributes:
        name: What `predict` and `compare` call it.
        question: The question, in a sentence or two.
        choices: The answers to choose from.
        observe: Says what happened in a lesson; raises CheckFailedError while the experiment has not been run.
    """

    name: str
    question: str
    choices: tuple[Choice, ...]
    observe: Callable[[Lesson], Seen]


class Answer(NamedTuple):
    """What a learner predicted.

    Attributes:
        choice: The position of the choice, from 0.
        why: The learner's own reason; ``""`` for none.
        late: Whether the experiment had been run already.
    """

    choice: int
    why: str = ""
    late: bool = False


_WIDGET = "application/vnd.jupyter.widget-view+json"

#: Answers of this process, by the prediction's name: they outlive a lesson that is opened again.
_answers: dict[str, Answer] = {}


def predict(lesson: Lesson, name: str, answer: str | None = None, why: str = "") -> Form:
    """Ask a question; a notebook shows it as a form.

    Args:
        lesson: The lesson in which the experiment will be run.
        name: Which question, for example "five orders".
        answer: The letter of an answer, for whom typing is easier than the form: "a", "b", ...
        why: The reason for it.

    Raises:
        InvalidArgumentError: There is no such question, or no such answer to it.
    """
    form = Form(_prediction(name), lesson)
    if answer is not None:
        form.choose(_position(form.prediction, answer), why)
    return form


def compare(lesson: Lesson, name: str) -> Comparison:
    """Put the learner's answer beside what RabbitMQ did.

    Args:
        lesson: The lesson in which the experiment was run.
        name: Which question.

    Returns:
        Both, shown in a notebook as a table; without an answer, or before the experiment, it says so.

    Raises:
        InvalidArgumentError: There is no such question.
    """
    prediction = _prediction(name)
    try:
        seen, missing = prediction.observe(lesson), ""
    except CheckFailedError as error:
        seen, missing = None, str(error)
    return Comparison(prediction, _answers.get(name), seen, missing)


def _prediction(name: str) -> Prediction:
    from workq_helpers.lessons import PREDICTIONS

    prediction = PREDICTIONS.get(name) if isinstance(name, str) else None
    if prediction is None:
        known = ", ".join(repr(each) for each in PREDICTIONS)
        raise InvalidArgumentError(f"There is no prediction named {name!r}. The predictions are: {known}.")
    return prediction


def _position(prediction: Prediction, answer: str) -> int:
    letters = string.ascii_lowercase[: len(prediction.choices)]
    if not isinstance(answer, str) or len(answer) != 1 or answer.lower() not in letters:
        raise InvalidArgumentError(f"The answer is {answer!r}. Pass one of the letters {', '.join(letters)}.")
    return letters.index(answer.lower())


class Form:
    """A question with its answers, as radio buttons in a notebook.

    Args:
        prediction: The question.
        lesson: The lesson in which the experiment will be run.
    """

    def __init__(self, prediction: Prediction, lesson: Lesson) -> None:
        self.prediction = prediction
        self._lesson = lesson

    @property
    def answer(self) -> Answer | None:
        """The learner's answer so far."""
        return _answers.get(self.prediction.name)

    def choose(self, position: int, why: str = "") -> None:
        """Take an answer down.

        Args:
            position: The position of the choice, from 0.
            why: The reason for it.
        """
        known = self.answer
        late = known.late if known is not None and known.choice == position else self._was_run()
        _answers[self.prediction.name] = Answer(position, why.strip(), late)

    def _was_run(self) -> bool:
        try:
            self.prediction.observe(self._lesson)
        except CheckFailedError:
            return False
        return True

    def _noted(self) -> str:
        if self.answer is None:
            return "Choose one before you run the experiment."
        return f"Noted: {_letter(self.answer.choice)}. You may still change it; then run the experiment."

    def widget(self) -> Any:
        """Return the form as an ipywidget: radio buttons, a field for the reason, and what has been noted."""
        import ipywidgets

        wide = ipywidgets.Layout(width="auto", max_width="60em")
        answers = [(f"{_letter(at)}. {choice.text}", at) for at, choice in enumerate(self.prediction.choices)]
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
        return ipywidgets.VBox([buttons, reason, noted])

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # The question stands outside the widget: a notebook that is opened again has no widgets, but this.
        display({"text/plain": repr(self), "text/html": self._as_html()}, raw=True)
        bundle = self.widget()._repr_mimebundle_()
        display({_WIDGET: bundle[_WIDGET]}, raw=True)

    def _as_html(self) -> str:
        name = html.escape(self.prediction.name)
        items = "<br>".join(
            html.escape(f"{_letter(at)}. {each.text}") for at, each in enumerate(self.prediction.choices)
        )
        return (
            f"<p><strong>Predict:</strong> {html.escape(self.prediction.question)}</p>"
            f"<details><summary>No buttons below? Then run this cell, or read on here.</summary><p>{items}</p>"
            f"<p>Without buttons, write your answer into the cell and run it: "
            f'<code>predict(lesson, "{name}", answer="a")</code></p></details>'
        )

    def __repr__(self) -> str:
        choices = [f"  {_letter(at)}. {choice.text}" for at, choice in enumerate(self.prediction.choices)]
        return "\n".join([f"Predict: {self.prediction.question}", *choices])


class Comparison:
    """A learner's answer beside what happened.

    Attributes:
        prediction: The question.
        answer: The learner's answer, or ``None``.
        seen: What happened, or ``None`` while the experiment has not been run.
        missing: What has to be run first; ``""`` if nothing.
    """

    def __init__(self, prediction: Prediction, answer: Answer | None, seen: Seen | None, missing: str) -> None:
        self.prediction = prediction
        self.answer = answer
        self.seen = seen
        self.missing = missing

    @property
    def right(self) -> bool | None:
        """Whether the answer came true; ``None`` if there is none, or nothing to compare it with."""
        if self.answer is None or self.seen is None or self.seen.choice is None:
            return None
        return self.answer.choice == self.seen.choice

    def rows(self) -> list[tuple[str, str]]:
        """Return what the table says: a heading and a sentence for each row."""
        if self.seen is None:
            return [("Your answer", self._answered()), ("RabbitMQ", f"Nothing to compare with yet. {self.missing}")]
        rows = [("Your answer", self._answered()), ("RabbitMQ", self.seen.saw)]
        if self.seen.choice is None:
            return [*rows, ("So", "None of the answers describes that. Was the experiment changed? Run it anew.")]
        rows.append(("So", f"{self._verdict()}{self._what(self.seen.choice)}"))
        others = [at for at in range(len(self.prediction.choices)) if at != self.seen.choice]
        if self.answer is not None and not self.right:
            others.sort(key=lambda at: at != self.answer.choice)  # type: ignore[union-attr]  # the line above
        rows += [(f"Not {_letter(at)}", self.prediction.choices[at].why) for at in others]
        return rows

    def _answered(self) -> str:
        if self.answer is None:
            return "None this time."
        reason = f" Your reason: {self.answer.why}" if self.answer.why else ""
        late = " (given after the experiment)" if self.answer.late else ""
        return f"{self._choice(self.answer.choice)}{late}{reason}"

    def _verdict(self) -> str:
        return "" if self.right is None else "You predicted it. " if self.right else "It came out differently. "

    def _what(self, position: int) -> str:
        return f"{self._choice(position)} {self.prediction.choices[position].why}"

    def _choice(self, position: int) -> str:
        return f"{_letter(position)}. {self.prediction.choices[position].text}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; vertical-align: top">{html.escape(head)}</th>'
            f'<td style="text-align: left">{html.escape(text)}</td></tr>'
            for head, text in self.rows()
        )
        caption = html.escape(self.prediction.question)
        table = f'<table><caption style="text-align: left">{caption}</caption><tbody>{rows}</tbody></table>'
        return {"text/plain": repr(self), "text/html": table}

    def __repr__(self) -> str:
        rows: Sequence[tuple[str, str]] = self.rows()
        width = max(len(head) for head, _ in rows) + 2
        return "\n".join(f"{head + ':':<{width}}{text}" for head, text in rows)


def _letter(position: int) -> str:
    return string.ascii_uppercase[position]
