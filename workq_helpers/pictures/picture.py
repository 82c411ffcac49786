"""`Picture`: what the course draws of a log, with words for those who can't see it."""

from __future__ import annotations

import base64
import html
import io
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image  # matplotlib itself writes PNG with it

from workq_helpers.pictures.palette import DRAWN
from workq_helpers.pictures.style import STYLE

__all__ = ["Picture"]

_DOTS_PER_INCH = 150


class Picture:
    """A matplotlib figure that says in words what it shows.

    Args:
        figure: The figure; it belongs to no pyplot state, so nothing has to be closed.
        alternative_text: What it shows, without measured times, for those who can't see it and for tests.
    """

    def __init__(self, figure: Figure, alternative_text: str) -> None:
        self.figure = figure
        self.alternative_text = alternative_text
        self._png: bytes | None = None

    def png(self) -> bytes:
        """Return the picture as a PNG file's bytes."""
        if self._png is None:
            drawn, small = io.BytesIO(), io.BytesIO()
            with mpl.rc_context(STYLE):
                self.figure.savefig(drawn, format="png", dpi=_DOTS_PER_INCH)
            # A palette makes it a third of the size; notebooks hold every picture twice.
            with Image.open(drawn) as image:
                image.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE).save(small, "png", optimize=True)
            self._png = small.getvalue()
        return self._png

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file; its suffix (``.png``, ``.svg``, ``.pdf``) says in which format."""
        with mpl.rc_context(STYLE):
            self.figure.savefig(Path(path), dpi=_DOTS_PER_INCH)

    def html(self, width: int | None = None) -> str:
        """Return it as HTML."""
        width = width or round(self.figure.get_figwidth() * 96)
        return (
            f'<img alt="{html.escape(self.alternative_text)}" class="{DRAWN}" width="{width}" '
            f'src="data:image/png;base64,{self._base64()}">'
        )

    def _base64(self) -> str:
        return base64.b64encode(self.png()).decode("ascii")

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {"text/plain": self.alternative_text, "text/html": self.html(), "image/png": self._base64()}

    def __repr__(self) -> str:
        return self.alternative_text
