from __future__ import annotations

import itertools
import linecache
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chapters import EXERCISES
from workq_helpers import Broker, work
from workq_helpers.teaching.exercise import OpenExercise, Verdict
from workq_helpers.teaching.progress import CourseProgress

pytestmark = pytest.mark.once  # the notebooks run each solution on every version

FOLDER = Path(__file__).with_name("wrong_answers")
RIGHT = Path(__file__).with_name("right_answers")

_cells = itertools.count(1)


class WrongAnswer(NamedTuple):
    """A plausible answer that fails, and a part of the message that it must get."""

    name: str
    message: str
    code: str


def wrong_answers(source: str) -> Iterator[WrongAnswer]:
    text = (FOLDER / f"{Path(source).name}.txt").read_text()
    for name, message, code in re.findall(r"^#: (.*?) \| (.*)\n((?:(?!#: ).*\n?)*)", text, re.MULTILINE):
        yield WrongAnswer(name, message, code)


def right_answers(source: str) -> list[tuple[str, str]]:
    """Return answers that look unlike the solution and do what was asked, with a name each."""
    text = (RIGHT / f"{Path(source).name}.txt").read_text()
    return re.findall(r"^#: (.*)\n((?:(?!#: ).*\n?)*)", text, re.MULTILINE)


def all_wrong() -> Iterator[Any]:
    """Yield the wrong answers to each exercise; one is tried before a change lands, and all of them each night."""
    for name, exercise in EXERCISES.items():
        for number, wrong in enumerate(wrong_answers(exercise.source)):
            yield pytest.param(name, wrong, id=f"{name}: {wrong.name}", marks=at_night(number))


def all_right() -> Iterator[Any]:
    """Yield the unusual right answers likewise."""
    for name, exercise in EXERCISES.items():
        for number, (how, code) in enumerate(right_answers(exercise.source)):
            yield pytest.param(name, code, id=f"{name}: {how}", marks=at_night(number))


def at_night(number: int) -> list[pytest.MarkDecorator]:
    """Return the mark of what is not the first of its kind."""
    return [pytest.mark.nightly] if number else []


@pytest.fixture(autouse=True)
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CourseProgress:
    monkeypatch.setenv("WORKQ_DATA_DIR", str(tmp_path))
    return CourseProgress()


def tried(name: str, code: str, broker: Broker, **names: Any) -> Verdict:
    """Run an exercise's cell, for which more names may be there, and check what it defines."""
    namespace: dict[str, Any] = {"work": work, "__name__": "__main__", **names}
    cell = f"<cell {next(_cells)}>"
    linecache.cache[cell] = len(code), None, code.splitlines(keepends=True), cell  # as IPython keeps what was run
    exec(compile(code, cell, "exec"), namespace)  # noqa: S102 - our own files, run as a notebook would
    try:
        return OpenExercise(EXERCISES[name], broker).check(namespace[EXERCISES[name].hands_in])
    finally:
        for pool in (value for value in namespace.values() if isinstance(value, Executor)):
            pool.shutdown()  # a notebook keeps it


#: Those whose check waits for the answer's function itself.
CALLED = (
    *("keep your word", "mend the hoarder", "write a consumer", "outlast the outage", "mend the outbox"),
    *("keep the line open", "mend the clinging publisher", "count the votes"),
)


@pytest.mark.parametrize("name", [pytest.param(name, marks=at_night(number)) for number, name in enumerate(CALLED)])
def test_who_interrupts_a_check_gets_no_verdict(name: str, broker: Broker) -> None:
    known = EXERCISES[name]
    code = f"""
import os, signal, time
def {known.hands_in}({known.parameters}):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(0.05)
"""
    with pytest.raises(KeyboardInterrupt):
        tried(name, code, broker)


@pytest.mark.nightly  # in the gate the notebooks hand in each solution
@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name: str, broker: Broker, progress: CourseProgress) -> None:
    verdict = tried(name, EXERCISES[name].read().solution, broker)
    assert verdict.passed, verdict
    assert progress.done().exercises == {name}


