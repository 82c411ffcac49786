"""The time line keeps the marks of what was bad, wherever in the recording the picture is."""

from __future__ import annotations

from workq_helpers.stage.frame import StoryLine
from workq_helpers.stage.marks import MOST_MARKS, Marks


def line(number: int, seconds: float = 1.0, text: str = "w was killed") -> StoryLine:
    return {"number": number, "seconds": seconds, "text": text, "mark": "kill"}


def test_an_earlier_moment_takes_no_mark_away_and_no_words() -> None:
    marks = Marks()
    marks.note([line(3), line(7, 2.0, "w was killed: Stew is lost")])
    marks.note([line(3)])
    marks.note([line(7, 1.9)])
    assert [each["text"] for each in marks.shown()] == ["w was killed", "w was killed: Stew is lost"]


def test_the_last_ones_are_shown_in_order() -> None:
    marks = Marks()
    marks.note(line(number) for number in reversed(range(100)))
    assert [each["number"] for each in marks.shown()] == list(range(100 - MOST_MARKS, 100))
