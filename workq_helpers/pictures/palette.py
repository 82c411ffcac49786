"""The colors of everything that the course draws in Python."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "BAND",
    "BLUE",
    "DARK_THEME",
    "DRAWN",
    "FAINT",
    "GREEN",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "RED",
    "YELLOW",
]

PAPER, BAND, GRID, FAINT, MUTED, INK = "#ffffff", "#f1f3f5", "#e7eaed", "#b5bcc4", "#59636e", "#1f2328"


class _Color(NamedTuple):
    """A color in two strengths.

    Attributes:
        face: Pale enough for a text on it.
        edge: Strong enough for a thin line.
    """

    face: str
    edge: str


# Of the palette by Okabe and Ito, so that every eye tells them apart.
BLUE = _Color("#a9d3ee", "#0072b2")
ORANGE = _Color("#fbe3b3", "#b06f00")
RED = _Color("#f6c6ad", "#b03a00")
PURPLE = _Color("#efd3e3", "#a0457a")
YELLOW = _Color("#ece9a8", "#7d7500")
GREEN = _Color("#009e73", "#00664a")

#: The class of a picture on a page.
DRAWN = "workq-drawn"

#: A style for the page, which comes with the stage: pictures are drawn on white, and where the theme is dark their
#: lightness is turned round while each color keeps its hue.
DARK_THEME = (
    f'body:is([data-jp-theme-light="false"], .vscode-dark) .{DRAWN} {{ filter: invert(0.93) hue-rotate(180deg); }}\n'
)
