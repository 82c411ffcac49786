from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from workq_helpers.lessons.mistakes_and_long_work.ack_timeout import wait_for_ack_timeout
from workq_helpers.log.events import EventLog
from workq_helpers.rabbitmq.endpoint import Endpoint


def waited(
    version: str, *, ours: bool = True, alive: bool = False, kind: str = "channel closed"
) -> tuple[str, list[str]]:
    """What is said of worker-1, and what RabbitMQ's own tool was told meanwhile."""
    told: list[str] = []
    broker: Any = SimpleNamespace(
        version=Version(version),
        ours=ours,
        endpoint=Endpoint("rabbit.example", 5672, "learner", "secret"),
        rabbitmqctl=lambda *words: told.append(" ".join(words)),
    )
    log = EventLog()
    log.record(kind, "worker-1", detail="406 PRECONDITION_FAILED - delivery acknowledgement timed out")
    worker: Any = SimpleNamespace(name="worker-1", alive=alive, state="stopped")
    return wait_for_ack_timeout(SimpleNamespace(log=log, broker=broker), worker), told  # type: ignore[arg-type]


def test_a_broker_of_somebody_else_is_neither_waited_for_nor_hurried() -> None:
    said, told = waited("3.10.8", ours=False, alive=True)
    assert said.startswith("The RabbitMQ at rabbit.example:5672 is not the course's own")
    assert told == []


@pytest.mark.parametrize("version", ["3.10.8", "4.0.5"])
def test_what_became_of_the_worker_is_said(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "RabbitMQ lost its patience with worker-1: it closed its channel, 406 PRECONDITION_FAILED."
    assert waited(version)[0] == said
    monkeypatch.setattr("workq_helpers.lessons.mistakes_and_long_work.ack_timeout._WAIT_SECONDS", 0.0)
    assert waited(version, alive=True)[0] == "worker-1 still holds its delivery: RabbitMQ has not looked yet."


def test_a_worker_that_has_ended_by_itself_is_not_said_to_have_tried_anybodys_patience() -> None:
    assert waited("4.3.0", kind="cancelled")[0] == "RabbitMQ lost its patience with worker-1: it canceled its consumer."
    assert waited("4.3.0", kind="stopped")[0].startswith("worker-1 is stopped, and RabbitMQ waits for nothing from it.")


def test_only_a_broker_whose_queues_have_no_timeout_gets_its_usual_one_back() -> None:
    assert waited("4.0.5")[1] == []
    (told,) = waited("3.10.8")[1]
    assert told.startswith("eval ")
    assert "consumer_timeout, 1800000)" in told
