"""`Quiz`: the questions at the end of a lesson, and some of earlier lessons that come back.

What comes back is decided by what was answered, and in which order; no clock is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.teaching.prediction import Choice, letter
from workq_helpers.teaching.question import Question
from workq_helpers.text import shown

if TYPE_CHECKING:
    from workq_helpers.teaching.progress import Answered, CourseProgress

__all__ = ["COMING_BACK", "Asked", "Quiz", "coming_back"]

#: How many questions of earlier lessons a quiz asks again.
COMING_BACK = 3


class Asked(NamedTuple):
    """A question, and the lesson that it is about."""

    question: Question
    lesson: str


def coming_back(earlier: Sequence[Asked], answered: Sequence[Answered], lesson: str) -> list[Asked]:
    """Return the questions of earlier lessons that a quiz asks again, in the order of the course.

    Those that it has asked already stay. Then come those whose last first answer was wrong, those never answered,
    and the others, what was answered longest ago before the rest.

    Args:
        earlier: All questions of earlier lessons, in the order of the course.
        answered: What the learner has answered in any quiz, the latest last.
        lesson: The title of the lesson whose quiz it is.
    """
    stay = {each.question for each in answered if each.lesson == lesson}
    last = {each.question: (at, each.answers[0]) for at, each in enumerate(answered) if each.lesson != lesson}

    def turn(asked: Asked) -> tuple[bool, bool, int]:
        at, answer = last.get(asked.question.name, (-1, asked.question.right.text))
        return asked.question.name not in stay, answer == asked.question.right.text, at

    chosen = sorted(earlier, key=turn)[:COMING_BACK]
    return [each for each in earlier if each in chosen]


class Quiz:
    """A quiz that a learner works on."""

    def __init__(self, lesson: str, asked: Sequence[Asked], progress: CourseProgress) -> None:
        self.asked = tuple(asked)
        self._lesson = lesson
        self._progress = progress
        key = progress.shuffle_key()
        self._choices = [each.question.shuffled(key) for each in self.asked]
        here = {each.question: each.answers[-1] for each in progress.done().answered if each.lesson == lesson}
        self._given = [here.get(each.question.name) for each in self.asked]

    def choices(self, number: int) -> tuple[Choice, ...]:
        """Return the choices of a question in the learner's order."""
        return self._choices[number]

    def given(self, number: int) -> int | None:
        """Return the position of the choice that the learner has answered with, from 0."""
        texts = [choice.text for choice in self._choices[number]]
        given = self._given[number]
        return texts.index(given) if given in texts else None

    def answer(self, number: int, choice: int) -> None:
        """Take an answer down."""
        text = self._choices[number][choice].text
        self._given[number] = text
        self._progress.mark_answer(self._lesson, self.asked[number].question.name, text)

    def answer_all(self, answers: Sequence[str]) -> None:
        """Take down the letters of answers, in the order of the questions; ``""`` leaves a question out.

        Raises:
            InvalidArgumentError: There is no such question, or no such answer to it.
        """
        if len(answers) > len(self.asked):
            raise InvalidArgumentError(
                f"These are {len(answers)} answers, and the quiz has {len(self.asked)} questions. "
                f"Pass a letter for each question."
            )
        chosen = [self._position(number, answer) for number, answer in enumerate(answers)]
        for number, choice in enumerate(chosen):
            if choice is not None:
                self.answer(number, choice)

    def _position(self, number: int, answer: str) -> int | None:
        letters = [letter(at) for at in range(len(self._choices[number]))]
        if answer == "":
            return None
        if not isinstance(answer, str) or answer.upper() not in letters:
            raise InvalidArgumentError(
                f"The answer to question {number + 1} is {shown(answer)}. Pass one of the letters "
                f'{", ".join(letters).lower()}, or "" to leave it out.'
            )
        return letters.index(answer.upper())

    def feedback(self, number: int) -> str:
        """Say what is right or wrong about the learner's answer; nothing while there is none."""
        given = self.given(number)
        if given is None:
            return ""
        question, lesson = self.asked[number]
        said = question.feedback(self._choices[number][given], "" if lesson == self._lesson else lesson)
        return f"{said} {self._progress.trouble}" if self._progress.trouble else said

    def heading(self, number: int) -> str:
        """Return a question with its number, and with its lesson where that is an earlier one."""
        question, lesson = self.asked[number]
        again = "" if lesson == self._lesson else f"Again, from {lesson!r}: "
        return f"{number + 1}. {again}{question.question}"

    def lines(self, number: int) -> Iterator[str]:
        """Yield what a question, its choices and the learner's answer say, as plain text."""
        yield self.heading(number)
        for at, choice in enumerate(self._choices[number]):
            yield f"   {letter(at)}. {choice.text}"
        given = self.given(number)
        if given is not None:
            yield f"   Your answer: {letter(given)}."
            yield f"   {self.feedback(number)}"

    def summary(self) -> str:
        """Say how many questions these are."""
        again = sum(each.lesson != self._lesson for each in self.asked)
        own = f"A quiz of {len(self.asked) - again} questions"
        return f"{own}, and {again} of earlier lessons." if again else f"{own}."
