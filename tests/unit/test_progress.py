from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import platformdirs
import pytest

from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.lessons.round_robin import finish
from workq_helpers.teaching import progress as progress_module
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.prediction import Choice, Prediction, Seen
from workq_helpers.teaching.progress import Answered, CourseProgress, Done, Finish, data_folder


@pytest.fixture
def progress(tmp_path: Path) -> CourseProgress:
    return CourseProgress(tmp_path / "data", CHAPTERS)


def test_nothing_is_done_in_the_beginning(progress: CourseProgress) -> None:
    assert progress.done() == Done()
    assert not progress.path.exists(), "looking makes no file"


def test_what_is_done_is_kept(progress: CourseProgress) -> None:
    assert progress.mark_lesson("01_round_robin.ipynb")
    assert progress.mark_exercise("mend the counter")
    assert progress.mark_exercise("mend the counter")
    again = CourseProgress(progress.path.parent)
    assert again.done() == Done(frozenset({"round_robin"}), frozenset({"mend the counter"}))
    assert not again.trouble


def test_a_lesson_that_gets_another_number_stays_done(progress: CourseProgress) -> None:
    progress.path.parent.mkdir()
    kept = {
        "format": "workq course progress",
        "version": 1,
        "lessons": ["03_durability.ipynb", "round_robin"],
        "exercises": [],
    }
    progress.path.write_text(json.dumps(kept))
    assert progress.done().lessons == {"durability", "round_robin"}
    done = {title for title, state, _ in progress.table() if state}
    assert done == {"Durability", "Round robin"}
    assert progress.mark_lesson("04_durability.ipynb")
    assert progress.done().lessons == {"durability", "round_robin"}


def test_it_is_forgotten_on_request(progress: CourseProgress) -> None:
    progress.mark_exercise("mend the counter")
    assert progress.reset() is progress
    assert progress.done() == Done()


