"""A copy is a message in one queue: what becomes of one says nothing of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pika
import pytest

from workq_helpers import Lesson


def copies(lesson: Lesson) -> dict[tuple[str, str], str]:
    return {(message.task, message.queue): message.place for message in lesson.ledger()}


@pytest.fixture
def channel(lesson: Lesson) -> Iterator[Any]:
    with lesson.connect() as connection:
        yield connection.channel()


@pytest.fixture
def logs(channel: Any) -> Any:
    """A channel, with an exchange of which each of two queues gets a copy."""
    channel.exchange_declare("logs", "fanout")
    for queue in ("left", "right"):
        channel.queue_declare(queue)
        channel.queue_bind(queue, "logs")
    return channel


def test_a_fanout_makes_a_copy_for_each_queue(lesson: Lesson, logs: Any) -> None:
    logs.basic_publish("logs", "", b"T")
    assert copies(lesson) == {("T", "left"): "waiting", ("T", "right"): "waiting"}
    assert set(lesson.ledger().queues()) == {"hello", "left", "right"}, "nothing is in a queue named ''"
    assert (lesson.tasks()["published_seconds"] > 0).all()


def test_an_ack_of_one_copy_says_nothing_of_the_other(lesson: Lesson, logs: Any) -> None:
    logs.basic_publish("logs", "", b"T")
    method, _, _ = logs.basic_get("left")
    logs.basic_ack(method.delivery_tag)
    assert copies(lesson) == {("T", "left"): "done", ("T", "right"): "waiting"}


def test_two_channels_with_equal_delivery_tags_hold_two_copies(lesson: Lesson, logs: Any) -> None:
    logs.basic_publish("logs", "", b"T")
    with lesson.connect() as connection:
        other = connection.channel()
        tags = [logs.basic_get("left")[0].delivery_tag, other.basic_get("right")[0].delivery_tag]
        assert tags == [1, 1]
        assert copies(lesson) == {("T", "left"): "in hand", ("T", "right"): "in hand"}
        logs.basic_ack(1)
        assert copies(lesson) == {("T", "left"): "done", ("T", "right"): "in hand"}
        other.basic_nack(1)
    assert copies(lesson) == {("T", "left"): "done", ("T", "right"): "waiting"}


def test_a_channel_that_closes_late_does_not_take_what_another_has_got_meanwhile(
    lesson: Lesson, channel: Any, poll_for: Any
) -> None:
    channel.basic_publish("", "hello", b"T")
    first = channel.connection.channel()
    assert first.basic_get("hello")[0].delivery_tag == 1
    first.close()
    got: list[Any] = []
    poll_for(lambda: got.append(channel.basic_get("hello")[0]) or got[-1])  # it is back in the queue a moment later
    assert got[-1].delivery_tag == 1
    assert copies(lesson) == {("T", "hello"): "in hand"}
    channel.basic_ack(1)
    assert copies(lesson) == {("T", "hello"): "done"}


def test_killing_one_queues_worker_leaves_the_others_alone(lesson: Lesson, logs: Any, poll_for: Any) -> None:
    forgetful = [lesson.start_worker(lambda *_: None, queue) for queue in ("left", "right")]
    logs.basic_publish("logs", "", b"T")
    poll_for(lambda: all(lesson.ledger().in_hand(worker.name) for worker in forgetful))
    forgetful[0].kill()
    assert copies(lesson) == {("T", "left"): "waiting", ("T", "right"): "in hand"}
    assert lesson.ledger().in_hand(forgetful[1].name) == 1


def test_an_exchange_that_nobody_saw_leads_where_a_delivery_shows(lesson: Lesson, channel: Any) -> None:
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
        other = unseen.channel()
        other.exchange_declare("secret", "fanout", durable=True)
        for queue in ("left", "right"):
            other.queue_declare(queue, durable=True)
            other.queue_bind(queue, "secret")
    channel.basic_publish("secret", "", b"T")
    assert copies(lesson) == {("T", ""): "unknown"}
    assert "secret" in next(iter(lesson.ledger())).reason
    channel.basic_get("left")
    assert copies(lesson) == {("T", "left"): "in hand"}
    channel.basic_get("right")
    assert copies(lesson) == {("T", "left"): "in hand", ("T", "right"): "in hand"}


def test_what_no_binding_leads_anywhere_waits_nowhere(lesson: Lesson, channel: Any) -> None:
    channel.exchange_declare("lonely", "direct")
    channel.basic_publish("lonely", "key", b"T")
    assert copies(lesson) == {("T", ""): "unknown"}
    assert "no binding for it" in next(iter(lesson.ledger())).reason
    channel.basic_publish("lonely", "key", b"U", mandatory=True)
    lesson.connect().close()
    channel.connection.process_data_events(0.2)
    assert copies(lesson) == {("T", ""): "unknown", ("U", ""): "returned"}


@pytest.mark.parametrize("exchange", ["", "post"])
def test_cc_and_bcc_make_a_copy_for_each_queue(lesson: Lesson, channel: Any, exchange: str) -> None:
    for queue in ("left", "right"):
        channel.queue_declare(queue)
    if exchange:
        channel.exchange_declare(exchange, "direct")
        for queue in ("hello", "left", "right"):
            channel.queue_bind(queue, exchange, queue)
    properties = pika.BasicProperties(headers={"CC": ["left", "hello"], "BCC": ["right"]})
    channel.basic_publish(exchange, "hello", b"T", properties)
    expected = dict.fromkeys([("T", "hello"), ("T", "left"), ("T", "right")], "waiting")
    assert copies(lesson) == expected
    assert lesson.take_stock()
    assert copies(lesson) == expected
    method, received, _ = channel.basic_get("right")
    assert received.headers == {"CC": ["left", "hello"]}
    channel.basic_ack(method.delivery_tag)
    assert copies(lesson) == {**expected, ("T", "right"): "done"}
    assert not any(lesson.ledger().unseen(queue) for queue in ("hello", "left", "right"))


def test_headers_lead_where_rabbitmq_has_them_lead(lesson: Lesson, channel: Any) -> None:
    bindings: dict[str, dict[str, Any]] = {
        "all": {"format": "pdf", "pages": 3},
        "any": {"x-match": "any", "format": "pdf", "pages": 3},
        "there": {"format": None},
        "signed": {"x-match": "all-with-x", "x-signed": True},
        "everything": {},
        "nothing": {"x-match": "any"},
    }
    for queue, arguments in bindings.items():
        channel.queue_declare(queue)
        channel.queue_bind(queue, "amq.headers", arguments=arguments)
    sent: list[dict[str, Any] | None] = [
        {"format": "pdf", "pages": 3}, {"format": "png"}, {"pages": 3, "x-signed": True}, {"x-signed": 1},
        {"pages": True}, {}, None,
    ]  # fmt: skip
    for number, headers in enumerate(sent):
        channel.basic_publish("amq.headers", "", b"%d" % number, pika.BasicProperties(headers=headers))
    channel.queue_declare("all", passive=True)  # once this is answered, all is there
    found = {(str(message.task), queue) for queue in bindings for message in lesson.ledger().waiting(queue, len(sent))}
    arrived = set()
    for queue in bindings:
        while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
            arrived.add((message[2].decode(), queue))
    assert found == arrived
    assert set(copies(lesson).values()) == {"done"}


def test_an_exchange_leads_to_others_and_to_its_alternate(lesson: Lesson, channel: Any) -> None:
    channel.exchange_declare("rest", "fanout")
    channel.exchange_declare("front", "topic", arguments={"alternate-exchange": "rest"})
    channel.exchange_declare("back", "headers")
    channel.exchange_bind("back", "front", "order.#")
    for queue in ("left", "right"):
        channel.queue_declare(queue)
    channel.queue_bind("left", "back", arguments={"hot": True})
    channel.queue_bind("right", "rest")
    channel.basic_publish("front", "order.1", b"T", pika.BasicProperties(headers={"hot": True}))
    channel.basic_publish("front", "mail", b"U")
    expected = {("T", "left"): "waiting", ("U", "right"): "waiting"}
    assert copies(lesson) == expected
    assert lesson.take_stock()
    assert copies(lesson) == expected


def test_exchanges_that_nobody_saw_are_asked_for(lesson: Lesson, channel: Any, poll_for: Any) -> None:
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
        other = unseen.channel()
        other.exchange_declare("rest", "fanout", durable=True)
        other.exchange_declare("front", "headers", durable=True, arguments={"alternate-exchange": "rest"})
        other.exchange_declare("back", "direct", durable=True)
        other.exchange_bind("back", "front", arguments={"hot": True})
        for queue in ("left", "right"):
            other.queue_declare(queue, durable=True)
        other.queue_bind("left", "back", "order")
        other.queue_bind("right", "rest")
    channel.basic_publish("front", "order", b"T", pika.BasicProperties(headers={"hot": True}))
    channel.basic_publish("front", "order", b"U")
    poll_for(lambda: [lesson.queue_counts()[queue].ready for queue in ("left", "right")] == [1, 1])
    assert lesson.take_stock()
    assert copies(lesson) == {("T", "left"): "waiting", ("U", "right"): "waiting"}
    assert not any(lesson.ledger().unseen(queue) for queue in ("left", "right"))


def test_equal_message_ids_with_other_bodies_are_other_messages(lesson: Lesson, channel: Any) -> None:
    for body in (b"one", b"two"):
        channel.basic_publish("", "hello", body, pika.BasicProperties(message_id="same"))
    method, _, _ = channel.basic_get("hello")
    channel.basic_ack(method.delivery_tag)
    assert copies(lesson) == {("one", "hello"): "done", ("two", "hello"): "waiting"}


def dead_letters(lesson: Lesson, channel: Any, *, known: bool = True, **arguments: Any) -> Any:
    to = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graveyard"}
    if not known:
        to = {"x-dead-letter-exchange": "secret"}
    channel.queue_declare("graveyard")
    if not known:
        with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
            unseen.channel().exchange_declare("secret", "fanout")
        channel.queue_bind("graveyard", "secret")
    channel.queue_declare("sickbed", arguments=to | arguments)
    return channel


@pytest.mark.parametrize("known", [True, False])
def test_a_rejected_message_is_found_again_where_it_arrives(
    lesson: Lesson, channel: Any, poll_for: Any, known: bool
) -> None:
    dead_letters(lesson, channel, known=known).basic_publish("", "sickbed", b"T")
    method, _, _ = channel.basic_get("sickbed")
    channel.basic_reject(method.delivery_tag, requeue=False)
    places = {("T", "sickbed"): "dead-lettered"}
    unseen = {("T", "sickbed"): "unknown"}  # nobody here saw where "secret" leads
    assert copies(lesson) == (places | {("T", "graveyard"): "waiting"} if known else unseen)
    poll_for(lambda: channel.basic_get("graveyard")[0])
    assert copies(lesson) == places | {("T", "graveyard"): "in hand"}
    channel.basic_ack(2)
    assert copies(lesson) == places | {("T", "graveyard"): "done"}


def test_an_expired_message_is_found_again_where_it_arrives(lesson: Lesson, channel: Any, poll_for: Any) -> None:
    dead_letters(lesson, channel, **{"x-message-ttl": 1}).basic_publish("", "sickbed", b"T")
    poll_for(lambda: channel.basic_get("graveyard")[0])
    assert copies(lesson) == {("T", "sickbed"): "dead-lettered", ("T", "graveyard"): "in hand"}
    assert next(iter(lesson.ledger())).reason == "expired"
