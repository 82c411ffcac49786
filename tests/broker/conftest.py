"""A broker for the tests that need a real one: the one that `find_broker` finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import need
from workq_helpers import Broker, Lesson, work


@pytest.fixture
def restartable(broker: Broker) -> Broker:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    return broker


@pytest.fixture
def lesson(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Lesson]:
    """A lesson of the test's own, with the durable queue ``hello``."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40]
    with Lesson(name, broker) as opened:
        with opened.connect() as connection:
            connection.channel().queue_declare(queue="hello", durable=True)
        yield opened


def work_and_ack(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """The tutorial's callback."""
    print(f" [x] Received {body.decode()}")
    work(body)
    print(" [x] Done")
    ch.basic_ack(delivery_tag=method.delivery_tag)


@pytest.fixture(name="work_and_ack")
def work_and_ack_fixture() -> Any:
    return work_and_ack
