"""A lesson's quiz for reading: its questions, with what is said of each choice folded away."""

from __future__ import annotations

import html

from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.prediction import letter
from workq_helpers.teaching.question import Question

__all__ = ["quiz_page"]


def quiz_page(title: str) -> str:
    """Return the questions of a lesson, as HTML.

    Args:
        title: The lesson's title.
    """
    chapter = next(each for each in CHAPTERS if each.title == title)
    return "\n".join(_question(number, question) for number, question in enumerate(chapter.questions, start=1))


def _question(number: int, question: Question) -> str:
    choices = question.shuffled("")
    asked = "".join(f"<br>{letter(at)}. {html.escape(choice.text)}" for at, choice in enumerate(choices))
    told = "".join(
        f"<p>{letter(at)}. {'✔' if choice == question.right else '✗'} {html.escape(choice.why)}</p>"
        for at, choice in enumerate(choices)
    )
    return (
        f"<p><strong>{number}. {html.escape(question.question)}</strong>{asked}</p>"
        f'<details class="fold"><summary>Which is right, and why</summary>{told}'
        f"<p>Seen in the section {html.escape(repr(question.section))}.</p></details>"
    )
