"""What a real RabbitMQ refuses, in sentences."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import httpx
import pika
import pika.exceptions
import pytest

from tests.chaos import faults
from workq_helpers import Broker, Lesson
from workq_helpers.errors import LoginRefusedError, QueueError, VirtualHostRefusedError, WorkqError
from workq_helpers.rabbitmq.connecting import accepts, open_connection, probe
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.errors import (
    ChannelRefusedError,
    ConnectionLostError,
    QueueMismatchError,
    QueueNotFoundError,
)
from workq_helpers.rabbitmq.translation import translate

Channel = pika.adapters.blocking_connection.BlockingChannel


def refusal(endpoint: Endpoint, kind: type[WorkqError]) -> str:
    """Return the sentence with which both `probe` and `open_connection` refuse."""
    assert accepts(endpoint) is False
    for attempt in (probe, open_connection):
        with pytest.raises(kind) as caught:
            attempt(endpoint)
        assert type(caught.value) is kind
        assert endpoint.password not in str(caught.value) + repr(caught.value)
    return str(caught.value)


def test_the_way_in(endpoint: Endpoint, broker: Broker) -> None:
    assert probe(endpoint) == broker.version
    assert accepts(endpoint)
    with open_connection(endpoint) as connection:
        assert connection.is_open


def test_wrong_password(endpoint: Endpoint) -> None:
    text = refusal(replace(endpoint, password="not the password", named_by="WORKQ_BROKER_URL"), LoginRefusedError)
    assert f"refused the login of user {endpoint.username!r}." in text
    assert "Correct the login in WORKQ_BROKER_URL" in text


def test_unknown_user(endpoint: Endpoint) -> None:
    assert "'nobody'" in refusal(replace(endpoint, username="nobody"), LoginRefusedError)


def test_unknown_virtual_host(endpoint: Endpoint) -> None:
    text = refusal(replace(endpoint.on("workq.not there"), named_by="WORKQ_BROKER_URL"), VirtualHostRefusedError)
    assert "has no virtual host 'workq.not there' (NOT_ALLOWED - vhost workq.not there not found)" in text
    assert "Correct the name" in text


@pytest.fixture
def outsider(endpoint: Endpoint) -> Iterator[Endpoint]:
    """A user with no permission for the virtual host."""
    name = f"outsider.{endpoint.virtual_host}"
    login = (endpoint.username, endpoint.password)
    path = f"/api/users/{quote(name, safe='')}"
    with httpx.Client(base_url=endpoint.management_url or "", auth=login) as client:
        client.put(path, json={"password": "an outsider's", "tags": ""}).raise_for_status()
        yield replace(endpoint, username=name, password="an outsider's", named_by="WORKQ_BROKER_URL")
        client.delete(path).raise_for_status()


def test_virtual_host_closed_to_the_user(outsider: Endpoint) -> None:
    text = refusal(outsider, VirtualHostRefusedError)
    assert f"refused virtual host {outsider.virtual_host!r} for user {outsider.username!r}" in text
    assert "ask its administrator for permission" in text


def closed_by(endpoint: Endpoint, deed: Callable[[Channel], object], kind: type[WorkqError]) -> str:
    """Return our sentence for the error with which the broker closes a channel."""
    with open_connection(endpoint) as connection:
        channel = connection.channel()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
            deed(channel)
        assert connection.is_open
    error = translate(caught.value, endpoint=endpoint)
    assert type(error) is kind
    assert isinstance(error, pika.exceptions.ChannelClosedByBroker)
    return str(error)


def test_a_queue_that_exists_with_other_arguments(endpoint: Endpoint) -> None:
    def redeclare(channel: Channel) -> None:
        channel.queue_declare("task_queue", durable=True)
        channel.queue_declare("task_queue", durable=True, arguments={"x-max-length": 3})

    text = closed_by(endpoint, redeclare, QueueMismatchError)
    assert "Queue 'task_queue' exists already with other arguments: x-max-length is none, and you asked for 3" in text
    assert "channel.queue_delete(queue='task_queue')" in text


def test_a_queue_that_is_not_there(endpoint: Endpoint) -> None:
    text = closed_by(endpoint, lambda channel: channel.queue_declare("helo", passive=True), QueueNotFoundError)
    assert "There is no queue 'helo'" in text
    assert "Declare it first" in text


def test_a_delivery_acknowledged_twice(endpoint: Endpoint) -> None:
    def acknowledge(channel: Channel) -> None:
        channel.basic_ack(9)
        channel.queue_declare("task_queue", durable=True)

    text = closed_by(endpoint, acknowledge, ChannelRefusedError)
    assert "unknown delivery tag 9" in text
    assert "acknowledged twice" in text


def test_an_exchange_that_is_not_there(endpoint: Endpoint) -> None:
    def publish(channel: Channel) -> None:
        channel.basic_publish("logs", "", b"")
        channel.queue_declare("task_queue", durable=True)

    assert "Declare the exchange first" in closed_by(endpoint, publish, ChannelRefusedError)


def test_a_channel_too_many_is_refused_in_words_and_what_was_held_goes_back(lesson: Lesson) -> None:
    connection = lesson.connect(channel_max=2)
    channel = connection.channel()
    channel.basic_publish("", "hello", b"T")
    assert channel.basic_get("hello")[0] is not None
    connection.channel()
    with pytest.raises(QueueError, match="as many channels open as it may have"):
        connection.channel()
    assert [message.place for message in lesson.ledger()] == ["in hand"]
    with pytest.raises(ConnectionLostError, match="as many channels as it may have"):
        connection.channel(9)  # pika counts those that it numbers itself; RabbitMQ counts all
    assert [message.place for message in lesson.ledger()] == ["waiting"]
    assert lesson.take_stock()
    assert [message.place for message in lesson.ledger()] == ["waiting"]
    assert lesson.ledger().held_elsewhere("hello") == 0


@pytest.mark.parametrize("deed", ["publish", "ack"])
def test_who_sends_on_a_connection_that_the_broker_has_closed_hears_of_it(
    lesson: Lesson, broker: Broker, poll_for: Callable[..., object], deed: str
) -> None:
    connection = lesson.connect()
    channel = connection.channel()
    channel.basic_publish(exchange="", routing_key="hello", body="soup")
    tag = channel.basic_get(queue="hello")[0].delivery_tag
    said = connection._impl._transport._sock
    poll_for(lambda: faults.close_connections(broker, lesson.virtual_host))
    with selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        assert selector.select(30), "the broker said nothing"
    send = {
        "publish": lambda: channel.basic_publish(exchange="", routing_key="hello", body="tea"),
        "ack": lambda: channel.basic_ack(delivery_tag=tag),
    }
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        send[deed]()
