"""`Trend`: whether a figure that was read again and again grows, or only varies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Trend"]

#: The share of the readings, at the beginning, in which modules are imported and memory is taken that is used again
#: and again: not judged.
_SETTLING = 0.5
#: So many standard errors a slope must be above zero to be told from noise.
_SURE = 3.0
#: And so large a share of the level must come together over the run: what is less is not worth anybody's time.
_WORTH_A_WORD = 0.02


@dataclass(frozen=True)
class Trend:
    """A straight line through readings.

    Attributes:
        level: Where it begins.
        slope: How much it rises from one reading to the next.
        error: The standard error of that.
        noise: How far readings are from it, as a standard deviation.
        readings: How many there are.
    """

    level: float
    slope: float
    error: float
    noise: float
    readings: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Trend:
        """Fit a line to all but the first readings.

        Args:
            values: At least eight, at equal distances.
        """
        judged = np.asarray(values[math.ceil(len(values) * _SETTLING) :], dtype=float)
        assert len(judged) >= 4, f"{len(values)} readings are too few to tell a trend from noise"
        steps = np.arange(len(judged), dtype=float)
        slope, level = np.polyfit(steps, judged, 1)
        noise = math.sqrt(float(np.sum((judged - level - slope * steps) ** 2)) / (len(judged) - 2))
        error = noise / math.sqrt(float(np.sum((steps - steps.mean()) ** 2)))
        return cls(float(level), float(slope), error, noise, len(judged))

    @property
    def growth(self) -> float:
        """How much it rises over the readings."""
        return self.slope * (self.readings - 1)

    @property
    def grows(self) -> bool:
        """Whether it rises by more than noise explains, and by enough to matter if it went on."""
        surely = (self.slope - _SURE * self.error) * (self.readings - 1)
        return surely > _WORTH_A_WORD * abs(self.level)

    def to_json(self) -> dict[str, Any]:
        """Return it as what `json.dumps` takes."""
        return asdict(self) | {"growth": self.growth, "grows": self.grows}
