""".ci/leftovers: what is ours is found, what another run of CI is using is not counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.text,
    pytest.mark.skipif(sys.platform != "linux", reason="CI runs on Debian alone"),
    pytest.mark.skipif(
        not (shutil.which("ps") and shutil.which("awk")),
        reason="the script asks `ps`: on Debian `sudo apt-get install procps`",
    ),
]

SCRIPT = Path(__file__).parents[2] / ".ci" / "leftovers"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a .venv, on a machine whose `docker` prints the file ``containers``."""
    for folder in (".ci", ".venv/bin", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / ".ci")
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "bin/docker").write_text(f"#!/bin/sh\ncat {tmp_path}/containers\n")
    (tmp_path / "bin/docker").chmod(0o755)
    (tmp_path / "containers").touch()
    return tmp_path


def leftovers(checkout: Path) -> tuple[int, str]:
    ran = subprocess.run(
        [checkout / ".ci/leftovers"],
        env={"PATH": f"{checkout}/bin:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.fixture
def ours(checkout: Path) -> Iterator[int]:
    """A process of the checkout's .venv, as its supervisor is one."""
    command = [checkout / ".venv/bin/python", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate()


def test_nothing_left_is_0_and_no_word(checkout: Path) -> None:
    assert leftovers(checkout) == (0, "")


def test_containers_of_a_dead_supervisor_are_left_behind_and_those_of_a_living_one_are_not(
    checkout: Path, dead: int
) -> None:
    (checkout / "containers").write_text(f"{os.getpid()} in-use rabbitmq, Up\n{dead} orphan rabbitmq, Created\n")
    assert leftovers(checkout) == (1, f"container orphan, whose supervisor {dead} is dead: rabbitmq, Created\n")
    (checkout / "containers").write_text(f"{os.getpid()} in-use rabbitmq, Up\n")
    assert leftovers(checkout) == (0, "")


def test_a_process_of_the_checkout_is_left_behind(checkout: Path, ours: int) -> None:
    status, text = leftovers(checkout)
    assert status == 1
    assert text.startswith("process ")
    assert str(ours) in text.split()


def test_a_docker_that_does_not_answer_is_not_one_without_containers(checkout: Path) -> None:
    (checkout / "containers").unlink()
    assert leftovers(checkout)[0] != 0
