from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.log.events import EventLog
from workq_helpers.log.experiments import Experiments
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.estimate import Counted, Estimate, Number

pytestmark = pytest.mark.pinned  # of the course alone


def observe(lesson: Any) -> Counted:
    if not lesson.run:
        raise CheckFailedError("Run the experiment first.")
    return Counted(4, "worker-1 did <4>.")


ESTIMATES = tuple(Estimate(f"within {off}", "How <many>?", off, "So it is.", observe, "Here") for off in (0, 1))
ALL = [estimate for chapter in CHAPTERS for estimate in chapter.estimates]
assert ALL


@pytest.fixture
def chapter() -> Iterator[Chapter]:
    yield Chapter("Kitchen", "01_kitchen.ipynb", estimates=ESTIMATES)
    ipywidgets.Widget.close_all()


@pytest.mark.parametrize(
    ("name", "answer", "right"),
    [
        ("within 0", 4, True),
        ("within 0", 5, False),
        ("within 1", 5, True),
        ("within 1", 3, True),
        ("within 1", 6, False),
    ],
)
def test_a_number_is_right_within_the_tolerance_that_is_said(
    chapter: Chapter, name: str, answer: float, right: bool
) -> None:
    lesson: Any = SimpleNamespace(log=None, run=False)
    form = chapter.estimate(lesson, name, answer=answer)
    said = "at most 1 off" if name == "within 1" else "the exact number"
    assert said in repr(form)
    lesson.run = True
    told = chapter.measured(lesson, name)
    assert told.right is right
    mark = "✔ You predicted it: 4" if right else "✗ It came out differently: 4"
    assert mark in repr(told)
    assert said in repr(told)
    assert "worker-1 did &lt;4&gt;." in told._repr_mimebundle_()["text/html"]


def test_its_experiment_is_replayed_on_the_stage(chapter: Chapter) -> None:
    log = EventLog()
    lesson: Any = SimpleNamespace(log=None, run=False, name="the kitchen", experiments=Experiments(log))
    log.record("published", "notebook")
    chapter.estimate(lesson, "within 1")
    assert "Replay" not in chapter.measured(lesson, "within 1")._repr_mimebundle_()["text/html"]
    lesson.run = True
    log.record("published", "notebook")
    told = chapter.measured(lesson, "within 1")._repr_mimebundle_()["text/html"]
    assert '<a href="#workq-replay/the%20kitchen/within%201">' in told
    assert lesson.experiments.span("within 1").end_seconds == log[1].seconds


def test_a_number_after_the_experiment_is_marked_as_such(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=True)
    assert "None this time." in repr(chapter.measured(lesson, "within 1"))
    form = chapter.estimate(lesson, "within 1", answer=4)
    assert form.answer == Number(4, late=True)
    assert form.widget().children[1].value.startswith("Noted: 4, after the experiment.")
    compared = repr(chapter.measured(lesson, "within 1"))
    assert "4 (given after the experiment)" in compared
    assert "You predicted it" not in compared


@pytest.mark.parametrize("answer", ["four", "", "nan", "inf", [4], pytest.param(10**5000, id="huge"), 1j, "1,5"])
def test_what_is_no_number_is_refused(chapter: Chapter, answer: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Pass a number"):
        chapter.estimate(SimpleNamespace(log=None, run=False), "within 1", answer=answer)  # type: ignore[arg-type]


def test_the_form_takes_a_number_down_and_remembers_it(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=False)
    form = chapter.estimate(lesson, "within 1")
    field, noted, _style = form.widget().children
    assert noted.value.startswith("Write a number before you run the experiment")
    field.value = "many"
    assert noted.value == "The answer is 'many'. Pass a number, such as 3 or 0.5."
    assert form.answer is None
    field.value = " 4.5 "
    assert noted.value.startswith("Noted: 4.5.")
    assert form.answer == Number(4.5)
    assert chapter.estimate(lesson, "within 1").widget().children[0].value == "4.5"
    assert "workq-form" in form.widget()._dom_classes


def test_without_a_field_the_call_that_takes_a_number_is_shown(chapter: Chapter) -> None:
    shown = chapter.estimate(SimpleNamespace(log=None, run=False), "within 1")._as_html()  # type: ignore[arg-type]
    assert "<code>estimate(lesson, &quot;within 1&quot;, answer=1)</code>" in shown


def test_an_unknown_question_is_answered_with_the_known_ones(chapter: Chapter) -> None:
    for call in (chapter.estimate, chapter.measured):
        with pytest.raises(InvalidArgumentError, match="'within 0', 'within 1'"):
            call(SimpleNamespace(log=None, run=False), "cellar")  # type: ignore[arg-type]


@pytest.mark.parametrize("estimate", ALL, ids=lambda estimate: estimate.name)
def test_each_number_of_the_course_is_asked_for_completely(estimate: Estimate) -> None:
    assert estimate.question.endswith("?")
    assert estimate.why.endswith(".")
    assert estimate.section
    with pytest.raises(CheckFailedError):
        estimate.observe(SimpleNamespace(log=EventLog(), workers=[], programs=[], queue_counts=dict))  # type: ignore[arg-type]
