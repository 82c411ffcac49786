"""The long runs: `make endurance MINUTES=30 KERNELS=100`, or `python -m tests.endurance --help`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Before anything of the course is imported: a broker of the person who runs this is left alone.
_runtime = Path(tempfile.mkdtemp(prefix="workq-"))
os.environ["WORKQ_RUNTIME_DIR"] = str(_runtime)
os.environ["WORKQ_DATA_DIR"] = str(_runtime / "data")
os.environ.setdefault("WORKQ_SECONDS_PER_DOT", "0.002")

from tests.broker.course import course  # noqa: E402
from tests.endurance import report  # noqa: E402
from tests.endurance.kills import broker_settings, kill_kernels, left  # noqa: E402
from tests.endurance.soak import Load, Round, soak  # noqa: E402
from workq_helpers import broker as brokers  # noqa: E402
from workq_helpers import find_broker  # noqa: E402
from workq_helpers.waiting import wait_until  # noqa: E402


def main() -> int:
    """Run what was asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to soak")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second")
    parser.add_argument("--round", type=int, default=12_000, help="messages until the lesson is opened again")
    parser.add_argument("--kernels", type=int, default=100, help="how many kernels to kill afterwards")
    parser.add_argument("--seed", type=int, default=1, help="decides at which moments they are killed")
    parser.add_argument("--json", type=Path, default=Path("build/endurance.json"), help="where the figures go")
    options = parser.parse_args()
    try:
        found = _soak(Load(options.rate, options.round, 8), options.minutes)
    finally:
        brokers.stop()
        shutil.rmtree(_runtime, ignore_errors=True)
    leftovers = _kill(options.kernels, options.seed) if options.kernels else []
    for text in leftovers:
        print(f"left a minute after the last kernel was killed: {text}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report.as_json(found) | {"left": leftovers}, indent=1))
    return 1 if leftovers or any(report.wrong(found)) else 0


def _kill(count: int, seed: int) -> list[str]:
    """Kill kernels, and return what is left of them after a minute."""
    with course(**broker_settings()) as environ:
        kill_kernels(count, environ, seed, _wait_for, lambda text: print(text, flush=True))
        return wait_until(lambda: left(environ), 60.0, accept=lambda leftovers: not leftovers)


def _wait_for(condition: Callable[[], object], timeout: float = 30.0) -> None:
    if not wait_until(condition, timeout, interval_seconds=0.05):
        sys.exit(f"the awaited condition did not hold within {timeout} s")


def _soak(load: Load, minutes: float) -> list[Round]:
    end = time.monotonic() + minutes * 60
    began = time.monotonic()

    def tell(each: Round) -> None:
        nonlocal began
        kernel = each.begin["kernel"]
        took, began = time.monotonic() - began, time.monotonic()
        print(
            f"{each.account['done']} done, {each.account['events']} events in {took:.0f} s; at its beginning the "
            f"kernel had {kernel.megabytes:.1f} MB, {kernel.threads} threads, {kernel.descriptors} descriptors; "
            f"full {each.full['kernel'].megabytes:.1f} MB",
            flush=True,
        )

    with find_broker(lambda text: print(text, flush=True)) as broker:
        print(broker.describe(), flush=True)
        rounds = soak(broker, load, lambda over: over < 8 or time.monotonic() < end, tell)
    print(report.table(rounds))
    for text in report.wrong(rounds):
        print(f"wrong: {text}")
    return rounds


if __name__ == "__main__":
    sys.exit(main())
