"""`Campaign`: many runs, several at a time, and a summary that says what really happened in them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tqdm

from tests.chaos import faults

__all__ = ["FAULTS", "Campaign", "in_parts", "mount_namespace"]

#: Everything that the campaign does to the course, as the summary lists it.
FAULTS = (
    "worker killed before work",
    "worker killed during work",
    "worker killed before ack",
    "worker killed after ack",
    "worker killed at any time",
    "worker frozen",
    "worker stopped",
    "callback raised",
    "channel closed by an error",
    "connection closed by the broker",
    "connection cut by the proxy",
    "connection delayed by the proxy",
    "connection half-open to the client",
    "connection half-open to the broker",
    "memory alarm",
    "disk alarm",
    "publisher blocked",
    "program killed",
    "program frozen",
    "broker restarted",
    "broker crashed",
    "kernel killed",
    "clock set",
    "disk full",
    "disk full under the broker",
)
_ROOT = Path(__file__).parents[2]


class _NoBrokerError(Exception):
    """A process of the campaign has nothing to run on."""


class Campaign:
    """Makes runs in processes that have a broker each.

    Args:
        jobs: How many runs at a time.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._folder: Path
        self._namespace = mount_namespace()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._lock = threading.Lock()
        self._ending = False
        self.happened: Counter[str] = Counter()
        self.tally: Counter[str] = Counter()
        self.passed = 0
        self.wrong: list[int] = []
        self.left: list[str] = []
        self.brokers: set[str] = set()
        self._sources: set[str] = set()
        self._seconds = 0.0

    def run(self, wanted: list[dict[str, int]]) -> None:
        """Make all these runs, and show how far they are."""
        began = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="workq-"))
        jobs = min(self._jobs, len(wanted))
        runs = iter(wanted)
        lanes = [
            threading.Thread(target=self._serve, args=(number, runs), name=f"lane {number}") for number in range(jobs)
        ]
        for lane in lanes:
            lane.start()
        ended = 0
        try:
            with tqdm.tqdm(total=len(wanted), unit="run", disable=None, dynamic_ncols=True) as bar:
                while ended < jobs:
                    answer = self._answers.get()
                    ended += "ended" in answer
                    if "seed" in answer:
                        self._take(answer, bar)
        finally:
            self._ending = True  # after the runs under way, if somebody wants no more of them
            for lane in lanes:
                lane.join()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._seconds = time.monotonic() - began

    # -- a lane

    def _serve(self, number: int, runs: Iterator[dict[str, int]]) -> None:
        """Have one process make run after run, and another in its place should it die."""
        try:
            while (run := self._next(runs)) is not None:
                with self._lane(number) as lane:
                    while run is not None and self._ask(lane, run):
                        run = self._next(runs)
        except _NoBrokerError as error:
            self.left.append(str(error))
        finally:
            self._answers.put({"ended": number})

    def _next(self, runs: Iterator[dict[str, int]]) -> dict[str, int] | None:
        with self._lock:
            return None if self._ending else next(runs, None)

    def _ask(self, lane: subprocess.Popen[str], run: dict[str, int]) -> bool:
        assert lane.stdin is not None
        assert lane.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            lane.stdin.write(json.dumps(run) + "\n")
            lane.stdin.flush()
        line = lane.stdout.readline()
        if not line:
            why = "its process died; see above"
            self._answers.put({"seed": run["seed"], "wrong": [why], "seconds": 0.0, "plan": "", "notes": []})
            return False
        self._answers.put(json.loads(line) | run)
        return True

    @contextlib.contextmanager
    def _lane(self, number: int) -> Iterator[subprocess.Popen[str]]:
        folder = self._folder / f"lane-{number}"
        folder.mkdir(mode=0o700, exist_ok=True)
        command = [*self._namespace, sys.executable, "-m", "tests.chaos.lane"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
            env=self._environ(folder),
        ) as lane:  # fmt: skip
            assert lane.stdin is not None
            assert lane.stdout is not None
            began = lane.stdout.readline()
            if not began:
                raise _NoBrokerError(f"runs that were not made: process {number} found no broker; see above")
            self.brokers.add(json.loads(began)["broker"])
            self._sources.add(json.loads(began)["source"])
            try:
                yield lane
            finally:
                with contextlib.suppress(BrokenPipeError):
                    lane.stdin.close()
                if left := lane.stdout.readline():
                    self.left += json.loads(left)["left"]

    def _environ(self, folder: Path) -> dict[str, str]:
        environ = os.environ | {
            "WORKQ_RUNTIME_DIR": str(folder),
            "WORKQ_DATA_DIR": str(folder / "data"),
            "WORKQ_SECONDS_PER_DOT": os.environ.get("WORKQ_SECONDS_PER_DOT", "0.002"),
        }
        if self._namespace:
            environ[faults.SMALL_DISK] = "1"
        clock = self._folder / f"clock-{folder.name}"
        clock.write_text("0")
        path = os.pathsep.join(filter(None, [str(_ROOT / "tests/chaos/clock"), os.environ.get("PYTHONPATH")]))
        environ |= {faults.CLOCK_FILE: str(clock), "PYTHONPATH": path}
        return environ

    # -- what they tell

    def _take(self, answer: dict[str, Any], bar: tqdm.tqdm[Any]) -> None:
        wrong = answer["wrong"]
        self.happened.update(answer.get("happened", {}))
        self.tally.update(answer.get("tally", {}))
        self.passed += not wrong
        bar.update()
        told = Counter(answer.get("tally", {}))
        replay = "" if answer.get("restarts") else f"make chaos SEED={answer['seed']} RUNS=1"
        text = (
            f"{'FAILED' if wrong else 'passed'}  seed {answer['seed']}: {told['messages published']} published, "
            f"{told['deliveries']} delivered, {answer['seconds']:.1f} s"
        )
        if answer.get("restarts"):
            text += f", {answer['restarts']} restarts ({answer.get('size', '')})"
        if wrong:
            self.wrong.append(answer["seed"])
            text += "".join(f"\n    note: {note}" for note in answer["notes"]) + f"\n{answer['plan']}"
            text += "".join(f"\n    wrong: {line}" for line in wrong[:20])
            text += f"\n    and {len(wrong) - 20} more" if len(wrong) > 20 else ""
            text += f"\nTo replay it: {replay}" if replay else ""
        if wrong or bar.disable or answer.get("restarts"):
            tqdm.tqdm.write(text)
            sys.stdout.flush()

    def missing(self) -> list[str]:
        """Return the faults that never happened and could have."""
        return [fault for fault in FAULTS if not self.happened[fault] and not self._impossible(fault)]

    def _impossible(self, fault: str) -> str:
        if fault.startswith("disk full") and not self._namespace:
            return "no file system may be mounted here"
        if fault == "disk full under the broker" and "node" not in self._sources:
            return "only a node's data are where we may fill the disk"
        return ""

    def summary(self) -> str:
        """Return what happened in all runs together, for people to read."""
        runs = self.passed + len(self.wrong)
        lines = ["", f"{runs} runs in {self._seconds:.0f} s, {self._jobs} at a time: {self.passed} passed, "
                 f"{len(self.wrong)} failed", *sorted(self.brokers), "", "Faults that really happened:"]  # fmt: skip
        for fault in [*FAULTS, *sorted(self.happened.keys() - set(FAULTS))]:
            never = self._impossible(fault) or "never in these runs"
            lines.append(f"  {fault:<45}{self.happened[fault] or f'- ({never})':>7}")
        lines += ["", "Judged:", *(f"  {text:<70}{times:>9,}" for text, times in self.tally.items())]
        lines += [f"left: {text}" for text in self.left]
        if self.wrong:
            lines += ["", "To replay what failed: " + "; ".join(f"make chaos SEED={s} RUNS=1" for s in self.wrong)]
            lines += ["Add the seeds to tests/chaos/seeds.txt, so that they are tried again from now on."]
        return "\n".join(lines)


def mount_namespace() -> list[str]:
    """Return the command before a command that gives it mounts of its own, or nothing where there is none."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        probe = [*command, "mount", "-t", "tmpfs", "workq-chaos", "/mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return command
    return []


def in_parts(restarts: int, most: int = 25) -> Iterable[int]:
    """Divide so many restarts among runs: a log of all of them would grow without end."""
    while restarts > 0:
        yield min(restarts, most)
        restarts -= most
