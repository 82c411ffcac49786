from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from workq_helpers.teaching.check import CheckResult, NotChecked
from workq_helpers.teaching.exercise import Hint, Verdict
from workq_helpers.teaching.outage import Outage
from workq_helpers.teaching.progress import Finish
from workq_helpers.text import Code, paragraph

pytestmark = pytest.mark.pinned  # of the course alone

PROGRAMS = Path(__file__).parents[2] / "notebooks" / "programs"


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


@pytest.mark.parametrize("text", ["✔ one: 'a' < 'b'", "✗ no", "Not yet: 'a' & 'b'", "as it is <b>"])
def test_a_mark_keeps_its_word_beside_its_color(text: str) -> None:
    shown = paragraph(text)
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == text
    assert ("background: #" in shown) == (not text.startswith("as"))


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.name)
def test_code_has_colors_and_stays_the_same_text(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    shown = Code(code)._repr_html_()
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == code
    assert '<span style="color: var(--jp-mirror-editor-keyword-color, #3a8a3a)">import</span>' in shown
    assert shown.count("<span") == shown.count("</span>")


@pytest.mark.parametrize("code", ["", "a = (", "if x:\n  y\n z", "'" * 3, 'f"{a}<b>{{c}}" # é', "\tx\n", "a\x0cb"])
def test_what_is_no_python_is_shown_all_the_same(code: str) -> None:
    assert html.unescape(re.sub("<[^>]*>", "", Code(code)._repr_html_())) == code
