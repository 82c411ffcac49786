"""The campaign: `make chaos SEED=7 RUNS=50`, or `python -m tests.chaos --help`."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Before anything of the course is imported: a broker of the person who runs this is left alone.
_runtime = Path(tempfile.mkdtemp(prefix="workq-"))
os.environ["WORKQ_RUNTIME_DIR"] = str(_runtime)
os.environ["WORKQ_DATA_DIR"] = str(_runtime / "data")
os.environ.setdefault("WORKQ_SECONDS_PER_DOT", "0.002")

import psutil  # noqa: E402

from tests.chaos.faults import course_containers  # noqa: E402
from tests.chaos.plan import Plan, make_plan  # noqa: E402
from tests.chaos.trial import try_plan  # noqa: E402
from tests.leaks import Leaks  # noqa: E402
from workq_helpers import Broker, find_broker  # noqa: E402
from workq_helpers import broker as brokers  # noqa: E402


def main() -> int:
    """Run the campaign; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first run's seed; the others have those that follow")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--restarts", choices=("some", "none", "all"), default="some", help="which plans to run")
    parser.add_argument("--plan", action="store_true", help="print the plans and run nothing")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    wanted = {"some": lambda plan: True, "none": lambda plan: not plan.restarts, "all": lambda plan: plan.restarts}
    plans = itertools.islice(filter(wanted[options.restarts], map(make_plan, itertools.count(seed))), options.runs)
    if options.plan:
        print(*plans, sep="\n\n")
        return 0
    print(f"SEED={seed} RUNS={options.runs}", flush=True)
    try:
        return _campaign(plans)
    finally:
        shutil.rmtree(_runtime, ignore_errors=True)


def _campaign(plans: Iterator[Plan]) -> int:
    threads = set(threading.enumerate())
    with find_broker(_say) as broker:
        print(broker.describe(), flush=True)
        containers = course_containers()
        wrong = [plan.seed for plan in plans if not _passes(plan, broker)]
    brokers.stop()
    left = _left(threads, containers)
    for text in left:
        print(f"left at the end of the campaign: {text}")
    if wrong:
        print(f"{len(wrong)} failed. To replay one: " + "; ".join(f"make chaos SEED={seed} RUNS=1" for seed in wrong))
        print("Add the seed to tests/chaos/seeds.txt, so that it is tried again from now on.")
    return 1 if wrong or left else 0


def _passes(plan: Plan, broker: Broker) -> bool:
    began = time.monotonic()
    trial = try_plan(plan, broker, Leaks(broker))
    kinds = Counter(row[1] for row in trial.seen.rows)
    print(
        f"{'FAILED' if trial.wrong else 'passed'}  seed {plan.seed}: {kinds['published']} published, "
        f"{kinds['delivered']} delivered, {kinds['requeued']} requeued, {kinds['lost']} lost, "
        f"{time.monotonic() - began:.1f} s",
        flush=True,
    )
    for note in trial.seen.notes if trial.wrong else ():
        print(f"    note: {note}")
    if trial.wrong:
        print(plan)
        for text in trial.wrong[:20]:
            print(f"    wrong: {text}")
        if len(trial.wrong) > 20:
            print(f"    and {len(trial.wrong) - 20} more")
        print(f"To replay it: make chaos SEED={plan.seed} RUNS=1", flush=True)
    if (folder := os.environ.get("CHAOS_LOGS")) and trial.wrong:
        with Path(folder, f"{plan.seed}.log").open("w") as file:
            file.writelines(f"{row}\n" for row in trial.seen.rows)
    return not trial.wrong


def _left(threads: set[threading.Thread], containers: tuple[str, ...]) -> Iterator[str]:
    yield from (f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("WORKQ_RUNTIME_DIR") == str(_runtime):
                yield f"process {process.pid} {process.name()}"
    if containers:
        import docker

        with contextlib.closing(docker.from_env()) as client:
            yield from (f"container {c.name}" for c in client.containers.list(all=True) if c.name in containers)
    yield from (f"file {path}" for path in _runtime.rglob("*"))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
