"""The campaign: `make chaos SEED=7 RUNS=50`, or `python -m tests.chaos --help`."""

from __future__ import annotations

import argparse
import itertools
import secrets
import signal
import sys
from collections.abc import Iterator

from tests.chaos.campaign import Campaign, in_parts
from tests.chaos.plan import Plan, make_plan


def main() -> int:
    """Run the campaign; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first run's seed; the others have those that follow")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=3, help="how many runs at a time, each with a broker of its own")
    parser.add_argument("--restarts", choices=("some", "none", "all"), default="some", help="which plans to run")
    parser.add_argument("--only", help="run only plans in which this happens: a deed, or 'kernel'")
    parser.add_argument("--every-fault", action="store_true", help="a fault that never happened is a failure, too")
    parser.add_argument("--in-a-row", type=int, default=0, help="restart or crash the broker so often under load")
    parser.add_argument("--plan", action="store_true", help="print the plans and run nothing")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    if options.in_a_row:
        wanted = [
            {"seed": seed + number, "restarts": restarts} for number, restarts in enumerate(in_parts(options.in_a_row))
        ]
    else:
        plans = list(itertools.islice(_plans(seed, options.restarts, options.only), options.runs))
        if options.plan:
            print(*plans, sep="\n\n")
            return 0
        wanted = [{"seed": plan.seed} for plan in plans]
    print(f"SEED={seed} RUNS={len(wanted)}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the campaign's own end, which leaves nothing
    campaign = Campaign(options.jobs)
    campaign.run(wanted)
    print(campaign.summary(), flush=True)
    missing = campaign.missing() if options.every_fault else []
    if missing:
        print(f"These never happened, and could have: {', '.join(missing)}.")
    return 1 if campaign.wrong or campaign.left or missing else 0


def _plans(seed: int, restarts: str, only: str | None) -> Iterator[Plan]:
    for plan in map(make_plan, itertools.count(seed)):
        fits = restarts == "some" or bool(plan.restarts) == (restarts == "all")
        if fits and (only is None or (only == "kernel" and plan.kernel_kill) or only in {s.deed for s in plan.steps}):
            yield plan


if __name__ == "__main__":
    sys.exit(main())
