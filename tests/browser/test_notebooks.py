"""Every lesson runs from top to bottom in JupyterLab, and again in the same kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.lab import Lab

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
#: One that shows whether other versions of Jupyter can run them; without a browser all run on each RabbitMQ.
SMOKE = "01_round_robin"


def test_there_are_lessons() -> None:
    assert {source.stem for source in NOTEBOOKS} > {SMOKE}


@pytest.mark.timeout(700)  # two runs, and RabbitMQ is restarted more than once in each
@pytest.mark.parametrize(
    "source",
    [pytest.param(each, marks=[pytest.mark.smoke] * (each.stem == SMOKE), id=each.stem) for each in NOTEBOOKS],
)
def test_a_lesson_runs_twice_in_one_kernel(lab: Lab, source: Path) -> None:
    notebook = lab.open(lab.copy(source))
    kernel = notebook.kernel
    assert set(notebook.counts()) == {None}, "the first run is one that one sees"
    notebook.run_all()
    assert notebook.errors() == []
    first = notebook.counts()
    assert first == list(range(1, len(first) + 1))
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.counts() == [count + len(first) for count in first]
    assert notebook.kernel == kernel
    notebook.screenshot(f"lesson-{source.stem}")
