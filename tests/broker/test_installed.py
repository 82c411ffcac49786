"""The course as `pip install` of its wheel gives it: in an environment of its own, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import LAB_URL, jupyter_client
from workq_helpers import Broker

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")

LESSON = """
from workq_helpers import Lesson
import workq_helpers
assert "site-packages" in workq_helpers.__file__, workq_helpers.__file__
with Lesson("installed") as lesson, lesson.connect() as connection:
    connection.channel().queue_declare("hello", durable=True)
    print(sorted(lesson.queue_counts()))
"""


def run(*command: str | Path, where: Path, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=where, env=kept | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, where=ROOT)
    (wheel,) = folder.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv", where=folder)
    install = [UV, "pip", "install", "--quiet", "--constraints", ROOT / "constraints.txt"]
    install += ["pip", "--requirements", ROOT / "pyproject.toml"]
    into = {"VIRTUAL_ENV": str(folder / "venv")}
    try:
        run(*install, "--offline", where=folder, **into)  # `make setup` has fetched all of it
    except AssertionError:
        run(*install, where=folder, **into)
    # What it needs is there, and pip finds nothing missing; uv is only quicker in bringing it.
    pip = [folder / "venv/bin/python", "-m", "pip", "--isolated", "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-index", wheel, where=folder)
    return folder / "venv" / "bin"


def test_it_says_its_version(installed: Path, tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run(installed / "workq", "--version", where=tmp_path) == f"workq {version}\n"


def test_the_lessons_are_copied_and_found(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "workq", "course", "copy", "mine", where=tmp_path)
    assert "notebooks/00_start_here.ipynb: copied\n" in told
    for lesson in (ROOT / "notebooks").glob("*.ipynb"):
        assert (tmp_path / "mine/notebooks" / lesson.name).read_bytes() == lesson.read_bytes()
    where = (
        "from pathlib import Path; from workq_helpers.cli.lab import course_folder; print(course_folder(Path.cwd()))"
    )
    assert run(installed / "python", "-c", where, where=tmp_path / "mine") == f"{tmp_path / 'mine'}\n"


def test_the_copy_is_opened_by_workq_lab(installed: Path, tmp_path: Path, broker: Broker) -> None:
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    typed = "workq course copy work-queues && cd work-queues && exec workq lab --no-browser --port 0"
    with subprocess.Popen(
        ["bash", "-euc", typed],
        cwd=tmp_path,
        env=kept | folders | {"PATH": f"{installed}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as lab:
        assert lab.stdout is not None
        try:
            address, token = next(found.groups() for found in map(LAB_URL.search, lab.stdout) if found)
            with jupyter_client(token) as client:
                there = client.get(f"{address}/api/contents/notebooks").raise_for_status().json()["content"]
        finally:
            lab.terminate()
            lab.communicate()
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {each["name"] for each in there} >= lessons
    assert (tmp_path / "work-queues" / "notebooks").is_dir()


def test_a_lesson_runs(installed: Path, tmp_path: Path, broker: Broker) -> None:
    assert run(installed / "python", "-c", LESSON, where=tmp_path).splitlines()[-1] == "['hello']"
