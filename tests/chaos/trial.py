"""`try_plan`: a plan made, executed and judged."""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos.kernel import execute_in_a_kernel
from tests.chaos.plan import Plan
from tests.chaos.run import execute
from tests.chaos.verdict import Seen, judge
from tests.leaks import Leaks
from workq_helpers import Broker

__all__ = ["Trial", "try_plan"]


class Trial(NamedTuple):
    """What was seen of a run, and what was wrong with it."""

    seen: Seen
    wrong: list[str]


def try_plan(plan: Plan, broker: Broker, leaks: Leaks) -> Trial:
    """Execute `plan` on `broker` and judge it; what is left since `leaks` was made is wrong too."""
    if not broker.features.transient_queues:
        plan = plan.without_transient_queues()
    seen = execute_in_a_kernel(plan, broker) if plan.kernel_kill else execute(plan, broker)
    seen.leaks += [f"left behind: {kind} {member}" for kind, members in leaks.found().items() for member in members]
    return Trial(seen, judge(plan, seen))
