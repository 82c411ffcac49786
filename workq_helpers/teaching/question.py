"""`Question`: what a quiz asks, with a word on each of its choices."""

from __future__ import annotations

from dataclasses import dataclass

from workq_helpers.teaching.prediction import Choice, place

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """A question about what a lesson has shown.

    Attributes:
        name: What the learner's progress calls it; no other question of the course has that name.
        question: The question, in a sentence or two.
        right: The choice that is right.
        wrong: The other choices, each with what is wrong about it and what would make it right.
        section: The title of the notebook's section that shows it.
    """

    name: str
    question: str
    right: Choice
    wrong: tuple[Choice, ...]
    section: str

    def shuffled(self, key: str) -> tuple[Choice, ...]:
        """Return the choices in an order that is always the same for one key."""
        return tuple(sorted((self.right, *self.wrong), key=lambda choice: place(key, self.name, choice.text)))

    def feedback(self, choice: Choice, lesson: str = "") -> str:
        """Say what is right or wrong about a choice, and where it was seen.

        Args:
            choice: One of the choices.
            lesson: The title of the lesson, if it is asked in another one.
        """
        verdict = "✔ Right." if choice == self.right else "✗ No."
        where = f" of the lesson {lesson!r}" if lesson else ""
        return f"{verdict} {choice.why} Seen in the section {self.section!r}{where}."
