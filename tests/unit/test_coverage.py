"""What docs/coverage.md says of the lessons is so."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("| ")]
assert len(ROWS) > 40


class Cell(NamedTuple):
    section: str
    kind: str
    text: str


@cache
def cells(lesson: str) -> dict[str, Cell]:
    """Return a lesson's cells by their ids."""
    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    found, section = {}, ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and (match := re.match(r"## (.+)", cell.source)):
            section = match[1]
        found[cell.id] = Cell(section, cell.cell_type, cell.source)
    return found


@cache
def compared(lesson: str) -> set[str]:
    """Return the ids of the cells whose outputs are compared when the lessons are tested."""
    (path,) = (ROOT / "tests" / "notebooks" / "expected").glob(f"{lesson}_*.json")
    return {cell for cell, outputs in json.loads(path.read_text(encoding="utf-8")).items() if outputs}


def how(lesson: str, cell: str) -> str:
    if cells(lesson)[cell].kind == "markdown":
        return "told"
    return "measured" if cell in compared(lesson) else "shown"


@pytest.mark.parametrize("row", ROWS[1:], ids=[row[0][:50] for row in ROWS[1:]])
def test_it_is_there(row: list[str]) -> None:
    what, lesson, section, there, cell, said = row
    found = cells(lesson)[cell]
    assert found.section == section, what
    code = re.fullmatch(r"`([^`]+)`", there)
    assert (code[1] if code else there) in found.text, what
    assert how(lesson, cell) == said, what


def test_the_three_ways_are_told_apart() -> None:
    ways = [row[-1] for row in ROWS[1:]]
    assert set(ways) == {"told", "shown", "measured"}
    assert ways.count("told") < ways.count("shown") + ways.count("measured")
