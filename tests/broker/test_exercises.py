from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chapters import EXERCISES
from workq_helpers import Broker, work
from workq_helpers.teaching.exercise import OpenExercise, Verdict
from workq_helpers.teaching.progress import CourseProgress

FOLDER = Path(__file__).with_name("wrong_answers")


class WrongAnswer(NamedTuple):
    """A plausible answer that fails, and a part of the message that it must get."""

    name: str
    message: str
    code: str


def wrong_answers(source: str) -> Iterator[WrongAnswer]:
    text = (FOLDER / f"{Path(source).name}.txt").read_text()
    for name, message, code in re.findall(r"^#: (.*?) \| (.*)\n((?:(?!#: ).*\n?)*)", text, re.MULTILINE):
        yield WrongAnswer(name, message, code)


ALL_WRONG = [(name, wrong) for name, exercise in EXERCISES.items() for wrong in wrong_answers(exercise.source)]


@pytest.fixture(autouse=True)
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CourseProgress:
    monkeypatch.setenv("WORKQ_DATA_DIR", str(tmp_path))
    return CourseProgress()


def tried(name: str, code: str, broker: Broker) -> Verdict:
    """Run an exercise's cell and check what it defines."""
    namespace: dict[str, Any] = {"work": work}
    exec(code, namespace)  # noqa: S102 - our own files, run as a notebook would
    return OpenExercise(EXERCISES[name], broker).check(namespace[EXERCISES[name].hands_in])


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name: str, broker: Broker, progress: CourseProgress) -> None:
    verdict = tried(name, EXERCISES[name].read().solution, broker)
    assert verdict.passed, verdict
    assert progress.done().exercises == {name}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_untouched_exercise_says_not_yet(name: str, broker: Broker, progress: CourseProgress) -> None:
    verdict = tried(name, EXERCISES[name].read().exercise, broker)
    assert not verdict.passed
    assert repr(verdict).startswith("Not yet: ")
    assert not progress.done().exercises


@pytest.mark.parametrize(("name", "wrong"), ALL_WRONG, ids=[f"{name}: {wrong.name}" for name, wrong in ALL_WRONG])
def test_a_wrong_answer_is_diagnosed(name: str, wrong: WrongAnswer, broker: Broker) -> None:
    verdict = tried(name, wrong.code, broker)
    assert not verdict.passed
    assert wrong.message in verdict.saw


@pytest.mark.parametrize("name", EXERCISES)
def test_there_are_wrong_answers_enough_and_each_has_its_own_message(name: str) -> None:
    known = list(wrong_answers(EXERCISES[name].source))
    assert len(known) >= 5, "four, and the untouched exercise"
    assert len({wrong.message for wrong in known}) == len(known)
    assert any(wrong.code.strip() == EXERCISES[name].read().exercise.strip() for wrong in known)


def test_without_a_broker_of_its_own_an_exercise_finds_one(broker: Broker) -> None:
    name = "share the work"
    verdict = OpenExercise(EXERCISES[name]).check(["Tea."])
    assert "are not in your list" in verdict.saw


def test_what_is_no_function_is_refused_in_words(broker: Broker) -> None:
    for name in ("mend the counter", "mend the stalled cook", "serve it once"):
        verdict = OpenExercise(EXERCISES[name], broker).check("callback")
        assert not verdict.passed
        assert "'callback'" in verdict.saw
