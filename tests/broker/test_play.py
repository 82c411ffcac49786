"""Lessons in which a learner played with the stage, ran cells twice or out of order, or started over."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workq_helpers import Broker, Lesson
from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.stage.calls import call_for
from workq_helpers.teaching.check import CheckResult
from workq_helpers.teaching.comparison import PredictionComparison

pytestmark = pytest.mark.once  # the notebooks run each experiment on every version

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
EXPECTED = ROOT / "tests" / "notebooks" / "expected"

#: Cells that only show something.
SHOWS = re.compile(
    r"print\(|lesson\.(stage|timeline|tasks|queue_counts|deliveries)\b|work_shares|round\(|.*\b(blind|beside)",
    re.DOTALL,
)

#: What a cell may define.
DEFINES = (ast.Import, ast.ImportFrom, ast.FunctionDef)
#: And the values that later sections need.
VALUES = ("orders = ", "persistent = ", "to_parked = ")

#: Experiments to play before: the section's title, and the lesson's queue.
EXPERIMENTS = [
    ("00_start_here", "Three words", "kitchen"),
    ("01_round_robin", "Two workers", "hello"),
    ("01_round_robin", "Three workers, and more", "hello"),
    ("01_round_robin", "A worker that comes late", "hello"),
    ("01_round_robin", "A backlog that can be shared", "hello"),
    ("02_acknowledgments", "Done when sent", "hello"),
    ("02_acknowledgments", "Done when done", "hello"),
    ("03_mistakes_and_long_work", "The ack that was forgotten", "hello"),
    ("03_mistakes_and_long_work", "Handing back and turning away", "hello"),
    ("04_durability", "A queue by its name alone", "hello"),
    ("04_durability", "Two times two", "task_queue"),
    ("05_fair_dispatch", "A kitchen with a bad rhythm", "hello"),
    ("05_fair_dispatch", "One at a time", "hello"),
    ("05_fair_dispatch", "A rail that is full", "hello"),
    ("06_putting_it_together", "Everything at once", "task_queue"),
    ("07_when_a_task_fails", "An order that nobody can cook", "hello"),
    ("07_when_a_task_fails", "A limit on coming back", "hello"),
    ("07_when_a_task_fails", "A clock for each message", "hello"),
]
#: Those whose cells don't wait for a moment that a stranger among the workers would keep from coming.
PATIENT = [each for each in EXPERIMENTS if each[0] in ("00_start_here", "01_round_robin", "05_fair_dispatch")]
#: Lessons whose experiments take a minute, with RabbitMQ restarted in the middle: each night.
STORMY = {"06_putting_it_together"}
CALM = [each for each in EXPERIMENTS if each[0] not in STORMY]
#: Those in which RabbitMQ loses its patience, or is restarted: in the gate each is run once after play.
SLOW = ("03_mistakes_and_long_work", "04_durability")
QUICK = [each for each in EXPERIMENTS if each[0] not in SLOW]
#: Sections that go on with the one before: their cells belong to its experiment.
GOES_ON = {"Fetch it"}
#: Where it is not what stands before the first question: the cells that make what is played with.
FIRST_CELLS = {
    "00_start_here": ["code-03", "code-41"],
    "06_putting_it_together": ["code-03", "code-14", "code-16"],
}


class Learner:
    """Runs a notebook's cells and plays with its stage.

    Args:
        name: The notebook.
        seed: What the play comes from.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        self._cells = [cell for cell in notebook.cells if cell.cell_type == "code" or cell.source.startswith("## ")]
        self._expected = json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))
        self._names: dict[str, Any] = {}
        self._random = random.Random(seed)  # noqa: S311 - to play, not to hide
        self.played: list[str] = []

    @property
    def lesson(self) -> Lesson:
        """The lesson that is open."""
        lesson: Lesson = self._names["lesson"]
        return lesson

    def cells_of(self, section: str) -> list[Any]:
        """Return a section's cells that do something."""
        titles = [cell.source.splitlines()[0] for cell in self._cells if cell.cell_type == "markdown"]
        assert f"## {section}" in titles
        found, here = [], False
        for cell in self._cells:
            if cell.cell_type == "markdown":
                title = cell.source.splitlines()[0].removeprefix("## ")
                here = title == section or (here and title in GOES_ON)
            elif here and not SHOWS.match(cell.source):
                found.append(cell)
        return found

    def run_first_section(self) -> None:
        """Run what stands before the first experiment: imports, functions, the lesson that is played with."""
        first = FIRST_CELLS.get(self.name)
        for cell in self._cells:
            if cell.cell_type == "code" and (first is None or cell.id in first):
                if re.search(r"^predict\(|start_workers\(|^orders|^declare\(", cell.source, re.MULTILINE):
                    return
                self.run(cell)

    def run_definitions_until(self, section: str) -> None:
        """Run of the sections between only what defines something."""
        for cell in self._cells:
            if cell.cell_type == "markdown":
                if cell.source.startswith(f"## {section}"):
                    return
                continue
            for node in ast.parse(cell.source).body:
                if isinstance(node, DEFINES) or ast.unparse(node).startswith(VALUES):
                    exec(ast.unparse(node), self._names)  # noqa: S102 - our own notebooks

    def run(self, cell: Any, *, hurry: bool = False) -> Any:
        """Run a cell and return the value of its last line.

        Args:
            cell: The cell.
            hurry: Whether it is to wait for a few seconds at most.
        """
        source = cell.source
        if hurry:
            source = re.sub(r"timeout=\d+", "timeout=4", source)
            source = re.sub(r'(wait_for\("[^"]+")\)', r"\1, 12)", source)
        *before, last = source.rstrip().split("\n")
        try:
            compile(last, "cell", "eval")
            exec("\n".join(before), self._names)  # noqa: S102 - our own notebooks
        except SyntaxError:
            return exec(source, self._names)  # noqa: S102
        return eval(last, self._names)  # noqa: S307

    def play(self, queue: str) -> None:
        """Do a few things on the stage, and leave what is there alive."""
        for _ in range(self._random.randint(1, 4)):
            alive = [worker.name for worker in self.lesson.workers if worker.alive]
            commands: list[dict[str, Any]] = [
                {"do": "add_worker", "queue": queue, "auto_ack": self._random.random() < 0.3, "prefetch_count": 0},
                {"do": "add_worker", "queue": queue, "auto_ack": False, "prefetch_count": 1},
                {"do": "send", "queue": queue, "task": "Play."},
                {"do": "five", "queue": queue},
                *({"do": "kill", "worker": name} for name in alive[-1:] if name in self._mine()),
            ]
            command = self._random.choice(commands)
            self.played.append(str(command))
            self.press(command)

    def press(self, command: dict[str, Any]) -> None:
        """Press a button of the stage, and wait until it was done."""
        self.lesson.stage._perform(None, call_for(command, self.lesson))

    def got_nothing(self) -> bool:
        """Whether the queue was empty when the learner fetched from it."""
        return self._names["method"] is None

    def _mine(self) -> set[str]:
        return {event.actor for event in self.lesson.log if event.kind == "played"}

    def is_right(self, cell: Any, said: object) -> bool:
        """Say whether what a cell said is what the lesson expects, but for numbers of tasks and names."""
        if isinstance(said, PredictionComparison):
            if cell.id not in self._expected:  # it tells numbers that differ from run to run
                return said.seen is not None and said.seen.choice is not None
            (told,) = re.findall(r"^So: +[A-H]\. (.*)", self._expected[cell.id][0]["data"]["text/plain"], re.MULTILINE)
            if said.seen is None or said.seen.choice is None:
                return False
            return bool(told.startswith(said.asked.choices[said.seen.choice].text))
        # Some checks tell numbers that differ from run to run.
        return (
            not isinstance(said, CheckResult)
            or cell.id not in self._expected
            or repr(said) == self._expected[cell.id][0]["data"]["text/plain"]
        )


