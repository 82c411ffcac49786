"""`Prediction`: a question before an experiment; `Answer`: what a learner expects.

Questions, answers and explanations stand in `workq_helpers.lessons`, so that no notebook gives an answer away;
what RabbitMQ did is read from the lesson when it is asked for.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.text import shown

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Answer", "Choice", "Prediction", "Seen", "letter", "place", "position"]


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
        choices: The answers to choose from; their order here is not the one that a learner sees.
        observe: Says what happened in a lesson; raises CheckFailedError while the experiment has not been run.
        section: The title of the notebook's section that asks it.
    """

    name: str
    question: str
    choices: tuple[Choice, ...]
    observe: Callable[[Session], Seen]
    section: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """The positions of the choices as they are shown: mixed, so that no letter tells, and the same each time."""
        return tuple(sorted(range(len(self.choices)), key=lambda choice: place(self.choices[choice].text)))

    def letter(self, choice: int) -> str:
        """Return the letter under which a choice is shown."""
        return letter(self.order.index(choice))

    def labels(self) -> list[str]:
        """Return the choices with their letters, as they are shown."""
        return [f"{letter(at)}. {self.choices[choice].text}" for at, choice in enumerate(self.order)]


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


def position(prediction: Prediction, answer: str) -> int:
    """Return the position of the choice that a letter names, from 0.

    Raises:
        InvalidArgumentError: It names none.
    """
    letters = string.ascii_lowercase[: len(prediction.choices)]
    if not isinstance(answer, str) or len(answer) != 1 or answer.lower() not in letters:
        raise InvalidArgumentError(f"The answer is {shown(answer)}. Pass one of the letters {', '.join(letters)}.")
    return prediction.order[letters.index(answer.lower())]


def place(*words: str) -> bytes:
    """Return what choices are sorted by to be mixed: always the same for the same words."""
    return hashlib.sha256("\n".join(words).encode()).digest()


def letter(position: int) -> str:
    """Return the letter of a place, from 0."""
    return string.ascii_uppercase[position]
