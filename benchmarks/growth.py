"""`Growth`: what something costs at several sizes, the exponent with which it grows, and the picture of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.row import Goal
from workq_helpers.pictures.palette import BLUE, ORANGE

__all__ = ["Growth", "plot"]


class Growth(NamedTuple):
    """What something costs at several sizes.

    Attributes:
        part: The part of the benchmarks.
        what: What was measured.
        unit: The unit of the costs.
        of: What the sizes count, for example "events".
        costs: The costs of all rounds, by size.
        goal: For the exponent.
    """

    part: str
    what: str
    unit: str
    of: str
    costs: Mapping[int, Sequence[float]]
    goal: Goal | None = None

    @property
    def medians(self) -> dict[int, float]:
        """The median cost at each size."""
        return {size: statistics.median(costs) for size, costs in self.costs.items()}

    @property
    def line(self) -> tuple[float, float]:
        """The exponent and the factor of ``cost = factor * size ** exponent``, fitted to the medians."""
        medians = self.medians
        exponent, logarithm = np.polyfit(np.log(list(medians)), np.log(list(medians.values())), 1)
        return float(exponent), float(np.exp(logarithm))

    @property
    def exponent(self) -> float:
        """1 if the cost grows as the size does, 0 if it stays the same."""
        return self.line[0]

    @property
    def met(self) -> bool:
        """Whether the goal is met; there may be none."""
        return self.goal is None or self.goal.is_met_by(self.exponent)

    def as_json(self) -> dict[str, Any]:
        """Return everything for a JSON file."""
        return {
            "part": self.part,
            "what": self.what,
            "unit": self.unit,
            "of": self.of,
            "costs": {str(size): list(costs) for size, costs in self.costs.items()},
            "exponent": self.exponent,
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
        }


def plot(growths: Sequence[Growth], file: Path) -> None:
    """Draw every growth in a panel of its own, on logarithmic axes, with the fitted line and its exponent."""
    columns = min(3, len(growths))
    rows = -(-len(growths) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    for axes, growth in zip(figure.subplots(rows, columns, squeeze=False).flat, growths, strict=False):
        sizes = np.array(list(growth.costs), dtype=float)
        for size, costs in growth.costs.items():
            axes.plot([size] * len(costs), costs, "o", color=BLUE.edge, alpha=0.4, markersize=4)
        exponent, factor = growth.line
        axes.plot(sizes, factor * sizes**exponent, color=ORANGE.edge, label=f"size to the {exponent:.2f}")
        axes.set(xscale="log", yscale="log", title=growth.what, xlabel=growth.of, ylabel=growth.unit)
        axes.title.set_size(10)
        axes.legend()
    for axes in figure.axes[len(growths) :]:
        axes.set_axis_off()
    figure.savefig(file, dpi=120)