@pytest.fixture(autouse=True)
def pace(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKQ_SECONDS_PER_DOT", "0.02")
    monkeypatch.chdir(NOTEBOOKS)


@pytest.fixture
def learner(request: pytest.FixtureRequest) -> Iterator[Learner]:
    made = Learner(*request.param)
    yield made
    made.lesson.close()


def experiments(
    chosen: list[tuple[str, str, str]], seeds: int, gate: list[tuple[str, str, str]] | None = None
) -> pytest.MarkDecorator:
    """Return the mark that runs a test for each of them: in the gate for the first of each lesson there."""
    first = {name: section for name, section, _ in reversed(gate or chosen) if name not in STORMY}
    cases = [
        pytest.param(
            (name, seed),
            section,
            queue,
            id=f"{section}-{seed}",
            marks=[] if section == first.get(name) else pytest.mark.nightly,
        )
        for name, section, queue in chosen
        for seed in range(seeds)
    ]
    return pytest.mark.parametrize(("learner", "section", "queue"), cases, indirect=["learner"])


def opened(cells: list[Any]) -> int:
    """Return which cell opens the lesson; it is open already where none does."""
    return next((at for at, cell in enumerate(cells) if "lesson = " in cell.source), 0)


@experiments(EXPERIMENTS, 1)
def test_an_experiment_after_play_is_as_if_nobody_had_played(learner: Learner, section: str, queue: str) -> None:
    learner.run_first_section()
    learner.play(queue)
    learner.run_definitions_until(section)
    for cell in learner.cells_of(section):
        said = learner.run(cell)
        assert learner.is_right(cell, said), f"{said} after {learner.played}"


@experiments(PATIENT, 1)
def test_play_in_the_middle_is_named_with_the_way_out(learner: Learner, section: str, queue: str) -> None:
    learner.run_first_section()
    learner.run_definitions_until(section)
    cells = learner.cells_of(section)
    for at, cell in enumerate(cells):
        if at == opened(cells) + 1:
            learner.play(queue)
        try:
            said = learner.run(cell)
        except CheckFailedError as error:
            said = error
        assert not isinstance(said, CheckFailedError) or said.show_why is not None
        if isinstance(said, PredictionComparison) and said.seen is None:
            said = CheckFailedError(said.missing)
        told = isinstance(said, CheckFailedError) and "Run the cells again from the one that opens" in str(said)
        assert told or learner.is_right(cell, said), f"{said} after {learner.played}"


def told(learner: Learner, cell: Any) -> object:
    """Run a cell that may come at the wrong time, and return what the learner reads."""
    try:
        return learner.run(cell, hurry=True)
    except WorkqError as error:
        return error  # a notebook shows its sentence alone
    except NameError as error:
        return error  # a cell before was left out, and Python says which name is missing


def is_help(said: object) -> bool:
    """Whether something is no verdict, and says what to do."""
    if isinstance(said, PredictionComparison):
        return said.seen is None or said.seen.choice is None
    return isinstance(said, Exception)


@experiments(EXPERIMENTS, 1, gate=QUICK)
def test_each_cell_run_twice_gives_a_right_verdict_or_a_sentence_that_helps(
    learner: Learner, section: str, queue: str
) -> None:
    learner.run_first_section()
    learner.run_definitions_until(section)
    for cell in learner.cells_of(section):
        for _ in range(2):
            said = told(learner, cell)
        # What a check says of twice as many tasks is as right.
        right = isinstance(said, CheckResult) or learner.is_right(cell, said)
        assert right or is_help(said), f"{said} of {cell.source}"


@experiments(CALM, 1, gate=PATIENT)
def test_cells_out_of_order_do_no_harm_to_a_run_in_order(learner: Learner, section: str, queue: str) -> None:
    learner.run_first_section()
    learner.run_definitions_until(section)
    cells = learner.cells_of(section)
    for cell in reversed(cells):
        told(learner, cell)
    for cell in cells:
        said = learner.run(cell)
        # On a busy machine a worker may be killed later than the experiment means, which its comparison says.
        late = (learner.name, section, queue) not in PATIENT and is_help(said)
        assert learner.is_right(cell, said) or late, f"{said} of {cell.source}"


@experiments(CALM, 1, gate=PATIENT)
def test_start_over_in_the_middle_leads_to_a_sentence_that_helps(learner: Learner, section: str, queue: str) -> None:
    learner.run_first_section()
    learner.run_definitions_until(section)
    cells = learner.cells_of(section)
    for at, cell in enumerate(cells):
        if at == opened(cells) + 1:
            learner.press({"do": "start_over"})
        said = told(learner, cell)
        assert learner.is_right(cell, said) or is_help(said), f"{said} of {cell.source}"


ADD_WORKER = {"do": "add_worker", "auto_ack": False, "prefetch_count": 0}


@pytest.mark.parametrize("learner", [("06_putting_it_together", 0)], indirect=True)
def test_a_worker_of_the_stage_beside_programs_is_named_with_the_way_out(learner: Learner) -> None:
    learner.run_first_section()
    learner.press(ADD_WORKER | {"queue": "task_queue"})
    for cell in learner.cells_of("A real kill"):
        said = told(learner, cell)
        if cell.source.startswith(("compare(", "check(")):
            named = said.missing if isinstance(said, PredictionComparison) else str(said)
            assert "worker-1, which was started from the stage, got 'Roast" in named
            assert "Run the cells again from the one that opens the lesson" in named
    learner.run_first_section()
    for cell in learner.cells_of("A real kill"):
        said = learner.run(cell)
        assert learner.is_right(cell, said), str(said)


@pytest.mark.parametrize("learner", [("00_start_here", 0)], indirect=True)
@pytest.mark.parametrize(
    "pressed",
    [
        ADD_WORKER | {"queue": "hello"},
        {"do": "send", "queue": "hello", "task": "Play."},
        {"do": "start_over"},
    ],
    ids=["worker", "task", "start over"],
)
def test_whatever_is_pressed_between_two_cells_of_lesson_00_there_is_a_way_out(
    learner: Learner, pressed: dict[str, Any]
) -> None:
    learner.run_first_section()
    cells = learner.cells_of("Three words")
    for pressed_before in range(1, len(cells)):
        for at, cell in enumerate(cells):
            if at == pressed_before:
                learner.press(pressed)
            said = told_of_one_message(learner, cell)
        assert learner.is_right(cells[-1], said) or is_help(said), f"{said} before {pressed_before}"
        learner.run_first_section()
    for cell in cells:
        said = learner.run(cell)
    assert learner.is_right(cells[-1], said), str(said)


def told_of_one_message(learner: Learner, cell: Any) -> object:
    """As `told`; where `basic_get` got nothing, the text above it says what that is."""
    try:
        return told(learner, cell)
    except AttributeError as error:
        if not learner.got_nothing():
            raise
        return error
