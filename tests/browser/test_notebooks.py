"""Every lesson runs from top to bottom in JupyterLab, and again in the same kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
#: The one of `test_smoke.py`, which the gate runs with other versions of Jupyter too.
SMOKE = "01_round_robin"
#: What the gate runs here, and how often: a lesson twice, and the one that restarts RabbitMQ. Here the night runs all;
#: without a browser the gate does too, on each RabbitMQ.
IN_THE_GATE = {("02_acknowledgments", 2), ("04_durability", 1)}


def test_there_are_lessons() -> None:
    assert {source.stem for source in NOTEBOOKS} > {SMOKE, *(name for name, _ in IN_THE_GATE)}


def runs() -> Iterator[Any]:
    """Yield each lesson with how often it is run."""
    for source in NOTEBOOKS:
        for times in (1, 2):
            marks = [] if (source.stem, times) in IN_THE_GATE else [pytest.mark.nightly]
            if (source.stem, times) != (SMOKE, 1):
                yield pytest.param(source, times, id=f"{source.stem}-{times}", marks=marks)


@pytest.mark.timeout(700)  # RabbitMQ is restarted more than once in each run
@pytest.mark.parametrize(("source", "times"), list(runs()))
def test_a_lesson_runs_as_often_as_one_likes_in_one_kernel(lab: Lab, source: Path, times: int) -> None:
    run_lesson(lab, source, times)


def run_lesson(lab: Lab, source: Path, times: int = 1) -> None:
    notebook = lab.open(lab.copy(source))
    notebook.page.emulate_media(reduced_motion="reduce")  # others look at what moves, which takes a processor
    kernel = notebook.kernel
    assert set(notebook.counts()) == {None}, "the first run is one that one sees"
    notebook.run_all()
    assert notebook.errors() == []
    first = notebook.counts()
    assert first == list(range(1, len(first) + 1))
    for run in range(1, times):
        notebook.run_all()
        assert notebook.errors() == []
        assert notebook.counts() == [count + run * len(first) for count in first]
        assert notebook.kernel == kernel
    notebook.screenshot(f"lesson-{source.stem}")
