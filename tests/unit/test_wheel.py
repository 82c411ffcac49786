"""What `pip install` gets: the package with everything that is not Python too."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.text

ROOT = Path(__file__).resolve().parents[2]

#: Sources of what the wheel holds as one file each.
_BUNDLED = ("workq_helpers/stage/js/", "workq_helpers/stage/css/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_it_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    listed = ["git", "ls-files", "workq_helpers"]
    tracked = (
        subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
        if shutil.which("git")
        else []
    )
    expected = tracked or [
        str(path.relative_to(ROOT)) for path in (ROOT / "workq_helpers").rglob("*.py")
    ]  # a copy of the course, or a machine, without git
    needed = {name for name in expected if not name.startswith(_BUNDLED)}
    assert needed
    assert not needed - set(wheel.namelist())


def test_it_holds_what_the_stage_runs_in_the_browser(wheel: zipfile.ZipFile) -> None:
    for name in ("stage.js", "stage.css"):
        path = f"workq_helpers/stage/bundle/{name}"
        assert wheel.read(path) == (ROOT / path).read_bytes()


def test_it_puts_the_extension_where_jupyterlab_looks(wheel: zipfile.ZipFile) -> None:
    for name in ("package.json", "static/extension.js"):
        (found,) = (each for each in wheel.namelist() if each.endswith(f"/labextensions/workq-stage/{name}"))
        assert found.startswith("workq_helpers-")
        assert wheel.read(found) == (ROOT / "workq_helpers/stage/bundle/lab_extension" / name).read_bytes()


def test_a_browser_that_had_another_extension_asks_for_this_one() -> None:
    """JupyterLab says of it that a browser may keep it for a year."""
    folder = ROOT / "workq_helpers/stage/bundle/lab_extension"
    version = hashlib.sha256((folder / "static/extension.js").read_bytes()).hexdigest()[:12]
    manifest = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    assert manifest["jupyterlab"]["_build"]["load"] == f"static/extension.js?v={version}"


def test_it_holds_no_source_of_what_is_bundled(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if name.startswith(_BUNDLED)]


def test_it_holds_the_lessons(wheel: zipfile.ZipFile) -> None:
    lessons = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert lessons
    for lesson in lessons:
        assert wheel.read(f"workq_helpers/notebooks/{lesson.name}") == lesson.read_bytes()
    assert not [name for name in wheel.namelist() if ".ipynb_checkpoints" in name]


def test_it_holds_nothing_of_the_course_around_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    (data,) = (top for top in tops if top.endswith(".data"))  # JupyterLab's extension, and nothing else
    assert all("/labextensions/workq-stage/" in name for name in wheel.namelist() if name.startswith(f"{data}/"))
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"workq_helpers"}


def test_it_holds_license_and_notice(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    folder = metadata.removesuffix("METADATA")
    for name in ("LICENSE", "NOTICE"):
        assert wheel.read(f"{folder}licenses/{name}") == (ROOT / name).read_bytes()
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "https://www.rabbitmq.com/tutorials/tutorial-two-python" in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_its_version_is_semantic_and_in_the_changelog_once_it_is_out(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    version = re.search(r"^Version: (.+)$", metadata, re.MULTILINE)
    assert version is not None
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version[1])
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] in ([], [version[1], *headings[2:]])
