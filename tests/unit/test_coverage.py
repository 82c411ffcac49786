"""What docs/coverage.md says of the lessons is so."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("| ")]
assert len(ROWS) > 40


@cache
def sections(lesson: str) -> dict[str, str]:
    """Return a lesson's text and code by heading."""
    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    found, heading = {"": ""}, ""
    for cell in cells:
        if cell.cell_type == "markdown" and (match := re.match(r"## (.+)", cell.source)):
            heading = match[1]
            found[heading] = ""
        found[heading] += f"{cell.source}\n"
    return found


@pytest.mark.parametrize(("what", "lesson", "section", "there"), ROWS[1:], ids=[row[0][:50] for row in ROWS[1:]])
def test_it_is_there(what: str, lesson: str, section: str, there: str) -> None:
    assert section in sections(lesson), what
    code = re.fullmatch(r"`([^`]+)`", there)
    assert (code[1] if code else there) in sections(lesson)[section], what
