"""Runs every notebook with nbval: a test for each of its code cells, and one for the solution of each exercise.

The cells run against the broker of the environment, at a small fraction of a second a dot.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager, RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from tests.kernels import manager_in
from workq_helpers import Broker, find_broker
from workq_helpers.errors import BrokerNotFoundError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.exercise import Exercise

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXPECTED = Path(__file__).with_name("expected")
FILTERS = Path(__file__).with_name("output_filters.cfg")

#: So quick that nobody waits, and so slow that a worker on a busy machine is there before another has done eight tasks.
SECONDS_PER_DOT = "0.05"
#: A kernel imports for a second, on a busy machine for many.
KERNEL_TIMEOUT_SECONDS = 60
#: Three nodes that boot at once on two busy processors take a while.
CELL_TIMEOUT_SECONDS = 200


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return Notebooks.from_parent(parent, path=file_path) if file_path == FILTERS else None


def compares(item: IPyNbCell) -> bool:
    """Say whether a cell's outputs are compared with those that are kept."""
    return bool(item.cell.outputs and item.options["check"])


def turns(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Return the cells that a learner completes, by their ids, with the lines that stand folded above each put in."""
    found = {}
    for above, cell in itertools.pairwise(notebook.cells):
        if "your-turn" in cell.metadata.get("tags", ()):
            answer = re.search(r"```python\n(.*)\n```", above.source, re.DOTALL)
            place = re.search(r"^( *)# Your turn: .*$", cell.source, re.MULTILINE)
            if answer is None or place is None:
                raise pytest.Collector.CollectError(f"The cell {cell.id} has no answer above it, or no place for one.")
            lines = textwrap.indent(answer[1], place[1])
            found[cell.id] = cell.source[: place.start()] + lines + cell.source[place.end() :]
    return found


class Notebooks(pytest.File):
    """All notebooks of the course; they lie outside the folder of the tests."""

    def collect(self) -> Iterator[pytest.Collector]:
        options = self.config.option
        options.nbval_sanitize_with = str(FILTERS)
        options.nbval_cell_timeout = CELL_TIMEOUT_SECONDS
        paths = sorted(NOTEBOOKS.glob("*.ipynb"))
        if not paths:
            raise self.CollectError(f"there is no notebook in {NOTEBOOKS}")
        for path in paths:
            yield Notebook.from_parent(self, path=path)


class Kernel(RunningKernel):  # type: ignore[misc]  # nbval is not typed
    """What nbval runs the cells of a notebook in, with this environment's Python.

    Args:
        folder: Where its own files go.
        notebooks: Where it runs.
    """

    def __init__(self, folder: Path, notebooks: Path) -> None:
        self.km = manager_in(folder, kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager())
        self.km.start_kernel(stderr=subprocess.DEVNULL, cwd=str(notebooks))
        self.kc = self.km.client()
        self.kc.start_channels()
        try:
            self.kc.wait_for_ready(timeout=KERNEL_TIMEOUT_SECONDS)
            self._ensure_iopub_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut it down as JupyterLab does, so that it puts away what it has made."""
        self.km.shutdown_kernel()
        self.kc.stop_channels()


class Notebook(IPyNbFile):  # type: ignore[misc]  # nbval is not typed
    """One notebook in a kernel of its own, which finds the broker there already."""

    broker: Broker | None = None
    data: tempfile.TemporaryDirectory[str] | None = None

    def collect(self) -> Iterator[IPyNbCell]:
        """Put back what each cell is to show: the notebook itself comes without outputs."""
        path = EXPECTED / f"{Path(self.path).stem}.json"
        expected = json.loads(path.read_text(encoding="utf-8"))
        items = list(super().collect())
        for number, item in enumerate(items, start=1):
            item.cell.execution_count = number  # nbval compares nothing with a cell that was not run
            item.cell.outputs = nbformat.from_dict(expected.pop(item.cell.id, []))
        if expected:
            raise self.CollectError(f"{path} has outputs of cells that are not there: {', '.join(expected)}")
        if 2 * sum(map(compares, items)) < sum(compares(item) or not item.options["check"] for item in items):
            raise self.CollectError(f"{self.path} compares fewer than half of the outputs of its cells.")
        answers = turns(nbformat.read(self.path, as_version=4))
        for item in items:
            item.add_marker(pytest.mark.timeout(CELL_TIMEOUT_SECONDS + 20))
            item.options["check"] = item.options["check"] and item.cell.id not in answers
            yield item
            if item.cell.id in answers:
                yield self.hidden_cell(f"{item.name} answered", item.cell_num, answers[item.cell.id])
        # At the end, for the outputs before are those of a learner who has solved nothing yet.
        chapter = next(each for each in CHAPTERS if each.notebook == Path(self.path).name)
        for number, exercise in enumerate(chapter.exercises, start=len(items)):
            yield self.solution(exercise, number)

    def solution(self, exercise: Exercise, number: int) -> IPyNbCell:
        """Return a cell that solves an exercise and asks the check, as a learner would."""
        source = (
            f"{exercise.read().solution}\n\n"
            f"verdict = exercise({exercise.name!r}).check({exercise.hands_in})\n"
            f"assert verdict.passed, verdict"
        )
        return self.hidden_cell(f"Solution of {exercise.name}", number, source)

    def hidden_cell(self, name: str, number: int, source: str) -> IPyNbCell:
        """Return a cell that the notebook has not, and whose output is not compared."""
        cell = nbformat.v4.new_code_cell(source)
        item = IPyNbCell.from_parent(self, name=name, cell_num=number, cell=cell, options=defaultdict(bool))
        item.add_marker(pytest.mark.pinned)  # the cells beside it ask the same of other versions
        return item

    def setup(self) -> None:
        try:
            self.broker = find_broker()
        except BrokerNotFoundError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        self.data = tempfile.TemporaryDirectory()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WORKQ_SECONDS_PER_DOT", SECONDS_PER_DOT)
            patch.setenv("WORKQ_DATA_DIR", str(Path(self.data.name) / "data"))
            self.kernel = Kernel(Path(self.data.name), NOTEBOOKS)
        self.setup_sanitize_files()

    def teardown(self) -> None:
        try:
            if self.kernel is not None:
                self.kernel.stop()
        finally:
            if self.broker is not None:
                self.broker.close()
            if self.data is not None:
                self.data.cleanup()
