"""The course in a home that is read-only, full, on a slow server, or on one that has no locks."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker.course import processes_in
from tests.endurance.homes import Home, home
from tests.endurance.visitor import ADDED, NOTEBOOK
from tests.support import need

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def possible() -> None:
    need(sys.platform == "linux" and os.geteuid() == 0, "it takes root to make such a home, and Linux")


def first_cell(at: Home) -> str:
    return "".join(json.loads((at.path / NOTEBOOK).read_text())["cells"][0]["source"])


@pytest.mark.parametrize(
    ("kind", "number", "mend"),
    [
        ("read-only", errno.EROFS, "workq course copy"),
        pytest.param("full", errno.ENOSPC, "Free some room", marks=pytest.mark.nightly),
    ],
)
def test_the_lessons_open_and_run_where_nothing_can_be_kept(kind: str, number: int, mend: str) -> None:
    with home(kind) as there:
        before = first_cell(there)
        seen = there.visit()
        assert seen["opened"], seen["said"]
        reason = re.escape(os.strerror(number))
        assert re.search(rf"Nothing can be saved in {there.path}/notebooks \({reason}\)\. .*{mend}", seen["said"])
        assert re.search(rf"JupyterLab can't keep its own files in \S+ \({reason}\)\. They go to /tmp/", seen["said"])
        assert "Traceback" not in seen["said"]
        assert seen["kernel"] == 201
        assert not seen["lesson_failed"]
        assert re.search(rf"Progress could not be kept in \S+ \({reason}\)", seen["lesson"])
        # What can't be saved is not half saved: the file is what it was.
        assert seen["saved"] >= 400
        assert first_cell(there) == before
        assert not [path for path in there.path.rglob("*") if path.name.startswith("broker-")]


@pytest.fixture
def fuse() -> None:
    need(shutil.which("fusermount") and Path("/dev/fuse").exists(), "there is no FUSE")
    known = subprocess.run(["/usr/bin/python3", "-c", "import fusepy"], capture_output=True, check=False)
    need(known.returncode == 0, "there is no python3-fusepy")


@pytest.mark.nightly
@pytest.mark.usefixtures("fuse")
def test_a_slow_home_makes_nothing_fail() -> None:
    with home("slow") as there:
        seen = there.visit()
        assert seen["opened"], seen["said"]
        assert "can't" not in seen["said"].partition("==> JupyterLab")[0]
        assert (seen["kernel"], seen["saved"], seen["lesson_failed"]) == (201, 200, "")
        assert seen["lesson"].splitlines()[-1] == ""  # progress was kept
        assert first_cell(there).startswith(ADDED)


@pytest.mark.nightly
@pytest.mark.usefixtures("fuse")
def test_a_home_without_locks_makes_nothing_fail(poll_for: Callable[..., None]) -> None:
    with home("lockless") as there:
        # Not /tmp, where they are otherwise: all that the course locks is in such a home.
        folders = {f"WORKQ_{name}_DIR": str(there.path / name) for name in ("RUNTIME", "CACHE", "DATA")}
        locking = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX)"
        tried = there.run([sys.executable, "-c", locking, str(there.path / "a lock")])
        assert f"[Errno {errno.ENOLCK}]" in tried.stderr
        seen = there.visit(**folders)
        assert seen["opened"], seen["said"]
        assert "can't" not in seen["said"].partition("==> JupyterLab")[0]
        assert (seen["kernel"], seen["saved"], seen["lesson_failed"]) == (201, 200, "")
        assert seen["lesson"].splitlines()[-1] == ""  # progress was kept
        assert first_cell(there).startswith(ADDED)
        poll_for(lambda: not processes_in(folders))  # the supervisor needs this home until it has ended
