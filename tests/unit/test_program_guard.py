"""A program's guard where the system does not end the one with the other, as on macOS."""

from __future__ import annotations

import subprocess
import sys

import psutil

GUARD = """
import sys
from workq_helpers.clients import program_guard
sys.platform = "darwin"
program_guard.main([sys.executable, "-c", "import time; time.sleep(600)"])
"""


def test_a_program_ends_with_whoever_asked_for_it_where_the_system_does_not_see_to_that() -> None:
    with subprocess.Popen([sys.executable, "-c", GUARD], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as guard:
        assert guard.stderr is not None
        assert guard.stdin is not None
        program = psutil.Process(int(guard.stderr.readline()))
        guard.stdin.close()
        assert int(guard.stderr.readline()) < 0  # it was killed, and waited for
        assert guard.wait(60) == 0
    assert not program.is_running()
