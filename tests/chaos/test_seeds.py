from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.forgery import forge
from tests.chaos.plan import make_plan
from tests.chaos.trial import try_plan
from tests.chaos.verdict import judge
from tests.leaks import Leaks
from tests.support import need
from workq_helpers import Broker

#: A handful without restarts of the broker: quick, and different from one another. In 25 the kernel is killed.
#: The campaign of the gate has them too; the first is tried here, where a failure shows most.
FIXED = (1, 3, 4, 11, 14, 25)


def kept() -> list[int]:
    """The seeds that once failed."""
    lines = (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    return [int(text) for line in lines if (text := line.partition("#")[0].strip())]


@pytest.mark.once
@pytest.mark.timeout(300)  # a plan's own deadline is below that, and says more
@pytest.mark.parametrize(
    "seed",
    [FIXED[0], *(pytest.param(seed, marks=pytest.mark.nightly) for seed in dict.fromkeys((*FIXED[1:], *kept())))],
)
def test_nothing_is_lost_whatever_breaks(broker: Broker, seed: int) -> None:
    plan = make_plan(seed)
    need(broker.ours or not plan.restarts, "only a broker that the course started is restarted by tests")
    trial = try_plan(plan, broker, Leaks(broker))
    for text, forged in forge(plan, trial.seen, seed) if not trial.wrong else ():
        assert judge(plan, forged), f"the judge saw nothing wrong where {text}"
    assert not trial.wrong, f"{plan}\n" + "\n".join([*trial.wrong, f"make chaos SEED={seed} RUNS=1"])


def test_the_fixed_seeds_restart_nothing() -> None:
    assert not any(make_plan(seed).restarts for seed in FIXED)
