"""`Chapter`: one lesson of the course, as far as it is not in its notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workq_helpers.teaching.evidence import Evidence
    from workq_helpers.teaching.exercise import Exercise
    from workq_helpers.teaching.prediction import Prediction

__all__ = ["Chapter"]


@dataclass(frozen=True)
class Chapter:
    """What a notebook asks the package for.

    Attributes:
        title: The lesson's title, as its notebook has it.
        notebook: The notebook's file name.
        checks: The claims that can be checked, by name: each says what was seen, or raises CheckFailedError.
        optional: Names of checks that a lesson is done without, for example because not every broker can show it.
        predictions: The questions asked before an experiment.
        exercises: The exercises.
    """

    title: str
    notebook: str
    checks: Mapping[str, Callable[[Evidence], str]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    predictions: tuple[Prediction, ...] = ()
    exercises: tuple[Exercise, ...] = ()
