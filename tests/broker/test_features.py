"""What a real RabbitMQ says of itself, against what it does."""

from __future__ import annotations

from collections.abc import Callable

import pika.exceptions
import pytest

from workq_helpers import Broker
from workq_helpers.rabbitmq.connecting import open_connection
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import QueueCounts


def test_transient_queues_are_allowed_where_it_says_so(broker: Broker, endpoint: Endpoint) -> None:
    with open_connection(endpoint) as connection:
        if broker.features.transient_queues:
            connection.channel().queue_declare("hello")
        else:
            with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
                connection.channel().queue_declare("hello")


def test_a_quorum_queue_drops_what_comes_back_too_often(
    broker: Broker, endpoint: Endpoint, poll_for: Callable[..., None]
) -> None:
    limit = broker.features.quorum_delivery_limit
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("task_queue", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "task_queue", b"poison")
        deliveries = channel.consume("task_queue")
        for _ in range(30 if limit is None else limit + 1):
            method, _, _ = next(deliveries)
            # basic.reject counts on every version; from 4.3 on basic.nack no longer does.
            channel.basic_reject(method.delivery_tag, requeue=True)
        channel.cancel()
        left = 1 if limit is None else 0
        expected = QueueCounts(ready=left, unacknowledged=0, durable=True, type="quorum")
        poll_for(lambda: broker.queue_counts(endpoint.virtual_host)["task_queue"] == expected)


def test_whether_a_quorum_queue_counts_what_nack_hands_back(
    broker: Broker, endpoint: Endpoint, poll_for: Callable[..., None]
) -> None:
    limit = broker.features.quorum_delivery_limit
    drops = limit is not None and broker.features.nack_counts_as_return
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue="task_queue", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish(exchange="", routing_key="task_queue", body=b"poison")
        deliveries = channel.consume(queue="task_queue")
        for _ in range(limit + 1 if drops and limit else 60):
            method, _, _ = next(deliveries)
            channel.basic_nack(delivery_tag=method.delivery_tag, requeue=True)
        channel.cancel()
        expected = QueueCounts(ready=0 if drops else 1, unacknowledged=0, durable=True, type="quorum")
        poll_for(lambda: broker.queue_counts(endpoint.virtual_host)["task_queue"] == expected)


def test_whether_a_quorum_queue_delays_what_is_returned(
    broker: Broker, endpoint: Endpoint, poll_for: Callable[..., None]
) -> None:
    delay = {"x-delayed-retry-type": "all", "x-delayed-retry-min": 60_000, "x-delayed-retry-max": 60_000}
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue="delayed", durable=True, arguments={"x-queue-type": "quorum"} | delay)
        for body in (b"first", b"second"):
            channel.basic_publish(exchange="", routing_key="delayed", body=body)
        deliveries = channel.consume("delayed")
        method, _, _ = next(deliveries)
        channel.basic_qos(prefetch_count=1)
        channel.basic_reject(method.delivery_tag, requeue=True)
        method, _, body = next(deliveries)
        assert body == b"second"
        channel.basic_ack(method.delivery_tag)
        again = next(channel.consume("delayed", inactivity_timeout=1.0))
        assert (again[2] is None) is broker.features.delayed_retry


def test_the_ack_timeout_of_a_classic_queue(broker: Broker, endpoint: Endpoint) -> None:
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        channel.queue_declare("task_queue", durable=True)
        arguments = {"x-consumer-timeout": 1_800_000}
        if broker.features.classic_ack_timeout:
            channel.basic_consume("task_queue", lambda *_: None, arguments=arguments)
        else:
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="406"):
                channel.basic_consume("task_queue", lambda *_: None, arguments=arguments)
