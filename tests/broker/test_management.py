"""The management API of a real RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pika
import pytest

from workq_helpers import Broker
from workq_helpers.errors import VirtualHostRefusedError
from workq_helpers.rabbitmq.connecting import open_connection
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import Management, QueueCounts


@pytest.fixture
def api(broker: Broker) -> Iterator[Management]:
    with Management(broker.endpoint) as management:
        yield management


def test_what_it_says_about_the_broker(api: Management, broker: Broker) -> None:
    assert api.version() == broker.version
    assert api.is_started()
    assert isinstance(api.is_administrator(), bool)
    assert broker.endpoint.password not in repr(api)


def test_a_virtual_host_comes_and_goes(api: Management, broker: Broker, endpoint: Endpoint) -> None:
    # A name with everything that an address could trip over.
    name = f"{endpoint.virtual_host}/ü %.#?"
    api.create_virtual_host(name)
    try:
        api.create_virtual_host(name)
        assert name in api.virtual_hosts()
        with open_connection(broker.endpoint.on(name)) as connection:
            connection.channel().queue_declare("a/b ü", durable=True)
            assert list(api.queue_counts(name)) == ["a/b ü"]
    finally:
        api.delete_virtual_host(name)
    assert name not in api.virtual_hosts()
    api.delete_virtual_host(name)


def test_counts_of_a_virtual_host_that_is_not_there(api: Management) -> None:
    with pytest.raises(VirtualHostRefusedError, match=r"no virtual host 'workq\.not there'"):
        api.queue_counts("workq.not there")


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_counts_follow_what_happens(
    api: Management, endpoint: Endpoint, kind: str, poll_for: Callable[..., None]
) -> None:
    def counts() -> QueueCounts | None:
        return api.queue_counts(endpoint.virtual_host).get("task_queue")

    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("task_queue", durable=True, arguments={"x-queue-type": kind})
        for _ in range(3):
            channel.basic_publish("", "task_queue", b".", pika.BasicProperties(delivery_mode=2))
        poll_for(lambda: counts() == QueueCounts(ready=3, unacknowledged=0, durable=True, type=kind))
        method, _, _ = channel.basic_get("task_queue")
        poll_for(lambda: counts() == QueueCounts(ready=2, unacknowledged=1, durable=True, type=kind))
        channel.basic_ack(method.delivery_tag)
        poll_for(lambda: counts() == QueueCounts(ready=2, unacknowledged=0, durable=True, type=kind))


def test_emptying_leaves_the_virtual_host(api: Management, endpoint: Endpoint) -> None:
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.queue_declare("task_queue", durable=True)
        channel.queue_declare("task/queue", durable=True)
        channel.exchange_declare("logs", durable=True)
    api.empty_virtual_host(endpoint.virtual_host)
    assert api.queue_counts(endpoint.virtual_host) == {}
    assert endpoint.virtual_host in api.virtual_hosts()
    with open_connection(endpoint) as connection:
        # Would be refused with 406 if the durable one were still there.
        connection.channel().exchange_declare("logs", durable=False, auto_delete=True)


def test_many_threads_may_ask_at_once(api: Management, endpoint: Endpoint) -> None:
    answers: list[dict[str, QueueCounts]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(api.queue_counts(endpoint.virtual_host))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{}] * 8
