"""`Comparison`: a learner's answer beside what RabbitMQ did."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from workq_helpers.teaching.prediction import Answer, Prediction, Seen
from workq_helpers.text import marked

__all__ = ["Comparison", "replay_link"]


class Comparison:
    """A learner's answer beside what happened.

    Attributes:
        prediction: The question.
        answer: The learner's answer, or ``None``.
        seen: What happened, or ``None`` while the experiment has not been run.
        missing: What has to be run first; ``""`` if nothing.
        lesson: The lesson's name, whose stage can replay the experiment; ``""`` where none can.
    """

    def __init__(
        self, prediction: Prediction, answer: Answer | None, seen: Seen | None, missing: str, lesson: str = ""
    ) -> None:
        self.prediction = prediction
        self.answer = answer
        self.seen = seen
        self.missing = missing
        self.lesson = lesson

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
            return [
                *rows,
                (
                    "So",
                    "None of the answers describes that. Was the experiment changed? "
                    "Run the cells again from the one that opens the lesson.",
                ),
            ]
        rows.append(("So", f"{self._verdict()}{self._what(self.seen.choice)}"))
        others = [at for at in self.prediction.order if at != self.seen.choice]
        if self.answer is not None and not self.right:
            others.sort(key=lambda at: at != self.answer.choice)  # type: ignore[union-attr]  # the line above
        rows += [(f"Not {self.prediction.letter(at)}", self.prediction.choices[at].why) for at in others]
        return rows

    def _marked_rows(self) -> list[tuple[str, str]]:
        """Return the rows, with a mark before the verdict."""
        mark = "" if self.right is None else "✔ " if self.right else "✗ "
        return [(head, f"{mark}{text}" if head == "So" else text) for head, text in self.rows()]

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
        return f"{self.prediction.letter(position)}. {self.prediction.choices[position].text}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; vertical-align: top">{html.escape(head)}</th>'
            f'<td style="text-align: left">{marked(text)}</td></tr>'
            for head, text in self._marked_rows()
        )
        caption = html.escape(self.prediction.question)
        table = f'<table><caption style="text-align: left">{caption}</caption><tbody>{rows}</tbody></table>'
        return {"text/plain": repr(self), "text/html": table + self._replay_link()}

    def _replay_link(self) -> str:
        return "" if self.seen is None else replay_link(self.lesson, self.prediction.name)

    def __repr__(self) -> str:
        rows: Sequence[tuple[str, str]] = self._marked_rows()
        width = max(len(head) for head, _ in rows) + 2
        return "\n".join(f"{head + ':':<{width}}{text}" for head, text in rows)


def replay_link(lesson: str, experiment: str) -> str:
    """Return a link that a lesson's stage listens for, wherever in the page it is; ``""`` without a lesson."""
    if not lesson:
        return ""
    address = f"#workq-replay/{quote(lesson, safe='')}/{quote(experiment, safe='')}"
    return f'<p><a href="{address}">Replay this experiment on the stage</a></p>'
