from __future__ import annotations

import pytest

from tests.chapters import EXERCISES
from workq_helpers.errors import InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.lessons.round_robin import exercise
from workq_helpers.teaching.exercise import Exercise, OpenExercise, Verdict
from workq_helpers.teaching.help_buttons import HelpButtons
from workq_helpers.teaching.source import derive
from workq_helpers.text import Code

TEXT = """# For authors.
#: cell
def callback(ch):
    #: exercise
    #| # Something is missing here.
    #|
    #| pass
    #: solution
    # Now it is here.
    ch.basic_ack()

    #: end
    return
"""


def test_exercise_and_solution_come_from_one_text() -> None:
    source = derive(TEXT)
    assert source.exercise == "def callback(ch):\n    # Something is missing here.\n\n    pass\n    return"
    assert source.solution == "def callback(ch):\n    # Now it is here.\n    ch.basic_ack()\n\n    return"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "needs a line '#: cell'"),
        ("#: cell\n#: answer\n", "'#: answer' is no mark"),
        ("#: cell\n#: end\n", "'#: end' is no mark, or out of place"),
        ("#: cell\n#: exercise\nx = 1\n#: end\n", "must begin with '#|'"),
        ("#: cell\n#: solution\nx = 1\n", "'#: solution' begins has no '#: end'"),
    ],
)
def test_a_faulty_source_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        derive(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("known", EXERCISES.values(), ids=list(EXERCISES))
def test_each_exercise_of_the_course_is_complete(known: Exercise) -> None:
    source = known.read()
    assert source.exercise != source.solution
    for code, most in zip(source, (10, 15), strict=True):
        compile(code, known.source, "exec")
        lines = code.splitlines()
        assert len(lines) <= most
        assert max(map(len, lines)) <= 100
        assert not any(line.strip().startswith(("#:", "#|")) for line in lines)
    assert len(known.hints) >= 2
    assert not any(hint in source.exercise for hint in known.hints)
    assert all(hint.endswith((".", "?")) for hint in known.hints)


def test_every_lesson_with_exercises_has_two() -> None:
    with_exercises = [chapter for chapter in CHAPTERS if chapter.notebook != "00_start_here.ipynb"]
    assert with_exercises
    for chapter in with_exercises:
        assert len(chapter.exercises) >= 2
        assert any(each.name.startswith("mend ") for each in chapter.exercises), "one worker to mend"


def test_hints_come_one_after_another() -> None:
    known = EXERCISES["mend the counter"]
    opened = OpenExercise(known)
    hints = [opened.hint() for _ in range(len(known.hints) + 1)]
    assert [hint.text for hint in hints] == [*known.hints, known.hints[-1]]
    assert repr(hints[0]) == f"Hint 1 of {len(known.hints)}: {known.hints[0]}"
    assert repr(hints[-1]).endswith("That was the last one; solution() shows a way.")


def test_hints_go_on_in_another_cell() -> None:
    first = exercise("share the work").hint()
    assert exercise("share the work").hint().number == first.number + 1


def test_the_solution_is_shown_as_code_to_whoever_asks() -> None:
    opened = OpenExercise(EXERCISES["mend the counter"])
    assert "solution() shows a way" in repr(opened)
    assert 'b"."' not in repr(opened)
    shown = opened.solution()
    assert repr(shown) == EXERCISES["mend the counter"].read().solution
    assert (
        Code("a < b")._repr_html_()
        == '<pre style="overflow-x: auto; margin: 0"><code style="white-space: pre">a &lt; b</code></pre>'
    )


def test_a_verdict_is_a_sentence() -> None:
    assert repr(Verdict("mend it", True, "It works.")) == "✔ mend it: It works."
    assert repr(Verdict("mend it", False, "It doesn't.")) == "Not yet: It doesn't."


def test_an_exercise_that_is_not_solved_offers_its_hints_and_its_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    opened = OpenExercise(EXERCISES["mend the counter"])
    Verdict("mend the counter", False, "It dies.", opened)._ipython_display_()
    told, buttons = shown
    assert told["text/plain"] == "Not yet: It dies."
    assert list(buttons) == ["application/vnd.jupyter.widget-view+json"], "nothing where there are no widgets"
    shown.clear()
    Verdict("mend the counter", True, "It works.", opened)._ipython_display_()
    assert [list(bundle) for bundle in shown] == [["text/plain", "text/html"]]


def test_the_buttons_show_what_the_methods_return() -> None:
    known = EXERCISES["mend the counter"]
    buttons = HelpButtons(OpenExercise(known).hint, OpenExercise(known).solution)
    buttons.hint.click()
    assert f"Hint 1 of {len(known.hints)}" in buttons.shown.value
    buttons.solution.click()
    assert buttons.shown.value == OpenExercise(known).solution()._repr_html_()


@pytest.mark.parametrize("name", ["mend the sink", None])
def test_an_unknown_exercise_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="'mend the counter'"):
        exercise(name)
