"""The wall time of each lesson beside the work that it simulates, at a second a dot: `python benchmarks/lessons.py`.

The work is the time during which at least one task is at work, in the kernel or in a program that the lesson started,
pictures among them; what the lesson's own code sleeps, as a callback that takes six seconds; and the waits that an
experiment is about: an oven that is broken for so long, a time to live, an overdue acknowledgment. Restarts of RabbitMQ
are taken off, but for what is worked meanwhile, as are starts, failures and recounts of the three nodes; what comes on
top of both is starting the kernel, and the course itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from benchmarks.bench import Bench, alone
from benchmarks.row import Goal, Row

PART = "lessons"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

#: A kernel's ports are encrypted, as those of `workq lab` are.
LIKE_THE_LAB = Config({"KernelManager": {"transport_encryption": "auto"}})

#: Tells when a process begins and ends to sleep for a task. Every Python that a lesson starts imports it, but only a
#: file is a program of the lesson's: what watches over a cluster is none.
SITE_CUSTOMIZE = """
import os, sys, time

_sleep, _file = time.sleep, os.environ["WORKQ_BENCH_NOTES"]
_is_program = "WORKQ_BENCH_PROGRAM" in os.environ and any(word.endswith(".py") for word in sys.orig_argv)

def note(what, began):
    with open(_file, "a") as file:
        file.write(f"{what} {began} {time.monotonic()}\\n")

def sleep(seconds):
    began = time.monotonic()
    is_the_lessons = _is_program or sys._getframe(1).f_globals.get("__name__") == "__main__"
    try:
        _sleep(seconds)
    finally:
        if is_the_lessons:
            note("work", began)

time.sleep = sleep
"""

#: In the kernel a task sleeps at its worker's pace.
FIRST_CELL = """
import os, sitecustomize, time
from workq_helpers import Broker
from workq_helpers.clients import pace
os.environ["WORKQ_BENCH_PROGRAM"] = "1"

def _noted(method, what):
    def noted(*arguments, **named):
        began = time.monotonic()
        try:
            return method(*arguments, **named)
        finally:
            sitecustomize.note(what, began)
    return noted

pace.Pace.sleep = _noted(pace.Pace.sleep, "work")
Broker.restart = _noted(Broker.restart, "restart")
Broker.crash = _noted(Broker.crash, "restart")
"""

#: What else is work in a lesson, or no work of its own, by the name of its folder.
MORE = {
    "mistakes_and_long_work": """
from workq_helpers.lessons.mistakes_and_long_work import ack_timeout
ack_timeout.wait_for_ack_timeout = _noted(ack_timeout.wait_for_ack_timeout, "work")
""",
    "putting_it_together": """
from workq_helpers.lessons.putting_it_together.thumbnails import Album
Album.make_thumbnails = _noted(Album.make_thumbnails, "work")
""",
    "when_a_task_fails": """
from workq_helpers.lessons.when_a_task_fails import delivered, retries
delivered.wait_for_deliveries = _noted(delivered.wait_for_deliveries, "work")
_works = retries._Oven.works

def _works_again(oven):
    if works := _works(oven):
        sitecustomize.note("work", oven._first_look)
    return works

retries._Oven.works = _works_again
""",
    "one_of_three_dies": """
from workq_helpers.lessons.one_of_three_dies import live_nodes, opened_nodes
opened_nodes.start_cluster = _noted(opened_nodes.start_cluster, "restart")
for name in ("kill", "start", "bring_back", "_under_load", "_count"):
    setattr(live_nodes.LiveNodes, name, _noted(getattr(live_nodes.LiveNodes, name), "restart"))
""",
}


class Run(NamedTuple):
    """How long a lesson took, in seconds.

    Attributes:
        wall: From its kernel's start to its last cell's end.
        work: The work that it simulates.
        restarts: RabbitMQ's and its nodes', but for what is worked meanwhile.
    """

    wall: float
    work: float
    restarts: float


def measure(bench: Bench) -> None:
    """Run every lesson."""
    _ = bench.broker  # found before the first lesson is timed
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if bench.wants(path.stem)]
    for path in paths[: bench.count(100, 1)]:
        rounds = [_one_run(path) for _ in range(bench.rounds)]
        work = [each.work for each in rounds]
        bench.report.add(Row(PART, path.stem, "simulated work", "s", work))
        bench.report.add(Row(PART, path.stem, "restarts", "s", [each.restarts for each in rounds]))
        own = [each.wall - each.restarts for each in rounds]
        beside = work if all(work) else None  # the first lesson hardly works
        goal = Goal("<=", 1.5) if beside else None
        bench.report.add(
            Row(PART, path.stem, "all but restarts", "s", own, beside, "simulated work" if beside else "", goal)
        )


def _one_run(path: Path) -> Run:
    notebook = nbformat.read(path, as_version=4)
    first = FIRST_CELL + MORE.get(path.stem.partition("_")[2], "")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    with tempfile.TemporaryDirectory(prefix="wq-") as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        notes = folder / "notes"
        notes.touch()
        environ = os.environ | {
            "WORKQ_DATA_DIR": str(folder / "data"),
            "WORKQ_BENCH_NOTES": str(notes),
            "PYTHONPATH": os.pathsep.join(filter(None, [name, os.environ.get("PYTHONPATH")])),
        }
        environ.pop("WORKQ_SECONDS_PER_DOT", None)  # a learner's pace
        resources = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=180, resources=resources, config=LIKE_THE_LAB)
        began = time.monotonic()
        client.execute(env=environ)
        wall = time.monotonic() - began
        rows = [line.split() for line in notes.read_text().splitlines()]
    spans = [(what, float(start), float(end)) for what, start, end in rows]
    work = _covered((start, end) for what, start, end in spans if what == "work")
    return Run(wall, work, _covered((start, end) for _, start, end in spans) - work)


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how many seconds lie in at least one of the intervals."""
    seconds, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        seconds += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return seconds


if __name__ == "__main__":
    alone(PART, measure, __doc__)
