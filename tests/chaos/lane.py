"""One of the campaign's processes: a broker of its own, and run after run on it.

It reads a JSON object a line, each a run to make, and answers each with one; its first line says what it runs on, its
last what it left behind.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import psutil

from tests import leaks
from tests.chaos import faults
from tests.chaos.forgery import forge
from tests.chaos.plan import Plan, make_plan, make_restarts_plan
from tests.chaos.trial import try_plan
from tests.chaos.verdict import judge, tally
from tests.leaks import Leaks
from workq_helpers import Broker, find_broker
from workq_helpers import broker as brokers
from workq_helpers.waiting import wait_until

__all__ = ["main"]

#: How large the file system is that may be filled: room for a node, which takes none with less.
_DISK_SIZE = "400m"
#: How much longer than planned a run may take before its process is given up.
_PATIENCE_SECONDS = 120.0
#: How long what ends with the broker may take to end.
_SETTLE_SECONDS = 20.0


def main() -> None:
    """Serve runs until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed is no answer
    folder = Path(os.environ["WORKQ_RUNTIME_DIR"])
    if os.environ.get(faults.SMALL_DISK):
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_SIZE},mode=0700", "workq-chaos", str(folder)]
        subprocess.run(command, check=True)
    threads = set(threading.enumerate())
    with find_broker(lambda _: None) as broker:
        leaks.watch(broker)
        containers = faults.course_containers()
        _answer(answers, {"broker": broker.describe(), "source": broker.source})
        for line in sys.stdin:
            _answer(answers, _run(broker, **json.loads(line)))
    brokers.stop()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody listens any more: so be it
    left = wait_until(
        lambda: list(_left(folder, threads, containers)),
        _SETTLE_SECONDS,
        accept=lambda left: not left,
        interval_seconds=0.05,
    )
    _answer(answers, {"left": left})


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _run(broker: Broker, seed: int, restarts: int = 0) -> dict[str, Any]:
    plan = make_restarts_plan(seed, restarts) if restarts else make_plan(seed)
    began = time.monotonic()
    faulthandler.dump_traceback_later(plan.deadline_seconds + _PATIENCE_SECONDS, exit=True)
    try:
        trial = try_plan(plan, broker, Leaks(broker))
    finally:
        faulthandler.cancel_dump_traceback_later()
    seen, wrong = trial.seen, list(trial.wrong)
    found, fooled = (0, []) if wrong else _tempt_the_judge(plan, trial.seen)
    if (wrong or fooled) and (kept := os.environ.get("CHAOS_LOGS")):
        Path(kept, f"{seed}.log").write_text("".join(f"{row}\n" for row in seen.rows))
    return {
        "seed": seed,
        "wrong": wrong + fooled,
        "notes": seen.notes,
        "plan": str(plan),
        "seconds": time.monotonic() - began,
        "happened": seen.happened,
        "tally": tally(plan, seen) | {"forged logs shown to the judge, all found": found},
        "size": _size(),
    }


def _tempt_the_judge(plan: Plan, seen: Any) -> tuple[int, list[str]]:
    """Falsify the log of a run that went well; return how often the judge saw it, and where it did not."""
    forgeries = list(forge(plan, seen, plan.seed))
    fooled = [f"the judge saw nothing wrong where {text}" for text, forged in forgeries if not judge(plan, forged)]
    return len(forgeries) - len(fooled), fooled


def _size() -> str:
    """How large this process and its supervisor are: what leaks grows from run to run."""
    found = {"this process": psutil.Process()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "workq_helpers.broker.supervisor" in line and os.environ["WORKQ_RUNTIME_DIR"] in line:
                found["supervisor"] = process
    return "; ".join(
        f"{name} {process.memory_info().rss / 1e6:.0f} MB, {process.num_threads()} threads, {process.num_fds()} files"
        for name, process in found.items()
    )


def _left(folder: Path, threads: set[threading.Thread], containers: tuple[str, ...]) -> Iterator[str]:
    yield from (f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("WORKQ_RUNTIME_DIR") == str(folder):
                yield f"process {process.pid} {process.name()}"
    if containers:
        import docker

        with contextlib.closing(docker.from_env()) as client:
            yield from (
                f"container {c.name}"
                for c in client.containers.list(all=True, ignore_removed=True)
                if c.name in containers
            )
    yield from (f"file {path}" for path in folder.rglob("*"))


if __name__ == "__main__":
    main()
