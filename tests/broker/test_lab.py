"""`make lab`: what it opens, and that nothing of it is left however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support import LAB_URL, command_of, jupyter_client, need
from workq_helpers import Broker
from workq_helpers import broker as brokers

pytestmark = pytest.mark.machine

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass
class Lab:
    """A running `make lab`: its make, its JupyterLab, a kernel, and where it listens."""

    make: subprocess.Popen[str]
    jupyterlab: psutil.Process
    kernel: psutil.Process
    address: str
    token: str


@pytest.fixture
def lab(broker: Broker, tmp_path: Path) -> Iterator[Lab]:
    need((BIN / "workq").exists(), f"the course is not installed in {BIN.parent}; run make setup")
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    with subprocess.Popen(
        ["make", "--old-file=setup", "lab", f"BIN={BIN}", "LAB_ARGS=--no-browser --port 0"],
        cwd=ROOT,
        env={**os.environ, **folders, "JUPYTER_GATEWAY_URL": "http://127.0.0.1:9"},  # another machine's kernels
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as make:
        assert make.stderr is not None
        try:
            address, token = next(found.groups() for found in map(LAB_URL.search, make.stderr) if found)
            with jupyter_client(token) as client:
                client.post(f"{address}/api/kernels", json={"name": "python3"}).raise_for_status()
            (jupyterlab,) = psutil.Process(make.pid).children()
            (kernel,) = (each for each in jupyterlab.children() if "ipykernel_launcher" in command_of(each))
            yield Lab(make, jupyterlab, kernel, address, token)
        finally:
            left = psutil.Process(make.pid).children(recursive=True) if make.poll() is None else []
            make.kill()
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def test_it_opens_the_first_lesson_for_who_has_the_token_and_nothing_is_left_when_it_is_asked_to_end(lab: Lab) -> None:
    first = f"{lab.address}/api/contents/notebooks/00_start_here.ipynb"
    assert httpx.get(first).status_code == 403
    answer = httpx.get(first, headers={"Authorization": f"token {lab.token}"})
    assert answer.json()["type"] == "notebook"
    lab.make.terminate()
    assert_gone(lab.jupyterlab, lab.kernel)


def test_it_holds_the_broker_while_it_runs_and_nothing_is_left_when_make_is_killed(
    lab: Lab, broker: Broker, poll_for: Callable[..., None]
) -> None:
    need(broker.ours, "only a broker of the course's own is held")
    assert shares() >= 2  # the tests' own, and the lab's
    held = shares()
    lab.make.send_signal(signal.SIGKILL)
    poll_for(lambda: shares() < held)
    assert_gone(lab.jupyterlab, lab.kernel)


def shares() -> int:
    status = brokers.status()
    return status.shares if status else 0


@pytest.mark.nightly
def test_nothing_is_left_when_jupyterlab_is_killed(lab: Lab) -> None:
    lab.jupyterlab.kill()
    assert_gone(lab.jupyterlab, lab.kernel)
    assert lab.make.wait(30) != 0


def assert_gone(*processes: psutil.Process) -> None:
    _, alive = psutil.wait_procs(list(processes), timeout=60)
    assert alive == []
