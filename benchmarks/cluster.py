"""How long three nodes of one cluster take to start, and what they hold of memory: `python benchmarks/cluster.py`.

`start_cluster` in a new process up to its return, when the nodes have met and take a quorum queue; then what all their
processes hold. ``WORKQ_BROKER`` and ``WORKQ_RABBITMQ_IMAGE`` choose the nodes, as everywhere.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import psutil

from benchmarks.bench import Bench, alone
from benchmarks.boot import course, image_of
from benchmarks.row import Goal, Row
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.removal import SUPERVISOR_LABEL
from workq_helpers.broker.share import ask

PART = "cluster"

START_GOAL, MEMORY_GOAL = Goal("<=", 30), Goal("<=", 600)

_START = """
import sys, time
from workq_helpers.broker import start_cluster
begun = time.perf_counter()
with start_cluster(lambda text: None):
    print(time.perf_counter() - begun, flush=True)
    sys.stdin.read()
"""


def measure(bench: Bench) -> None:
    """Start three nodes once a round."""
    image = image_of(bench)
    rounds = [_one_round(image) for _ in range(bench.rounds)]
    seconds, megabytes = ([each[side] for each in rounds] for side in (0, 1))
    what = f"three nodes, {image or 'private ones'}"
    bench.report.add(Row(PART, what, "start", "s", seconds, goal=START_GOAL))
    bench.report.add(Row(PART, what, "memory", "MB", megabytes, goal=MEMORY_GOAL))


def _one_round(image: str | None) -> tuple[float, float]:
    with (
        course(image) as environ,
        subprocess.Popen(
            [sys.executable, "-c", _START], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout
        seconds = float(process.stdout.readline())
        return seconds, resident_bytes(environ) / 1e6


def resident_bytes(environ: Mapping[str, str]) -> int:
    """Return how much memory all processes of the cluster's nodes hold."""
    status = ask(Folders.from_environ(environ).of_the_cluster(), "status")
    assert status
    supervisor = int(status["answer"]["supervisor"])
    firsts = _firsts_in_containers(supervisor) or psutil.Process(supervisor).children()
    found = {process for first in firsts for process in (first, *first.children(recursive=True))}
    return sum(process.memory_info().rss for process in found)


def _firsts_in_containers(supervisor: int) -> list[psutil.Process]:
    """Return the first process of each container that a supervisor has started; none where it started private nodes."""
    listing = ["docker", "ps", "--quiet", "--filter", f"label={SUPERVISOR_LABEL}={supervisor}"]
    try:
        names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []
    if not names:
        return []
    asking = ["docker", "inspect", "--format", "{{.State.Pid}}", *names]
    answer = subprocess.run(asking, check=True, capture_output=True, text=True).stdout
    return [psutil.Process(int(pid)) for pid in answer.split()]


if __name__ == "__main__":
    alone(PART, measure, __doc__)