BROKEN = {
    "empty": b"",
    "cut off": b'{"format": "workq course pro',
    "not text": b"\xff\xfe\x00",
    "no object": b"[1, 2]",
    "somebody else's": b'{"format": "shopping list", "version": 1}',
    "a later version": b'{"format": "workq course progress", "version": 2, "lessons": [], "exercises": []}',
    "no lists": b'{"format": "workq course progress", "version": 1, "lessons": 3, "exercises": []}',
    "no names": b'{"format": "workq course progress", "version": 1, "lessons": [3], "exercises": []}',
    **{
        f"answers are {answered}": b'{"format": "workq course progress", "version": 1, "lessons": [], "exercises": [], '
        b'"answered": %s}' % answered.encode()
        for answered in ("3", "[3]", "[{}]", '[{"lesson": "a", "question": "b", "answers": []}]')
    },
    "a shuffle key of another kind": b'{"format": "workq course progress", "version": 1, "lessons": [], '
    b'"exercises": [], "shuffle_key": 3}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_or_foreign_file_stops_nothing_and_is_kept_aside(progress: CourseProgress, content: bytes) -> None:
    progress.path.parent.mkdir()
    progress.path.write_bytes(content)
    assert progress.done() == Done()
    assert str(progress.path) in progress.trouble
    assert "nothing counts as done" in repr(progress)
    assert progress.mark_lesson("01_round_robin.ipynb")
    assert progress.done().lessons == {"round_robin"}
    assert not progress.trouble
    assert progress.path.with_suffix(".json.set-aside").read_bytes() == content


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    progress = CourseProgress(tmp_path / "file")
    assert not progress.mark_lesson("01_round_robin.ipynb")
    assert "could not be kept" in progress.trouble
    assert "the lesson goes on without" in repr(finish(progress, frozenset({"round robin", "backlog"})))


def test_a_lock_that_somebody_keeps_stops_nothing(progress: CourseProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_LOCK_SECONDS", 0.0)
    progress.mark_lesson("01_round_robin.ipynb")
    with filelock.FileLock(progress.path.with_suffix(".lock")):
        assert not progress.mark_exercise("mend the counter")
    assert "could not be kept" in progress.trouble
    assert progress.done().lessons == {"round_robin"}


def test_a_write_that_fails_leaves_the_old_file(progress: CourseProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.mark_lesson("01_round_robin.ipynb")
    before = progress.path.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert not progress.mark_exercise("mend the counter")
    assert progress.path.read_text() == before
    assert sorted(each.name for each in progress.path.parent.iterdir()) == ["progress.json", "progress.lock"]


_MARK_MANY = """
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.prediction import Choice, Prediction, Seen
from workq_helpers.teaching.progress import CourseProgress
for number in range(20):
    CourseProgress(Path(sys.argv[1])).mark_exercise(f"{sys.argv[2]}{number}")
"""


def test_two_notebooks_lose_none_of_each_others_entries(tmp_path: Path) -> None:
    notebooks = [subprocess.Popen([sys.executable, "-c", _MARK_MANY, str(tmp_path), prefix]) for prefix in "ab"]
    assert [notebook.wait() for notebook in notebooks] == [0, 0]
    assert len(CourseProgress(tmp_path).done().exercises) == 40


def test_the_table_names_every_lesson_and_exercise(progress: CourseProgress) -> None:
    progress.mark_lesson("01_round_robin.ipynb")
    progress.mark_exercise("mend the counter")
    shown = progress._repr_mimebundle_()
    for chapter in CHAPTERS:
        assert chapter.title in shown["text/plain"]
        assert f'href="{chapter.notebook}"' in shown["text/html"]
    assert re.search(r"^Round robin +seen  share the work, mend the counter ✔$", shown["text/plain"], re.MULTILINE)
    assert "mend the counter ✔" in shown["text/html"]


def test_a_lesson_is_seen_once_its_checks_have_passed(progress: CourseProgress) -> None:
    told = finish(progress, frozenset({"round robin"}))
    assert repr(told) == (
        "Not yet: the check 'backlog' has not passed. Run the cells of 'A worker that comes late', from the first on. "
        "Seen: 1 of 2. Predicted: 0 of 5, not in 'Two workers', 'Three workers, and more', "
        "'A worker that comes late', 'A backlog that can be shared'. "
        "Exercised: 0 of 2, left: share the work, mend the counter."
    )
    assert repr(Finish("Any", ("a check",), ())).endswith("has not passed. Run the cells above, from the top.")
    assert not progress.done().lessons
    told = finish(progress, frozenset({"round robin", "backlog"}))
    assert repr(told).startswith("✔ Round robin: seen. Predicted: 0 of 5")
    assert progress.done().lessons == {"round_robin"}


def test_what_was_seen_predicted_and_exercised_is_told_apart(progress: CourseProgress) -> None:
    def observe(lesson: Any) -> Seen:
        if not lesson.run:
            raise CheckFailedError("Run it first.")
        return Seen(0, "So it was.")

    choices = (Choice("Yes.", "So it is."), Choice("No.", "It isn't."))
    asked = tuple(
        Prediction(name, "Is it?", choices, observe, section)
        for name, section in (("a", "One"), ("b", "Two"), ("c", ""))
    )
    chapter = Chapter("Any", "01_any.ipynb", predictions=asked, optional=frozenset({"c"}))
    assert repr(chapter.finish(progress)) == "✔ Any: seen. Predicted: 0 of 2, not in 'One', 'Two'."
    lesson: Any = SimpleNamespace(log=None, run=False)
    chapter.predict(lesson, "a", answer="a")
    assert repr(chapter.finish(progress)) == "✔ Any: seen. Predicted: 1 of 2, not in 'Two'."
    lesson.run = True
    chapter.predict(lesson, "b", answer="a")
    assert "Predicted: 1 of 2, not in 'Two'." in repr(chapter.finish(progress)), "that was no prediction"
    chapter.predict(lesson, "a", answer="a", why="as I said")
    assert "Predicted: 1 of 2" in repr(chapter.finish(progress))


def test_who_has_done_all_of_it_is_told_so() -> None:
    ways = {"predictions": 6, "exercises": 2}
    assert repr(Finish("Any", (), (), checks=2)) == "✔ Any: seen."
    assert repr(Finish("Any", (), (), checks=2, **ways)) == "✔ Any: seen, predicted and exercised."
    assert repr(Finish("Any", (), ("a",), checks=2, **ways)) == "✔ Any: seen and predicted. Exercised: 1 of 2, left: a."


def test_it_lies_in_the_users_data_folder_or_where_the_environment_says() -> None:
    assert data_folder({}) == platformdirs.user_data_path("workq", appauthor=False)
    assert data_folder({"WORKQ_DATA_DIR": "/somewhere"}) == Path("/somewhere")
    with pytest.raises(InvalidArgumentError, match="relative"):
        data_folder({"WORKQ_DATA_DIR": "here"})


def test_the_file_says_what_it_is(progress: CourseProgress) -> None:
    progress.mark_lesson("01_round_robin.ipynb")
    assert json.loads(progress.path.read_text()) == {
        "format": "workq course progress",
        "version": 1,
        "lessons": ["round_robin"],
        "exercises": [],
        "answered": [],
        "shuffle_key": "",
    }


def test_what_quizzes_were_answered_with_is_kept_in_order(progress: CourseProgress) -> None:
    key = progress.shuffle_key()
    for question, answer in (("late helper", "It helps."), ("size", "No."), ("late helper", "It does not.")):
        assert progress.mark_answer("Round robin", question, answer)
    again = CourseProgress(progress.path.parent)
    assert again.done().answered == (
        Answered("Round robin", "size", ("No.",)),
        Answered("Round robin", "late helper", ("It helps.", "It does not.")),
    )
    assert again.shuffle_key() == key != ""


def test_a_file_of_before_there_were_quizzes_is_read(progress: CourseProgress) -> None:
    progress.path.parent.mkdir()
    progress.path.write_text(
        '{"format": "workq course progress", "version": 1, "lessons": ["a.ipynb"], "exercises": ["b"]}'
    )
    assert progress.done() == Done(frozenset({"a"}), frozenset({"b"}))
    assert not progress.trouble
