"""The stage's colors: text can be read on each ground that it stands on, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.text

VIEW = Path(__file__).parents[2] / "workq_helpers" / "stage" / "css" / "view.css"

#: What each name means in the light theme, and in the dark one.
COLORS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--workq-([\w-]+): (?:var\([^,]+, )?light-dark\((#\w{6}), (#\w{6})\)", VIEW.read_text(encoding="utf-8")
    )
}
INKS = ("ink", "soft", *(name.removesuffix("-pale") for name in COLORS if name.endswith("-pale")))


def luminance(color: str) -> float:
    """Return how light a color is, as WCAG 2 counts it."""
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_a_color_can_be_read_on_its_grounds(theme: int) -> None:
    grounds = {(ink, ground) for ink in INKS for ground in ("paper", "shade", f"{ink}-pale") if ground in COLORS}
    found = {pair: round(contrast(*(COLORS[name][theme] for name in pair)), 2) for pair in grounds}
    assert len(found) >= 3 * 5
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
