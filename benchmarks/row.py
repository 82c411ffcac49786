"""`Row`: one figure with its spread, beside its yardstick and its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Goal", "Row"]


class Goal(NamedTuple):
    """What a figure should be: ``Goal(">=", 0.9)``."""

    sign: str
    value: float

    def is_met_by(self, figure: float) -> bool:
        """Whether `figure` is as it should be."""
        return figure >= self.value if self.sign == ">=" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


class Row(NamedTuple):
    """What was measured of one side of a comparison.

    Attributes:
        part: The part of the benchmarks, for example "engine".
        what: What was measured, for example "consume, prefetch 1".
        who: Whose figure it is.
        unit: The unit of `values`.
        values: One for each round.
        beside: The yardstick's values of the same rounds, or ``None``.
        yardstick: Whose those are.
        goal: For the ratio if there is a yardstick, else for the value.
    """

    part: str
    what: str
    who: str
    unit: str
    values: Sequence[float]
    beside: Sequence[float] | None = None
    yardstick: str = ""
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def ratios(self) -> list[float] | None:
        """Each round's value beside the yardstick's of the same round."""
        if self.beside is None:
            return None
        return [value / other for value, other in zip(self.values, self.beside, strict=True)]

    @property
    def figure(self) -> float:
        """What the goal is about: the median of the ratios, or of the values where there is no yardstick."""
        return statistics.median(self.ratios or self.values)

    @property
    def met(self) -> bool:
        """Whether the goal is met; there may be none."""
        return self.goal is None or self.goal.is_met_by(self.figure)

    def as_json(self) -> dict[str, Any]:
        """Return everything for a JSON file."""
        ratios = self.ratios
        return {
            "part": self.part,
            "what": self.what,
            "who": self.who,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
            "beside": self.yardstick or None,
            "ratio": statistics.median(ratios) if ratios else None,
            "ratios": ratios,
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
        }
