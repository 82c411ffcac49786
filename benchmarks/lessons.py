"""The wall time of each lesson beside the work that it simulates, at a second a dot: `python benchmarks/lessons.py`.

The work is the time during which at least one task is at work, in the kernel or in a program that the lesson started;
what comes on top is RabbitMQ's restarts, starting the kernel, and the course itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from benchmarks.bench import Bench, alone
from benchmarks.row import Row

PART = "lessons"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

#: A kernel's ports are encrypted, as those of `workq lab` are.
LIKE_THE_LAB = Config({"KernelManager": {"transport_encryption": "auto"}})

#: Tells when a process begins and ends to sleep for a task; every Python that a lesson starts imports it.
SITE_CUSTOMIZE = """
import os, time

_sleep, _file = time.sleep, os.environ["WORKQ_BENCH_SLEEPS"]
_is_program = "WORKQ_BENCH_PROGRAM" in os.environ

def note(began, ended):
    with open(_file, "a") as file:
        file.write(f"{began} {ended}\\n")

def sleep(seconds):
    began = time.monotonic()
    try:
        _sleep(seconds)
    finally:
        if _is_program:
            note(began, time.monotonic())

time.sleep = sleep
"""

#: In the kernel a task sleeps at its worker's pace.
FIRST_CELL = """
import os, sitecustomize, time
from workq_helpers.clients import pace
os.environ["WORKQ_BENCH_PROGRAM"] = "1"

def _noted(sleep):
    def noted(self, seconds):
        began = time.monotonic()
        try:
            sleep(self, seconds)
        finally:
            if seconds:
                sitecustomize.note(began, time.monotonic())
    return noted

pace.Pace.sleep = _noted(pace.Pace.sleep)
"""


def measure(bench: Bench) -> None:
    """Run every lesson."""
    _ = bench.broker  # found before the first lesson is timed
    for path in sorted(NOTEBOOKS.glob("*.ipynb"))[: bench.count(100, 1)]:
        rounds = [_one_run(path) for _ in range(bench.rounds)]
        wall, work = ([each[side] for each in rounds] for side in (0, 1))
        bench.report.add(Row(PART, path.stem, "simulated work", "s", work))
        beside = work if all(work) else None  # the first lesson hardly works
        bench.report.add(Row(PART, path.stem, "wall time", "s", wall, beside, "simulated work" if beside else ""))


def _one_run(path: Path) -> tuple[float, float]:
    """Return the wall time of a lesson and of the work in it, in seconds."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST_CELL))
    with tempfile.TemporaryDirectory(prefix="wq-") as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        sleeps = folder / "sleeps"
        sleeps.touch()
        environ = os.environ | {
            "WORKQ_DATA_DIR": str(folder / "data"),
            "WORKQ_BENCH_SLEEPS": str(sleeps),
            "PYTHONPATH": os.pathsep.join(filter(None, [name, os.environ.get("PYTHONPATH")])),
        }
        environ.pop("WORKQ_SECONDS_PER_DOT", None)  # a learner's pace
        resources = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=180, resources=resources, config=LIKE_THE_LAB)
        began = time.monotonic()
        client.execute(env=environ)
        wall = time.monotonic() - began
        rows = [line.split() for line in sleeps.read_text().splitlines()]
    return wall, _covered((float(start), float(end)) for start, end in rows)


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how many seconds lie in at least one of the intervals."""
    seconds, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        seconds += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return seconds


if __name__ == "__main__":
    alone(PART, measure, __doc__)
