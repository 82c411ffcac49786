"""`Comparison`: a learner's answer beside what RabbitMQ did; `PredictionComparison` for one of several choices."""

from __future__ import annotations

import html
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from workq_helpers.teaching.answer_form import ExperimentQuestion, Given
from workq_helpers.teaching.prediction import Answer, Prediction, Seen
from workq_helpers.text import marked

__all__ = ["LATE", "Comparison", "Observed", "PredictionComparison"]

#: What is said of an answer that predicts nothing any more.
LATE = " (given after the experiment)"


class Observed(Protocol):
    """What happened."""

    @property
    def saw(self) -> str:
        """What was seen, in a sentence."""


Q = TypeVar("Q", bound=ExperimentQuestion)
A = TypeVar("A", bound=Given)
S = TypeVar("S", bound=Observed)


class Comparison(Generic[Q, A, S]):
    """A learner's answer beside what happened.

    Attributes:
        asked: The question.
        answer: The learner's answer, or ``None``.
        seen: What happened, or ``None`` while the experiment has not been run.
        missing: What has to be run first; ``""`` if nothing.
        lesson: The lesson's name, whose stage can replay the experiment; ``""`` where none can.
    """

    def __init__(self, asked: Q, answer: A | None, seen: S | None, missing: str, lesson: str = "") -> None:
        self.asked = asked
        self.answer = answer
        self.seen = seen
        self.missing = missing
        self.lesson = lesson

    def rows(self) -> list[tuple[str, str]]:
        """Return what the table says: a heading and a sentence for each row."""
        answered = "None this time." if self.answer is None else self._answered(self.answer)
        saw = f"Nothing to compare with yet. {self.missing}" if self.seen is None else self.seen.saw
        so = [] if self.seen is None else self._so(self.seen)
        return [("Your answer", answered), ("RabbitMQ", saw), *so]

    @property
    def foreseen(self) -> str:
        """The word on an answer that is what happened: one that was given afterwards foresaw nothing."""
        return "That is what happened" if self.answer is not None and self.answer.late else "You predicted it"

    def _answered(self, answer: A) -> str:
        """Say what the learner answered."""
        raise NotImplementedError

    def _so(self, seen: S) -> list[tuple[str, str]]:
        """Return the rows that say what follows."""
        raise NotImplementedError

    def _marked_rows(self) -> list[tuple[str, str]]:
        """Return the rows, with a mark before the verdict."""
        return self.rows()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; vertical-align: top">{html.escape(head)}</th>'
            f'<td style="text-align: left">{marked(text)}</td></tr>'
            for head, text in self._marked_rows()
        )
        caption = html.escape(self.asked.question)
        table = f'<table><caption style="text-align: left">{caption}</caption><tbody>{rows}</tbody></table>'
        return {"text/plain": repr(self), "text/html": table + self._replay_link()}

    def _replay_link(self) -> str:
        """Return a link that the lesson's stage listens for, wherever in the page it is."""
        if self.seen is None or not self.lesson:
            return ""
        address = f"#workq-replay/{quote(self.lesson, safe='')}/{quote(self.asked.name, safe='')}"
        return f'<p><a href="{address}">Replay this experiment on the stage</a></p>'

    def __repr__(self) -> str:
        rows = self._marked_rows()
        width = max(len(head) for head, _ in rows) + 2
        return "\n".join(f"{head + ':':<{width}}{text}" for head, text in rows)


class PredictionComparison(Comparison[Prediction, Answer, Seen]):
    """The choice of a learner beside the one that came true."""

    @property
    def right(self) -> bool | None:
        """Whether the answer came true; ``None`` if there is none, or nothing to compare it with."""
        if self.answer is None or self.seen is None or self.seen.choice is None:
            return None
        return self.answer.choice == self.seen.choice

    def _so(self, seen: Seen) -> list[tuple[str, str]]:
        if seen.choice is None:
            changed = "Was the experiment changed? Run the cells again from the one that opens the lesson."
            return [("So", f"None of the answers describes that. {changed}")]
        verdict = "" if self.right is None else f"{self.foreseen}. " if self.right else "It came out differently. "
        others = [at for at in self.asked.order if at != seen.choice]
        if self.answer is not None and self.answer.choice in others:
            others.remove(self.answer.choice)
            others.insert(0, self.answer.choice)
        return [
            ("So", f"{verdict}{self._choice(seen.choice)} {self.asked.choices[seen.choice].why}"),
            *((f"Not {self.asked.letter(at)}", self.asked.choices[at].why) for at in others),
        ]

    def _marked_rows(self) -> list[tuple[str, str]]:
        mark = "" if self.right is None else "✔ " if self.right else "✗ "
        return [(head, f"{mark}{text}" if head == "So" else text) for head, text in self.rows()]

    def _answered(self, answer: Answer) -> str:
        reason = f" Your reason: {answer.why}" if answer.why else ""
        return f"{self._choice(answer.choice)}{LATE if answer.late else ''}{reason}"

    def _choice(self, position: int) -> str:
        return f"{self.asked.letter(position)}. {self.asked.choices[position].text}"
