"""Folders of the course's own without room: a learner reads a sentence, and nothing half done is left."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.endurance.homes import environ_of
from tests.endurance.kills import left
from tests.support import need
from workq_helpers.broker.installations import find_installations

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]

PAGE_BYTES = 4096
REASON = r"\(No space left on device\)"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a quarter of a megabyte."""
    need(sys.platform == "linux" and os.geteuid() == 0, "it takes root to mount a file system, and Linux")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, pages_left: int = 0) -> Path:
    """Fill a file system but for some pages, and return the file that takes its room."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(PAGE_BYTES))
    os.truncate(filler, filler.stat().st_size - pages_left * PAGE_BYTES)
    return filler


def workq(home: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("workq")), *command]
    environ = {**environ_of(home), "NO_COLOR": "1", **variables}
    return subprocess.run(program, cwd=home, env=environ, capture_output=True, text=True, check=False)


def test_a_full_runtime_folder_is_told_in_a_sentence(disk: Path, tmp_path: Path) -> None:
    filler = fill(disk)
    here = {"WORKQ_RUNTIME_DIR": str(disk / "run")}
    started = workq(tmp_path, "broker", "start", **here)
    assert started.returncode == 1
    sentence = rf"There is no room left in {disk}/run {REASON}\. Free some, or set WORKQ_RUNTIME_DIR to .*\."
    assert re.fullmatch(rf"(.*\n)*Error: {sentence}\n", started.stderr), started.stderr
    assert "Traceback" not in started.stderr

    examined = workq(tmp_path, "doctor", **here)
    assert examined.returncode == 1
    where = re.escape(f"~/{disk.relative_to(tmp_path)}/run")  # its home is not in what a learner pastes
    found = rf"None runs, and none can be started: nothing can be kept in {where} {REASON}"
    assert re.search(rf"^BAD +course broker +{found}", examined.stdout, re.MULTILINE), examined.stdout

    opened = workq(tmp_path, "lab", "--version", **here)  # as far as JupyterLab itself
    assert opened.returncode == 0, opened.stderr
    assert re.search(rf"^    {sentence}\n    The lessons open without it", opened.stdout, re.MULTILINE), opened.stdout
    assert list(disk.iterdir()) == [filler]


@pytest.mark.nightly
@pytest.mark.parametrize("pages", [1, 2, 8])
def test_with_hardly_any_room_a_broker_runs_or_a_sentence_says_why_not(
    disk: Path, tmp_path: Path, poll_for: Callable[..., None], pages: int
) -> None:
    filler = fill(disk, pages)
    here = {"WORKQ_RUNTIME_DIR": str(disk / "run")}
    started = workq(tmp_path, "broker", "start", **here)
    if started.returncode == 0:
        fill(disk)  # it goes on where there is no room any more
        assert workq(tmp_path, "broker", "status", **here).returncode == 0
        stopped = workq(tmp_path, "broker", "stop", **here)
        assert stopped.stdout == "The course broker is stopped.\n", stopped.stderr
    else:
        assert re.search(rf"^Error: There is no room left in {disk}/run", started.stderr, re.MULTILINE), started.stderr
    assert "Traceback" not in started.stderr
    assert (started.returncode, pages) != (1, 8)
    poll_for(lambda: not left(here), 60)
    assert list(disk.iterdir()) == [filler]


@pytest.mark.nightly
def test_a_full_cache_is_told_in_a_sentence(disk: Path, tmp_path: Path) -> None:
    need(shutil.which("apt-get"), "only packages of Debian or Ubuntu go into the cache")
    if find_installations(os.environ):
        pytest.skip("an installed RabbitMQ would be used, and nothing unpacked")
    fill(disk)
    here = {"WORKQ_RUNTIME_DIR": str(tmp_path / "run"), "WORKQ_CACHE_DIR": str(disk / "cache")}
    started = workq(tmp_path, "broker", "start", WORKQ_BROKER="node", **here)
    assert started.returncode == 1
    assert re.search(
        rf"^Error: (There is no room left|RabbitMQ's packages need \d+ MB in {disk}/cache, and 0 MB are free)"
        r".*Free some, or set WORKQ_CACHE_DIR to a folder on another disk\.$",
        started.stderr,
        re.MULTILINE,
    ), started.stderr
    assert "Traceback" not in started.stderr
    assert {path.name for path in (disk / "cache").iterdir()} <= {"lock"}