@pytest.mark.parametrize(("name", "code"), list(all_right()))
def test_an_unusual_right_answer_passes(name: str, code: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its work must last until its worker is killed, as a learner's does.
    if "threading" in code or "futures" in code:
        monkeypatch.setenv("WORKQ_SECONDS_PER_DOT", "0.25")
    verdict = tried(name, code, broker)
    assert verdict.passed, verdict


@pytest.mark.parametrize("name", EXERCISES)
def test_the_untouched_exercise_says_not_yet(name: str, broker: Broker, progress: CourseProgress) -> None:
    verdict = tried(name, EXERCISES[name].read().exercise, broker)
    assert not verdict.passed
    assert repr(verdict).startswith("Not yet: ")
    assert not progress.done().exercises


@pytest.mark.parametrize(("name", "wrong"), list(all_wrong()))
def test_a_wrong_answer_is_diagnosed(name: str, wrong: WrongAnswer, broker: Broker) -> None:
    verdict = tried(name, wrong.code, broker)
    assert not verdict.passed
    assert wrong.message in verdict.saw, verdict


@pytest.mark.parametrize("name", EXERCISES)
def test_there_are_wrong_answers_enough_and_each_has_its_own_message(name: str) -> None:
    known = list(wrong_answers(EXERCISES[name].source))
    assert len(known) >= 9, "eight, and the untouched exercise"
    assert len(right_answers(EXERCISES[name].source)) >= 2
    assert len({wrong.message for wrong in known}) == len(known)
    assert any(wrong.code.strip() == EXERCISES[name].read().exercise.strip() for wrong in known)


def test_an_answer_that_logs_shows_nothing_of_pikas_log(
    broker: Broker, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    solution = EXERCISES["outlast the outage"].read().solution
    logs = "import logging\nlogging.basicConfig(level=logging.INFO)\nlogging.info('Here it begins.')\n"
    assert tried("outlast the outage", logs + solution, broker).passed
    said = capfd.readouterr().err
    assert said.strip() == "INFO:root:Here it begins."
    assert logging.getLogger("pika").propagate


def test_without_a_broker_of_its_own_an_exercise_finds_one(broker: Broker) -> None:
    name = "share the work"
    verdict = OpenExercise(EXERCISES[name]).check(["Tea."])
    assert "are not in your list" in verdict.saw


def test_what_is_no_function_is_refused_in_words(broker: Broker) -> None:
    for name in ("mend the counter", "mend the stalled cook", "serve it once"):
        verdict = OpenExercise(EXERCISES[name], broker).check("callback")
        assert not verdict.passed
        assert "'callback'" in verdict.saw


@pytest.mark.parametrize("name", EXERCISES)
def test_check_without_an_answer_says_what_to_hand_in(name: str) -> None:
    known = OpenExercise(EXERCISES[name])
    for verdict in (known.check(), known.check(1, 2)):
        assert not verdict.passed
        assert f"check({EXERCISES[name].hands_in})" in verdict.saw


#: What no function of any exercise may be, and what is said of it.
NEVER_RUNS = {
    "async def answer({}):\n    pass\n": "is an async function, which nobody awaits",
    "def answer({}):\n    yield\n": "has a yield in it",
    "async def answer({}):\n    yield\n": "has a yield in it",
    "class Answer:\n    async def __call__(self, {}):\n        pass\nanswer = Answer()\n": "is an async function",
    "def answer():\n    pass\n": "can't be called",
    "answer = None\n": "The answer is None, which is what a function gives back that returns nothing",
    "async def f():\n    pass\nanswer = f()\n": "a coroutine",
    "def f():\n    yield\nanswer = f()\n": "a generator",
}
FUNCTIONS = [name for name, exercise in EXERCISES.items() if exercise.parameters]
SOME_FUNCTIONS = [pytest.param(name, marks=at_night(number)) for number, name in enumerate(FUNCTIONS)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("code", NEVER_RUNS)
def test_what_can_never_run_is_named_before_anything_is_tried(name: str, code: str) -> None:
    namespace: dict[str, Any] = {}
    exec(code.format(EXERCISES[name].parameters), namespace)  # noqa: S102 - our own text
    verdict = OpenExercise(EXERCISES[name]).check(namespace["answer"])  # no broker is asked for
    assert not verdict.passed
    assert NEVER_RUNS[code] in verdict.saw


#: What never comes back, and what is said of it.
NEVER_RETURNS = {
    "while True:\n        pass": "does not come back",
    "while True:\n        try:\n            pass\n        except BaseException:\n            pass": "it still runs in",
    "gate.wait()": "in the line: gate.wait(), and does not come back",
    "import time\n    while True:\n        time.sleep(0.1)": "in the line: time.sleep(0.1), and does not come back",
}


@pytest.mark.parametrize("name", SOME_FUNCTIONS)
@pytest.mark.parametrize("loop", NEVER_RETURNS, ids=["spins", "catches everything", "waits", "sleeps"])
def test_what_never_returns_is_told_and_ended(name: str, loop: str, broker: Broker) -> None:
    exercise, gate = EXERCISES[name], threading.Event()
    verdict = tried(name, f"def {exercise.hands_in}({exercise.parameters}):\n    {loop}\n", broker, gate=gate)
    gate.set()  # what can't be ended ends now
    assert not verdict.passed
    assert NEVER_RETURNS[loop] in verdict.saw, verdict


@pytest.mark.parametrize("name", SOME_FUNCTIONS)
def test_a_lambda_that_only_makes_a_coroutine_is_told(name: str, broker: Broker) -> None:
    known = EXERCISES[name]
    code = f"async def run():\n    pass\n{known.hands_in} = lambda {known.parameters}: run()\n"
    verdict = tried(name, code, broker)
    assert not verdict.passed
    assert "nothing has run" in verdict.saw, verdict
