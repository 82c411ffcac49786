"""Runs every notebook with nbval: a test for each of its code cells.

The cells run against the broker of the environment, at a small fraction of a second a dot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbval.plugin import IPyNbFile

from workq_helpers import Broker, find_broker
from workq_helpers.errors import BrokerNotFoundError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FILTERS = Path(__file__).with_name("output_filters.cfg")

SECONDS_PER_DOT = "0.02"
CELL_TIMEOUT_SECONDS = 100


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return Notebooks.from_parent(parent, path=file_path) if file_path == FILTERS else None


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

    def setup(self) -> None:
        try:
            self.broker = find_broker()
        except BrokerNotFoundError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WORKQ_SECONDS_PER_DOT", SECONDS_PER_DOT)
            super().setup()

    def teardown(self) -> None:
        try:
            if self.kernel is not None:
                super().teardown()
        finally:
            if self.broker is not None:
                self.broker.close()
