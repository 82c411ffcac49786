"""What the player draws of a saved run is what Python computes of the same moment."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.made_up_runs import MadeUpRun
from tests.properties import examples
from tests.support import need
from tests.unit.test_saved_run import DOT, saved
from tests.unit.test_stage_js import find_node
from workq_helpers.log.events import Rows
from workq_helpers.stage.frame import Moment
from workq_helpers.stage.scene import Scene

pytestmark = pytest.mark.text

SCRIPT = Path(__file__).parents[1] / "js" / "frames_of_run.mjs"
MOMENTS = 50


def computed(made: MadeUpRun, seconds: float) -> Moment:
    """Return what Python shows of a moment, from the beginning of the log on."""
    scene = Scene(DOT)
    scene.update(Rows.of(row for row in made.rows if row[0] <= seconds))
    answer = [each for each in made.answers if each.seconds <= seconds][-1]
    return scene.picture(seconds, answer, made.console, running=False)


@pytest.mark.parametrize("seed", range(examples(20)))
def test_the_players_frame_is_pythons(seed: int, tmp_path: Path) -> None:
    node = find_node()
    need(node, "Node, from PATH or from the package playwright, runs the player")
    made = MadeUpRun(seed)
    file = tmp_path / "run.json"
    file.write_text(saved(made).text)
    choose = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    wanted = [round(choose.uniform(0, made.rows[-1][0]), 6) for _ in range(MOMENTS)]
    done = subprocess.run(
        [str(node), str(SCRIPT), str(file), *map(str, wanted)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    for seconds, frame in zip(wanted, frames, strict=True):
        expected: dict[str, Any] = dict(computed(made, seconds))
        assert frame["broker"]["state"] == expected.pop("broker_state")
        for ours, theirs in zip(frame["workers"], expected["workers"], strict=True):
            if ours["busy_with"]:
                elapsed = [each["busy_with"].pop("elapsed_seconds") for each in (ours, theirs)]
                assert elapsed[0] == pytest.approx(elapsed[1], abs=0.002)
        assert {name: frame[name] for name in expected} == expected
