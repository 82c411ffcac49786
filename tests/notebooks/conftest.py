"""Runs every notebook with nbval: a test for each of its code cells, and one for the solution of each exercise.

The cells run against the broker of the environment, at a small fraction of a second a dot.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from workq_helpers import Broker, find_broker
from workq_helpers.errors import BrokerNotFoundError
from workq_helpers.lessons import CHAPTERS
from workq_helpers.teaching.exercise import Exercise

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SEALED = Path(__file__).with_name("sealed")
FILTERS = Path(__file__).with_name("output_filters.cfg")

SECONDS_PER_DOT = "0.02"
CELL_TIMEOUT_SECONDS = 100


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return Notebooks.from_parent(parent, path=file_path) if file_path == FILTERS else None


def compares(item: IPyNbCell) -> bool:
    """Say whether a cell's outputs are compared with those that are kept."""
    return bool(item.cell.outputs and item.options["check"])


class Notebooks(pytest.File):
    """All notebooks of the course; they lie outside the folder of the tests."""

    def collect(self) -> Iterator[pytest.Collector]:
        options = self.config.option
        options.nbval_current_env = True
        options.nbval_sanitize_with = str(FILTERS)
        options.nbval_cell_timeout = CELL_TIMEOUT_SECONDS
        paths = sorted(NOTEBOOKS.glob("*.ipynb"))
        if not paths:
            raise self.CollectError(f"there is no notebook in {NOTEBOOKS}")
        for path in paths:
            yield Notebook.from_parent(self, path=path)


class Notebook(IPyNbFile):  # type: ignore[misc]  # nbval is not typed
    """One notebook in a kernel of its own, which finds the broker there already."""

    broker: Broker | None = None
    data: tempfile.TemporaryDirectory[str] | None = None

    def collect(self) -> Iterator[IPyNbCell]:
        """Compare the outputs that the notebook itself does not show, for they give answers away."""
        path = SEALED / f"{Path(self.path).stem}.json"
        sealed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        items = list(super().collect())
        for item in items:
            outputs = sealed.pop(item.cell.id, None)
            if outputs is not None:
                item.cell.outputs = nbformat.from_dict(outputs)
                item.options["check"] = True
        if sealed:
            raise self.CollectError(f"{path} has outputs of cells that are not there: {', '.join(sealed)}")
        # Whether a sealed cell without outputs here has any, nobody knows: it counts as one that isn't compared.
        shown = [item for item in items if item.cell.outputs or "sealed" in item.cell.metadata.get("tags", ())]
        if 2 * sum(compares(item) for item in shown) < len(shown):
            raise self.CollectError(f"{self.path} compares fewer than half of the outputs of its cells.")
        yield from items
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
        return IPyNbCell.from_parent(
            self,
            name=f"Solution of {exercise.name}",
            cell_num=number,
            cell=nbformat.v4.new_code_cell(source),
            options=defaultdict(bool),
        )

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
            patch.setenv("WORKQ_DATA_DIR", self.data.name)
            super().setup()

    def teardown(self) -> None:
        try:
            if self.kernel is not None:
                super().teardown()
        finally:
            if self.broker is not None:
                self.broker.close()
            if self.data is not None:
                self.data.cleanup()
