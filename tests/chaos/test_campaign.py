from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.campaign import FAULTS, Campaign, in_parts
from tests.chaos.run import _FAULTS_IN_THE_LOG
from tests.support import need
from workq_helpers import Broker

ROOT = Path(__file__).parents[2]


def test_restarts_are_divided_among_runs() -> None:
    assert list(in_parts(60)) == [25, 25, 10]


def test_every_fault_that_the_log_tells_of_is_in_the_summary() -> None:
    assert set(_FAULTS_IN_THE_LOG) < set(FAULTS)


def test_a_fault_that_never_happened_is_told() -> None:
    campaign = Campaign(1)
    campaign.happened["worker frozen"] = 3
    lines = campaign.summary().splitlines()
    assert any(line.split() == ["worker", "frozen", "3"] for line in lines)
    assert any("broker crashed" in line and "never in these runs" in line for line in lines)
    assert "broker crashed" in campaign.missing()
    assert "worker frozen" not in campaign.missing()


@pytest.mark.nightly  # in the gate the part `chaos` runs these two seeds and 23 more
@pytest.mark.once
def test_a_campaign_ends_with_a_summary_and_nothing_left(broker: Broker) -> None:
    """Two runs in one process with a broker of its own; in the second the kernel is killed."""
    need(broker.ours, "the campaign starts a broker of its own where the course does")
    command = [sys.executable, "-m", "tests.chaos", "--seed", "24", "--runs", "2", "--jobs", "1"]
    environ = {name: value for name, value in os.environ.items() if name != "CHAOS_LOGS"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environ, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 0 failed" in done.stdout
    assert any(line.split() == ["kernel", "killed", "1"] for line in done.stdout.splitlines())
    [forged] = [line for line in done.stdout.splitlines() if "forged logs" in line]
    assert int(forged.split()[-1].replace(",", "")) > 5
