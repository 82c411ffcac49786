"""Colab: its first cell, on a machine that has a notebook of its own, in versions that must stay, and no course."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from scripts import badges
from scripts.index_settings import for_uv
from tests.anywhere.docker import ROOT, put_course_in
from tests.support import need

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

UV = Path(sys.executable).with_name("uv")

#: What the kernel of Colab is made of, much older than the course's own. Its other packages are as good as any.
COLABS = (
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    "ipywidgets==7.7.1",
    "psutil==5.9.5",
    "pandas==2.2.2",
    "tornado==6.4.2",
)

#: Stands for the package google-colab, which nobody else has.
GOOGLE_COLAB = """
def enable_custom_widget_manager():
    print("Colab was asked for the stage")
"""


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment like Colab's, with a published course beside it."""
    need(os.geteuid() == 0, "Colab's user is root")
    folder = tmp_path_factory.mktemp("colab")
    environ = {**for_uv(os.environ, folder / "uv.toml"), "VIRTUAL_ENV": str(folder / "venv")}

    def uv(*command: str) -> None:
        done = subprocess.run([UV, *command], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    uv("venv", "--quiet", "--seed", "--python", sys.executable, str(folder / "venv"))
    uv("pip", "install", "--quiet", *COLABS, "nbclient", "matplotlib", "packaging")
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name, text in {"__init__.py": "", "output.py": GOOGLE_COLAB}.items():
        (site / "google" / "colab").mkdir(parents=True, exist_ok=True)
        (site / "google" / "colab" / name).write_text(text)
    course = put_course_in(folder / "course")
    badges.write(course, "https://github.com/you/course")
    return folder


def test_the_first_cell_sets_the_course_up_and_the_lesson_runs(colab: Path, tmp_path: Path) -> None:
    before = versions(colab)
    for lesson in ("00_start_here.ipynb", "04_durability.ipynb"):
        told = play(colab, lesson, tmp_path)
        assert "==> Ready: run the lesson's cells" in told
        assert "Colab was asked for the stage" in told
        assert "private node" in told
        assert re.search(r"^✔ (Start here|Durability): seen\b", told, re.MULTILINE), told
    after = versions(colab)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"psutil"}, "what Colab has stays, but for what is too old for the course"
    assert "testcontainers" not in after, "there is no Docker"


def play(colab: Path, lesson: str, data: Path) -> str:
    """Run a lesson of ``colab/`` from an empty folder, and return what it shows."""
    notebook = nbformat.read(colab / "course" / "colab" / lesson, as_version=4)
    # The address is nobody's: what it would bring is there already.
    cell = notebook.cells[0]
    cell.source = cell.source.replace("/content/", f"{colab}/")
    nbformat.write(notebook, data / lesson)
    variables = {
        "WORKQ_SECONDS_PER_DOT": "0.05",
        "WORKQ_DATA_DIR": str(data),
        "VIRTUAL_ENV": str(colab / "venv"),
        "PATH": f"{colab}/venv/bin:{os.environ['PATH']}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKQ_") and name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory(prefix="workq-") as runtime:  # where no other broker runs
        done = subprocess.run(
            [colab / "venv/bin/python", ROOT / "tests/anywhere/play.py", lesson],
            cwd=data,
            env=kept | variables | {"WORKQ_RUNTIME_DIR": runtime},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def versions(colab: Path) -> dict[str, str]:
    listed = subprocess.run(
        [UV, "pip", "list", "--format=json", "--python", colab / "venv/bin/python"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}
