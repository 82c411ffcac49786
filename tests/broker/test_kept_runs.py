"""The lessons' experiments, run again: what became of each task is what the runs that are kept show."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from workq_helpers import Broker
from workq_helpers.lessons import CHAPTERS

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
KEPT = ROOT / "tests" / "runs"

NOTEBOOKS = {Path(chapter.notebook).stem.partition("_")[2]: chapter.notebook for chapter in CHAPTERS}

QUICK = "round_robin"

pytestmark = [pytest.mark.once, pytest.mark.timeout(400)]


def version_of(lesson: str) -> Version:
    """Return the RabbitMQ that a lesson was recorded on."""
    with gzip.open(next((KEPT / lesson).glob("*.json.gz"))) as run:
        return Version(json.load(run)["rabbitmq"])


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "WORKQ_SECONDS_PER_DOT": "0.2"}  # as `make atlas` runs them
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=380, env=environ)


@pytest.mark.nightly  # in the gate the lessons' cells show what they showed
@pytest.mark.parametrize("lesson", NOTEBOOKS)
def test_an_experiment_fares_as_the_run_that_is_kept_of_it(broker: Broker, tmp_path: Path, lesson: str) -> None:
    recorded_on = version_of(lesson)
    if broker.version.release[:2] != recorded_on.release[:2]:
        pytest.skip(f"recorded on RabbitMQ {recorded_on}, and this one is {broker.version}: `make atlas` compares them")
    recorded = run("recording.py", "--folder", tmp_path, NOTEBOOKS[lesson])
    assert recorded.returncode == 0, recorded.stderr
    compared = run("kept_runs.py", tmp_path)
    assert (compared.returncode, compared.stdout) == (0, f"{lesson}: all fared the same\n"), compared.stderr


def test_a_run_that_fared_otherwise_is_told(tmp_path: Path) -> None:
    """What the comparison sees: a run of another experiment in the place of the one that is kept."""
    folder = tmp_path / QUICK
    folder.mkdir()
    for file in (KEPT / QUICK).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "two_workers.json.gz").write_bytes((KEPT / QUICK / "three_workers_and_more.json.gz").read_bytes())
    compared = run("kept_runs.py", tmp_path)
    assert compared.returncode == 1
    assert "round_robin, two_workers: tasks, as they were sent: kept: Roast...., Tea., Toast.., and 2 more" in (
        compared.stdout
    )
