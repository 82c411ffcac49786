"""A lesson shows the controls that the course has introduced by then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.stage.controls import CONTROLS, up_to

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STYLE = (Path(__file__).parents[2] / "workq_helpers/stage/css/introduced.css").read_text(encoding="utf-8")


def test_the_first_lesson_has_three() -> None:
    assert up_to("kill") == ["send", "add_worker", "kill"]
    assert up_to(CONTROLS[-1]) == list(CONTROLS)


def test_a_control_that_there_is_not_is_told() -> None:
    with pytest.raises(InvalidArgumentError, match=r"no control 'explode'. It has: send, add_worker"):
        up_to("explode")


@pytest.mark.parametrize("control", CONTROLS)
def test_the_style_sheet_hides_each(control: str) -> None:
    assert f'[data-controls~="{control}"]) [data-control="{control}"]' in STYLE.replace("\n", "")


def test_the_lessons_introduce_more_and_more() -> None:
    shown = [
        control
        for path in sorted(NOTEBOOKS.glob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for control in CONTROLS
        if f'lesson.stage.show("{control}")' in "".join(cell["source"])
    ]
    assert shown == ["kill", "five", "ack", "ack", "crash", "crash", "prefetch", "prefetch"]
