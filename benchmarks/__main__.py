"""Measures the course: `make bench`.

All parts in one run on one RabbitMQ; `make bench BENCH_ARGS="engine workers --rounds 9"` chooses. Every comparison
alternates its sides round by round; figures are medians, with the smallest and the largest in brackets. The exit status
is 1 if a goal is missed. Close what else needs the processor first.
"""

from __future__ import annotations

import sys

from benchmarks import boot, cluster, engine, lessons, log, relay, set_up, site_load, stage, workers
from benchmarks.bench import run

PARTS = {
    module.PART: module.measure
    for module in (engine, relay, workers, log, stage, site_load, boot, cluster, set_up, lessons)
}

if __name__ == "__main__":
    sys.exit(run(PARTS, description=__doc__))
