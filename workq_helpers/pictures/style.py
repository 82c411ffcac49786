"""How the pictures of the course look: one font, one kind of axes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font

from workq_helpers.pictures.palette import FAINT, GRID, MUTED

__all__ = ["STYLE", "WIDTH", "Look", "drawable", "one_line", "plain_axes"]

#: Of a picture, in inches: as wide as a notebook's column is beside the stage, so that its words can be read there.
WIDTH = 7.0

#: How every figure of the course is made, and drawn.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "text.usetex": False,
    "text.parse_math": False,  # a task is text, dollar signs and all
    "hatch.linewidth": 0.8,
    "svg.hashsalt": "workq",
}


class Look(NamedTuple):
    """How a bar or a band looks: a face that every eye tells apart, and a hatch or an edge for the rest."""

    legend: str
    face: str
    edge: str
    hatch: str = ""
    line: str = "-"


def plain_axes(axes: Axes, *, grid: Literal["x", "y"] | None = None) -> None:
    """Draw axes as two thin lines with small numbers, and a faint grid behind what is drawn."""
    axes.tick_params(colors=MUTED, labelsize=8, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(FAINT)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)


def one_line(text: str) -> str:
    """Return the text on one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def drawable(text: str) -> str:
    """Return the text with a box for what the font lacks, which matplotlib would warn about."""
    return "".join(character if ord(character) in _glyphs() else "□" for character in one_line(text))
