"""The commands that the README names, run as a person runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import need
from workq_helpers import Broker

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command: str, folder: Path = ROOT, timeout: float = 110, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )


def workq(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    need((BIN / "workq").exists(), f"the course is not installed in {BIN.parent}; run make setup")
    return run(str(BIN / "workq"), *arguments, **variables)


def test_make_help_names_every_target() -> None:
    told = run("make", "help")
    assert told.returncode == 0, told.stderr
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    named = set(re.findall(r"^make (\w+)", told.stdout, re.MULTILINE))
    assert named == set(phony[1].split()) - {"help"}


def test_make_clean_leaves_what_is_ours(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    made = [".venv/bin/python", "build/site/index.html", "workq_helpers/__pycache__/a.pyc", "x.egg-info/PKG-INFO"]
    ours = ["notebooks/lesson.ipynb", "workq_helpers/a.py"]
    for name in (*made, *ours):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cleaned = run("make", "clean", folder=tmp_path)
    assert cleaned.returncode == 0, cleaned.stderr
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *ours}


@pytest.mark.machine
def test_doctor_finds_the_broker(broker: Broker) -> None:
    told = workq("doctor", NO_COLOR="1")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "BAD" not in told.stdout


@pytest.fixture
def runtime(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A runtime folder where no broker runs yet: the tests' own goes on elsewhere."""
    need(broker.ours, "a broker of one's own is neither started nor stopped")
    folder = tmp_path_factory.mktemp("run")
    yield str(folder)
    workq("broker", "stop", WORKQ_RUNTIME_DIR=str(folder))


@pytest.mark.machine
def test_a_broker_is_started_looked_at_and_stopped(runtime: str) -> None:
    here = {"WORKQ_RUNTIME_DIR": runtime}
    assert workq("broker", "status", **here).returncode == 1
    started = workq("broker", "start", **here)
    assert started.returncode == 0, started.stderr
    assert "stays until `workq broker stop`" in started.stdout
    told = workq("broker", "status", **here)
    assert told.returncode == 0, told.stdout
    assert "kept until" in told.stdout
    address = workq("broker", "url", **here)
    assert re.fullmatch(r"amqp://\S+@127\.0\.0\.1:\d+/\S*\n", address.stdout)
    logs = workq("broker", "logs", **here)
    assert logs.returncode == 0, logs.stderr
    assert logs.stdout
    assert workq("broker", "stop", **here).stdout == "The course broker is stopped.\n"
    assert workq("broker", "status", **here).returncode == 1


@pytest.mark.nightly
@pytest.mark.timeout(400)  # half a minute; more where the machine is busy with much else
def test_make_bench_measures_and_writes_it_down(broker: Broker, tmp_path: Path) -> None:
    # The quickest parts, as little as possible of each, beside those peers that are installed.
    options = f"--quick --folder {tmp_path} engine workers log"
    measured = run("make", "--old-file=setup", "bench", f"BIN={BIN}", f"BENCH_ARGS={options}", timeout=390)
    assert measured.returncode == 0, measured.stdout + measured.stderr
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    whats = {(row["part"], row["what"]) for row in found["rows"] if row["who"] == "helpers"}
    assert ("engine", "publish to done") in whats
    assert ("workers", "kill to redelivery") in whats
    beside = {row["beside"] for row in found["rows"] if row["who"] == "helpers" and row["part"] == "engine"}
    assert "plain pika" in beside
    assert {growth["what"] for growth in found["growths"]} >= {"recording", "memory", "timeline", "start of workers"}
    assert str(broker.version) in (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.nightly
def test_make_site_runs_lessons(broker: Broker, tmp_path: Path) -> None:
    # One lesson, as all of them take minutes; tests/notebooks runs every one.
    options = f"--folder {tmp_path} --run 00_start_here.ipynb"
    made = run("make", "--old-file=setup", "site", f"BIN={BIN}", f"SITE_ARGS={options}")
    assert made.returncode == 0, made.stdout + made.stderr
    page = (tmp_path / "site" / "lessons" / "00_start_here.html").read_text(encoding="utf-8")
    assert "==> 00_start_here.ipynb" in made.stdout
    assert "==> 01_round_robin.ipynb" not in made.stdout
    assert str(broker.version) in page
