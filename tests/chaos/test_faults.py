from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos import faults
from tests.chaos.campaign import mount_namespace
from tests.support import need
from workq_helpers.log.events import EventLog

ROOT = Path(__file__).parents[2]


def test_the_clock_is_set_and_put_right() -> None:
    clock, before = faults.Clock(), time.time()
    try:
        assert clock.set(-3600)
        assert before - 3700 < time.time() < before - 3500
    finally:
        clock.put_right()
    assert before <= time.time() < before + 100


def test_the_clock_of_other_processes_is_set(tmp_path: Path) -> None:
    environ = os.environ | {faults.CLOCK_FILE: str(tmp_path / "clock"), "PYTHONPATH": str(ROOT / "tests/chaos/clock")}

    def told() -> float:
        command = [sys.executable, "-c", "import time; print(time.time())"]
        return float(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)

    assert abs(told() - time.time()) < 100
    (tmp_path / "clock").write_text("86400")
    assert abs(told() - time.time() - 86_400) < 100


def test_a_log_goes_on_whatever_the_clock_says() -> None:
    log, clock = EventLog(), faults.Clock()
    log.record("stopped", "w")
    try:
        clock.set(-86_400)
        log.record("stopped", "w")
    finally:
        clock.put_right()
    assert 0 <= log[0].seconds <= log[1].seconds < 100


_FULL = """
import errno, subprocess, sys
from pathlib import Path
from tests.chaos.faults import full_disk
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "workq-chaos", str(folder)], check=True)
with full_disk(folder):
    try:
        (folder / "file").write_text("a word")
    except OSError as error:
        print(error.errno)
(folder / "file").write_text("a word")
print((folder / "file").read_text(), [path.name for path in folder.iterdir()])
"""


def test_a_full_disk_has_room_for_nothing_and_is_as_it_was_afterwards(tmp_path: Path) -> None:
    namespace = mount_namespace()
    need(namespace or not os.environ.get("CI"), "a process that may mount a file system of its own")
    if not namespace:
        pytest.skip("no file system may be mounted here")
    command = [*namespace, sys.executable, "-c", _FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines() == [str(errno.ENOSPC), "a word ['file']"], done.stderr
