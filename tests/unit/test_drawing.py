from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.pictures.palette import DRAWN
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.drawing import Drawing

TASKS = ("Roast...", "Tea.", "<Soup>..")
WORKERS = ("worker-1", "worker-2")


def observe(lesson: Any) -> Mapping[str, str]:
    if not lesson.run:
        raise CheckFailedError("Send the orders first.")
    return dict(zip(TASKS, ("worker-1", "worker-2", "worker-2"), strict=True))


@pytest.fixture
def chapter() -> Iterator[Chapter]:
    drawing = Drawing("evening", "Who cooks <what>?", TASKS, WORKERS, "So it is.", observe, "Here")
    yield Chapter("Kitchen", "01_kitchen.ipynb", drawings=(drawing,))
    ipywidgets.Widget.close_all()


def test_a_drawing_stands_beside_what_came_of_it(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=False)
    chapter.draw(lesson, "evening", answer="121")
    lesson.run = True
    told = chapter.drawn(lesson, "evening")
    assert told._repr_mimebundle_()["text/html"].count(f'class="{DRAWN}"') == 6  # its bars follow a dark theme
    assert told.right == 2
    assert [row[1:] for row in told.rows()] == [
        ("worker-1", "worker-1", "✔"),
        ("worker-2", "worker-2", "✔"),
        ("worker-1", "worker-2", "✗"),
    ]
    assert "2 of 3 came as you drew them. So it is." in repr(told)
    shown = told._repr_mimebundle_()["text/html"]
    assert "Who cooks &lt;what&gt;?" in shown
    assert "<Soup>" not in shown


def test_before_the_experiment_nothing_is_given_away(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=False)
    told = chapter.drawn(lesson, "evening")
    assert told.right is None
    for text in told._repr_mimebundle_().values():
        assert "Nothing to compare with yet. Send the orders first." in text
        assert "So it is." not in text


def test_what_is_drawn_after_the_experiment_is_late_and_counts_as_not_predicted(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=True)
    *_, noted, _, _ = chapter.draw(lesson, "evening", answer="122").widget().children
    assert noted.value == "Noted, after the experiment. Run its section again to predict it."
    assert "3 of 3 came as you drew them (drawn after the experiment)" in repr(chapter.drawn(lesson, "evening"))
    assert chapter.finish(passed=()).not_predicted == ("Here",)


def test_buttons_draw(chapter: Chapter) -> None:
    lesson: Any = SimpleNamespace(log=None, run=False)
    form = chapter.draw(lesson, "evening")
    *rows, picture, noted, _, _ = form.widget().children
    assert [row.description for row in rows] == list(TASKS)
    assert "3 to go" in noted.value
    for row, worker in zip(rows, ("worker-1", "worker-1", "worker-2"), strict=True):
        row.value = worker
    assert form.answer is not None
    assert form.answer.workers == dict(zip(TASKS, ("worker-1", "worker-1", "worker-2"), strict=True))
    assert noted.value.startswith("Noted.")
    assert "&lt;Soup&gt;" in picture.value
    again = chapter.draw(lesson, "evening").widget().children
    assert [row.value for row in again[:3]] == ["worker-1", "worker-1", "worker-2"]


@pytest.mark.parametrize("answer", ["", "12", "1231", "123", "ab1", 121, ["1"] * 3, pytest.param(10**5000, id="huge")])
def test_a_text_that_is_no_drawing_is_refused_with_what_would_be_one(chapter: Chapter, answer: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="a text of 3 digits, one for each task in their order: 1 or 2"):
        chapter.draw(SimpleNamespace(log=None, run=False), "evening", answer=answer)  # type: ignore[arg-type]


def test_each_drawing_of_the_course_can_be_made() -> None:
    drawings = [each for chapter in CHAPTERS for each in chapter.drawings]
    assert drawings
    for each in drawings:
        assert each.section
        assert each.question.endswith("?")
        assert len(set(each.tasks)) == len(each.tasks)
        assert each.read("1" * len(each.tasks))
