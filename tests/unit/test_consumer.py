"""What reaches a consumer after another thread has cut its connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pika
import pytest
from pika.spec import Basic, BasicProperties

from tests.fake_servers import amqp_server, listening
from workq_helpers.clients.consumer import Consumer, ConsumerOptions
from workq_helpers.clients.worker import Worker
from workq_helpers.errors import WorkqError
from workq_helpers.log.book import Book
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import MARK_HEADER


def deliver(consumer: Consumer, tag: int) -> None:
    method, properties = Basic.Deliver("w", tag), BasicProperties(headers={MARK_HEADER: f"0000000a-{tag}"})
    consumer._observer.received_message(1, method, properties, b"T")
    raw: Any = consumer._life.channel
    on_message = raw.basic_consume.call_args.args[1]
    on_message(raw, method, properties, b"T")


def consuming(log: EventLog, auto_ack: bool, connection: Any) -> Consumer:
    host: Any = SimpleNamespace(name="w", prepared=lambda: None, ended=lambda *_: None)
    consumer = Consumer(host, ConsumerOptions("q", auto_ack), pika.ConnectionParameters(), Book(log))
    raw = Mock(channel_number=1, connection=connection)
    consumer._life.connection, consumer._life.channel = connection, raw
    consumer.channel_opened(raw)
    consumer.consume()
    consumer._observer.sent(1, Basic.Consume(queue="q", consumer_tag="w", no_ack=auto_ack))
    return consumer


def test_who_is_killed_while_it_says_goodbye_gets_nothing_more() -> None:
    log = EventLog()
    consumer = consuming(log, False, SimpleNamespace(is_open=False, is_closed=False, is_closing=True))
    deliver(consumer, 1)
    consumer.cut("killed")
    deliver(consumer, 2)
    consumer.ended()
    assert [f"{event.kind} {event.mark}" for event in log] == [
        "delivered 0000000a-1",
        "killed None",
        "requeued 0000000a-1",
    ]


@pytest.mark.parametrize(
    ("auto_ack", "expected"),
    [
        (False, ["delivered 0000000a-1", "killed None", "requeued 0000000a-1"]),
        (True, ["delivered 0000000a-1", "killed None", "lost 0000000a-1", "delivered 0000000a-2", "lost 0000000a-2"]),
    ],
)
def test_a_killed_worker_gets_nothing_but_what_nobody_else_will_get(auto_ack: bool, expected: list[str]) -> None:
    log = EventLog()
    consumer = consuming(log, auto_ack, SimpleNamespace(is_open=True, _transport=None))
    deliver(consumer, 1)
    assert consumer.cut_at_once("killed")
    deliver(consumer, 2)  # it was in the socket's buffer
    consumer.ended()
    assert [f"{event.kind} {event.mark}" for event in log] == expected


@pytest.mark.parametrize(("hang_up_at", "lost"), [(None, []), (pika.spec.Connection.Close, ["disconnected"])])
def test_a_goodbye_without_an_answer_leaves_in_doubt_what_was_acknowledged(
    hang_up_at: type[pika.amqp_object.Method] | None, lost: list[str]
) -> None:
    log = EventLog()
    with listening(amqp_server(hang_up_at=hang_up_at)) as port:
        worker = Worker(
            "w",
            lambda ch, method, properties, body: None,
            ConsumerOptions("q"),
            parameters=pika.ConnectionParameters("127.0.0.1", port),
            book=Book(log),
            explain=lambda error: WorkqError(str(error)),
        )
        worker.launch()
        worker.wait_until_prepared(30)
        worker.consume()
        worker.wait_until_consuming(30)
        worker.stop()
    assert worker.state == "stopped"
    assert [event.kind for event in log] == ["starting", "connected", "stopping", *lost, "stopped"]
