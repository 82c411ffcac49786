"""A lesson's quiz for reading: forms that take an answer, and what is said of each choice, folded away."""

from __future__ import annotations

import html

from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.prediction import letter
from workq_helpers.teaching.question import Question
from workq_helpers.text import marked

__all__ = ["quiz_page"]


def quiz_page(title: str) -> str:
    """Return the questions of a lesson, as HTML.

    Args:
        title: The lesson's title.
    """
    chapter = next(each for each in CHAPTERS if each.title == title)
    return "\n".join(_question(number, question) for number, question in enumerate(chapter.questions, start=1))


def _question(number: int, question: Question) -> str:
    choices = {letter(at): choice for at, choice in enumerate(question.shuffled(""))}
    buttons = "".join(
        f'<label><input type="radio" name="question-{number}" value="{name}"> '
        f"<span>{name}. {html.escape(choice.text)}</span></label>"
        for name, choice in choices.items()
    )
    told = "".join(
        f'<p>{name}. <span data-choice="{name}">{marked(question.feedback(choice))}</span></p>'
        for name, choice in choices.items()
    )
    return (
        f'<form class="course-question"><fieldset><legend><strong>{number}. {html.escape(question.question)}</strong>'
        f'</legend>{buttons}</fieldset><button type="submit" hidden>Answer</button><p role="status"></p>'
        f'<details class="fold"><summary>Which is right, and why</summary>{told}</details></form>'
    )
