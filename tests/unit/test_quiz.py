"""The quiz of a lesson: its questions, what comes back of earlier ones, and what is said of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.prediction import Choice
from workq_helpers.teaching.progress import Answered, CourseProgress
from workq_helpers.teaching.question import Question
from workq_helpers.teaching.quiz import COMING_BACK, Asked, Quiz, coming_back
from workq_helpers.teaching.quiz_form import QuizForm

ROOT = Path(__file__).parents[2]
QUESTIONS = [Asked(question, lesson.title) for lesson in CHAPTERS for question in lesson.questions]


def question(name: str) -> Question:
    wrong = (Choice(f"Not {name}.", f"{name} is <b>right</b>."), Choice(f"Never {name}.", f"{name} would be right."))
    return Question(name, f"What is {name}?", Choice(f"It is {name}.", f"Because of {name}."), wrong, "A section")


def chapter(number: int, *names: str) -> Chapter:
    return Chapter(f"Lesson {number}", f"0{number}_lesson.ipynb", questions=tuple(map(question, names)))


COURSE = (chapter(0, "a1", "a2"), chapter(1, "b1", "b2"), chapter(2, "c1"), chapter(3, "d1"))


@pytest.fixture(autouse=True)
def course(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Chapter, "course", COURSE)
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture
def progress(tmp_path: Path) -> CourseProgress:
    return CourseProgress(tmp_path / "data")


def names(quiz: Quiz) -> list[str]:
    return [asked.question.name for asked in quiz.asked]


def ask(number: int, progress: CourseProgress, *answers: str) -> Quiz:
    return COURSE[number].quiz(*answers, progress=progress).quiz


def answer(quiz: Quiz, name: str, text: str) -> None:
    number = names(quiz).index(name)
    quiz.answer(number, [choice.text for choice in quiz.choices(number)].index(text))


def told(quiz: Quiz, name: str) -> str:
    return quiz.feedback(names(quiz).index(name))


# -- what is said of an answer


@pytest.mark.parametrize(
    ("text", "feedback"),
    [
        ("It is a1.", "✔ Right. Because of a1. Seen in the section 'A section'."),
        ("Not a1.", "✗ No. a1 is <b>right</b>. Seen in the section 'A section'."),
        ("Never a1.", "✗ No. a1 would be right. Seen in the section 'A section'."),
    ],
)
def test_each_choice_has_its_feedback(progress: CourseProgress, text: str, feedback: str) -> None:
    quiz = ask(0, progress)
    assert told(quiz, "a1") == ""
    answer(quiz, "a1", text)
    assert told(quiz, "a1") == feedback
    assert told(quiz, "a2") == ""


def test_of_an_earlier_lesson_it_is_said_which(progress: CourseProgress) -> None:
    quiz = ask(1, progress)
    answer(quiz, "a2", "It is a2.")
    assert told(quiz, "a2").endswith("Seen in the section 'A section' of the lesson 'Lesson 0'.")
    assert "Again, from 'Lesson 0': What is a2?" in quiz.heading(names(quiz).index("a2"))
    assert quiz.summary() == "A quiz of 2 questions, and 2 of earlier lessons."


def test_a_learner_may_try_another_choice(progress: CourseProgress) -> None:
    quiz = ask(0, progress)
    answer(quiz, "a1", "Not a1.")
    answer(quiz, "a1", "It is a1.")
    assert told(quiz, "a1").startswith("✔")
    assert progress.done().answered == (Answered("Lesson 0", "a1", ("Not a1.", "It is a1.")),)


def test_what_cannot_be_kept_is_told_and_the_quiz_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    quiz = ask(0, CourseProgress(tmp_path / "file"))
    answer(quiz, "a1", "It is a1.")
    assert told(quiz, "a1").startswith("✔ Right. Because of a1.")
    assert "could not be kept" in told(quiz, "a1")


# -- the order of the choices


def test_choices_are_shuffled_by_learner_and_stay_so(tmp_path: Path) -> None:
    learners = [CourseProgress(tmp_path / str(number)) for number in range(20)]
    orders = [ask(0, learner).choices(0) for learner in learners]
    assert orders == [ask(0, CourseProgress(learner.path.parent)).choices(0) for learner in learners]
    assert len(set(orders)) > 1
    assert {order.index(question("a1").right) for order in orders} == {0, 1, 2}
    assert {frozenset(order) for order in orders} == {frozenset(orders[0])}


def test_where_nothing_can_be_kept_they_stay_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lost = CourseProgress(tmp_path / "file")
    assert ask(0, lost).choices(0) == ask(0, lost).choices(0)


# -- what comes back


def test_the_first_lesson_asks_its_own_alone(progress: CourseProgress) -> None:
    assert names(ask(0, progress)) == ["a1", "a2"]
    assert ask(0, progress).summary() == "A quiz of 2 questions."


def test_whoever_begins_later_is_asked_from_the_beginning(progress: CourseProgress) -> None:
    assert names(ask(3, progress)) == ["d1", "a1", "a2", "b1"]


def test_what_was_missed_comes_first_then_what_was_answered_longest_ago(progress: CourseProgress) -> None:
    first = ask(0, progress)
    answer(first, "a2", "It is a2.")
    answer(first, "a1", "It is a1.")
    second = ask(1, progress)
    for name in ("b1", "a1"):
        answer(second, name, f"It is {name}.")
    answer(second, "b2", "Not b2.")
    answer(second, "b2", "It is b2.")  # the first answer shows what was known
    answer(second, "a2", "It is a2.")
    assert names(ask(2, progress)) == ["c1", "a1", "b1", "b2"], "b2 was missed, b1 and a1 are longer ago than a2"


def test_the_questions_stay_while_they_are_answered(progress: CourseProgress) -> None:
    for number in range(2):
        for name in names(ask(number, progress)):
            answer(ask(number, progress), name, f"It is {name}.")
    before = names(ask(3, progress))
    for name in reversed(before):
        answer(ask(3, progress), name, f"Not {name}.")
        assert names(ask(3, progress)) == before
        assert told(ask(3, progress), name).startswith("✗"), "what was answered is there when the cell runs again"


def test_a_question_that_comes_back_is_open_again(progress: CourseProgress) -> None:
    answer(ask(0, progress), "a1", "It is a1.")
    assert told(ask(1, progress), "a1") == ""
    assert told(ask(0, progress), "a1").startswith("✔")


def test_running_a_cell_with_answers_again_changes_nothing(progress: CourseProgress) -> None:
    ask(0, progress, "a", "b")
    before = progress.path.read_text()
    ask(0, progress, "a", "b")
    assert progress.path.read_text() == before


def answers(*given: tuple[str, Sequence[str]]) -> list[Answered]:
    return [Answered("Lesson 0", name, tuple(texts)) for name, texts in given]


def test_no_clock_decides_what_comes_back() -> None:
    earlier = [Asked(question(name), "Lesson 0") for name in "vwxyz"]
    right = [(name, [f"It is {name}."]) for name in "zyxwv"]
    assert [each.question.name for each in coming_back(earlier, answers(*right), "later")] == ["x", "y", "z"]
    missed = answers(*right[:4], ("v", ["Not v.", "It is v."]))
    assert [each.question.name for each in coming_back(earlier, missed, "later")] == ["v", "y", "z"]
    assert COMING_BACK == 3


def test_a_question_that_is_gone_stops_nothing(progress: CourseProgress) -> None:
    progress.mark_answer("Lesson 0", "gone", "It is gone.")
    progress.mark_answer("Lesson 0", "a1", "A choice that is gone.")
    quiz = ask(0, progress)
    assert names(quiz) == ["a1", "a2"]
    assert told(quiz, "a1") == ""


# -- by typing


def test_answers_may_be_typed(progress: CourseProgress) -> None:
    quiz = ask(0, progress, "", "B")
    assert quiz.given(0) is None
    assert quiz.given(1) == 1
    assert f"   Your answer: B.\n   {quiz.feedback(1)}" in repr(QuizForm(quiz))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["d"], "question 1 is 'd'. Pass one of the letters a, b, c"),
        (["a", "ab"], "question 2 is 'ab'"),
        ([1], "question 1 is 1"),
        ([None], "question 1 is None"),
        ([["a", "b"]], r"question 1 is \['a', 'b'\]"),
        ([10**5000], "question 1 is a value of type int"),
        (["a", "b", "c"], "3 answers, and the quiz has 2 questions"),
    ],
)
def test_an_answer_that_there_is_not_is_refused_and_none_is_kept(
    progress: CourseProgress, typed: list[Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        ask(0, progress, *typed)
    assert progress.done().answered == ()


# -- in a notebook


def parts(form: QuizForm, number: int) -> tuple[Any, Any, Any, Any]:
    text, buttons, button, said = form.widget().children[number].children
    return text, buttons, button, said


def test_an_answer_counts_when_its_button_is_pressed(progress: CourseProgress) -> None:
    form = COURSE[0].quiz(progress=progress)
    text, buttons, button, said = parts(form, 0)
    assert "1. What is a1?" in text.value
    assert [label for label, _ in buttons.options] == [choice.text for choice in form.quiz.choices(0)]
    assert (buttons.value, said.value) == (None, "")
    button.click()
    assert "Choose one first." in said.value
    for at in range(3):  # as the arrow keys do
        buttons.value = at
    assert progress.done().answered == ()
    button.click()
    assert 'role="status"' in said.value
    assert form.quiz.given(0) == 2
    assert len(progress.done().answered) == 1


def test_the_form_shows_what_was_answered_when_its_cell_runs_again(progress: CourseProgress) -> None:
    ask(0, progress, "c")
    form = COURSE[0].quiz(progress=progress)
    _, buttons, _, said = parts(form, 0)
    assert buttons.value == 2
    assert "Because of a1" in said.value or "a1 is &lt;b&gt;right" in said.value or "a1 would be" in said.value


def test_a_notebook_shows_the_quiz_without_widgets_too(
    progress: CourseProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda what, **_: shown.append(what))
    COURSE[1].quiz(progress=progress)._ipython_display_()
    plain, widget = shown
    assert list(widget) == ["application/vnd.jupyter.widget-view+json"]
    for text in ("What is b1?", "It is b1.", "Never b1.", "What is a2?"):
        assert text in plain["text/plain"]
        assert text in plain["text/html"]
    assert "No buttons below?" in plain["text/html"]
    assert not [why for why in ("Because", "<b>", "&lt;b", "would be") if why in str(plain)], "no answer is given away"


# -- the questions of the course


@pytest.mark.text
@pytest.mark.parametrize("asked", QUESTIONS, ids=[each.question.name for each in QUESTIONS])
def test_each_question_of_the_course_is_complete(asked: Asked) -> None:
    known = asked.question
    choices = (known.right, *known.wrong)
    assert 2 <= len(known.wrong) <= 3
    assert len({choice.text for choice in choices}) == len(choices)
    for text in (known.question, *(text for choice in choices for text in choice)):
        assert text.endswith((".", "?")), text


@pytest.mark.text
def test_no_two_questions_of_the_course_have_one_name() -> None:
    assert len({each.question.name for each in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.text
@pytest.mark.parametrize("lesson", CHAPTERS, ids=lambda lesson: lesson.title)
def test_a_quiz_is_about_what_its_lesson_shows(lesson: Chapter) -> None:
    cells = nbformat.read(ROOT / "notebooks" / lesson.notebook, as_version=4).cells
    titles = {cell.source.splitlines()[0].removeprefix("## ") for cell in cells if cell.cell_type == "markdown"}
    assert not lesson.questions or 3 <= len(lesson.questions) <= 5
    assert {question.section for question in lesson.questions} <= titles
