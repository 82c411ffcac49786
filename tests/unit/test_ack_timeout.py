from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from workq_helpers.ack_timeout import wait_for_ack_timeout
from workq_helpers.events import EventLog


def waited(version: str, *, ours: bool = True, alive: bool = False) -> str:
    lesson: Any = SimpleNamespace(log=EventLog(), broker=SimpleNamespace(version=Version(version), ours=ours))
    worker: Any = SimpleNamespace(name="worker-1", state="crashed", alive=alive)
    return wait_for_ack_timeout(lesson, worker)


def test_a_broker_without_a_timeout_for_a_queue_is_not_waited_for() -> None:
    assert waited("3.10.8", alive=True).startswith("RabbitMQ 3.10.8 has one timeout for all its queues")


def test_a_broker_that_looks_once_a_minute_is_not_waited_for() -> None:
    assert waited("4.0.5", ours=False, alive=True).startswith("This broker is not the course's own")


def test_what_became_of_the_worker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited("4.0.5") == "RabbitMQ lost its patience: worker-1 is crashed."
    monkeypatch.setattr("workq_helpers.ack_timeout._WAIT_SECONDS", 0.0)
    assert waited("4.0.5", alive=True) == "worker-1 still holds its delivery: RabbitMQ has not looked yet."
