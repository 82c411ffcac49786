from __future__ import annotations

import pytest

from workq_helpers.teaching.check import CheckResult, NotChecked
from workq_helpers.teaching.exercise import Hint, Verdict
from workq_helpers.teaching.outage import Outage
from workq_helpers.teaching.progress import Finish
from workq_helpers.text import paragraph


def test_a_sentence_is_data_and_keeps_its_lines() -> None:
    assert paragraph("<b>\nor & not").endswith('style="white-space: pre-line">&lt;b&gt;\nor &amp; not</p>')


@pytest.mark.parametrize(
    "said",
    [
        CheckResult("backlog", "All <b>done</b>."),
        Verdict("mend it", False, "It <b>died</b>."),
        Hint(1, 2, "Look <b>here</b>."),
        Outage(True, "It was <b>killed</b>."),
        NotChecked("restart", "It <b>runs</b>."),
        Finish("<b>Lesson</b>", (), ()),
    ],
    ids=lambda said: type(said).__name__,
)
def test_whatever_says_a_sentence_shows_it_with_whole_words(said: object) -> None:
    assert said._repr_html_() == paragraph(repr(said))  # type: ignore[attr-defined]  # each has it
    assert "&lt;b&gt;" in said._repr_html_()  # type: ignore[attr-defined]  # as above
