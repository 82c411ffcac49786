"""A broker for the tests that need a real one: the one that `find_broker` finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import need
from workq_helpers import Broker, Lesson, work
from workq_helpers.rabbitmq.endpoint import Endpoint


@pytest.fixture
def restartable(broker: Broker) -> Broker:
    need(broker.ours, "only a broker that the course started is restarted by tests")
    return broker


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Endpoint]:
    """The broker, with an empty virtual host of the test's own."""
    name = broker.create_virtual_host(_name_of(request))
    yield broker.endpoint.on(name)
    broker.delete_virtual_host(name)


@pytest.fixture
def lesson(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Lesson]:
    """A lesson of the test's own, with the durable queue ``hello``."""
    with Lesson(_name_of(request), broker) as opened:
        with opened.connect() as connection:
            connection.channel().queue_declare(queue="hello", durable=True)
        yield opened


def _name_of(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40]


def work_and_ack(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """The tutorial's callback."""
    print(f" [x] Received {body.decode()}")
    work(body)
    print(" [x] Done")
    ch.basic_ack(delivery_tag=method.delivery_tag)


@pytest.fixture(name="work_and_ack")
def work_and_ack_fixture() -> Any:
    return work_and_ack
