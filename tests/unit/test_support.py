from __future__ import annotations

import subprocess
import sys

import psutil

from tests.conftest import poll_for
from tests.support import command_of


def test_a_process_that_has_ended_has_no_command_line() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    poll_for(lambda: "input()" in command_of(process))  # it has been loaded
    assert child.stdin is not None
    child.stdin.close()
    poll_for(lambda: process.status() == psutil.STATUS_ZOMBIE)  # nobody has waited for it
    assert command_of(process) == []
    child.wait()
    assert command_of(process) == []
