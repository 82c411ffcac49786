"""The stage knows which cell runs from IPython."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from workq_helpers.stage import cells
from workq_helpers.stage.cells import Cells


def test_cells_are_counted_as_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(cells, "get_ipython", lambda: shell)
    watch = Cells(lambda: seen.append((watch.begun, watch.running)))
    shell.run_cell("1")
    shell.run_cell("raise ValueError", silent=False)
    shell.run_cell("", silent=True)
    assert seen == [(1, True), (1, False), (2, True), (2, False)]


def test_without_ipython_none_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "get_ipython", lambda: None)
    assert (Cells(lambda: None).begun, Cells(lambda: None).running) == (0, False)
