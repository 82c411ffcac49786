"""`Question`: what a quiz asks, with a word on each of its choices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from workq_helpers.teaching.prediction import Choice

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

        def place(choice: Choice) -> bytes:
            return hashlib.sha256(f"{key}\n{self.name}\n{choice.text}".encode()).digest()

        return tuple(sorted((self.right, *self.wrong), key=place))
