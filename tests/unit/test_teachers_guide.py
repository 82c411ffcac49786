"""docs/teachers_guide.md names lessons with their times and predictions; the cheat sheet is a page."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.chapter import Chapter

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "teachers_guide.md").read_text(encoding="utf-8")

lessons = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a text, without their heads."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return [row for row in found if row[0] not in ("lesson", "prediction", "where")]


def section(title: str) -> str:
    return re.split(r"^##+ ", GUIDE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@lessons
def test_the_time_is_what_the_lesson_says(chapter: Chapter) -> None:
    cells = nbformat.read(ROOT / "notebooks" / chapter.notebook, as_version=4).cells
    told = re.search(r"\*\*Time:\*\* ([^,.]+)", cells[1].source)
    assert told
    (row,) = [row for row in rows(section("Time")) if row[0] == f"[{chapter.title}](../notebooks/{chapter.notebook})"]
    assert row[1] == told[1]
    asked = [*chapter.predictions, *chapter.estimates, *chapter.drawings]
    counts = f"{len(asked)} predictions, {len(chapter.exercises)} exercises, a quiz"
    assert row[3] == (counts if chapter.predictions else "none, a quiz")


@lessons
def test_it_says_what_each_prediction_hunts(chapter: Chapter) -> None:
    told = rows(section(chapter.title))
    asked = (*chapter.predictions, *chapter.estimates, *chapter.drawings)
    assert [row[0] for row in told] == [each.name for each in asked]
    for _, misconception, question in told:
        assert len(misconception.split()) >= 5
        assert question.endswith("?")


def test_it_names_no_lesson_that_there_is_not() -> None:
    titles = {chapter.title for chapter in CHAPTERS}
    assert {row[0].partition("]")[0].removeprefix("[") for row in rows(section("Time"))} == titles
    assert set(re.findall(r"^### (.+)$", GUIDE, re.MULTILINE)) <= titles


def test_the_cheat_sheet_is_a_page() -> None:
    assert len((ROOT / "notebooks" / "cheat_sheet.md").read_text(encoding="utf-8").splitlines()) <= 90
