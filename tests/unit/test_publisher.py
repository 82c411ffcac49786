from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pika
import pika.exceptions
import pytest

from tests.fake_servers import amqp_server, listening
from workq_helpers.clients.publisher import Publisher, PublisherOptions
from workq_helpers.errors import WorkqError
from workq_helpers.log.book import Book
from workq_helpers.log.events import EventLog


def make_publisher(tasks: Iterator[str] | list[str], **more: Any) -> tuple[Publisher, EventLog]:
    log = EventLog()
    publisher = Publisher(
        "publisher-1",
        tasks,
        PublisherOptions("hello", confirm=more.pop("confirm", False)),
        parameters=pika.ConnectionParameters(**more),
        book=Book(log),
        explain=lambda error: WorkqError(str(error)),
    )
    return publisher, log


def test_a_task_is_on_its_way_before_the_next_one_is_asked_for() -> None:
    nudged_with: list[int] = []
    asked_after: list[int] = []

    def slow() -> Iterator[str]:
        for task in ("a", "b", "c"):
            asked_after.append(len(nudged_with))
            yield task

    publisher, _ = make_publisher(slow())
    publisher._pump._loop.close()
    publisher._pump = SimpleNamespace(nudge=lambda: nudged_with.append(len(publisher._ready)))  # type: ignore[assignment]
    publisher.do_work()
    assert nudged_with == [1, 2, 3]
    assert asked_after == [0, 1, 2]


@pytest.mark.parametrize(
    ("hang_up_at", "lost"),
    [
        (None, []),
        (pika.spec.Connection.Close, []),  # the channel's close-ok came before: the broker has seen everything
        (pika.spec.Channel.Close, ["disconnected", "under way"]),
    ],
)
def test_a_goodbye_without_an_answer_leaves_in_doubt_what_was_published(
    hang_up_at: type[pika.amqp_object.Method] | None, lost: list[str]
) -> None:
    with listening(amqp_server(hang_up_at=hang_up_at)) as port:
        publisher, log = make_publisher(["T"], host="127.0.0.1", port=port)
        publisher.launch()
        publisher.wait()
    assert publisher.state == "finished"
    assert sorted(event.kind for event in log) == sorted(["connected", "published", *lost, "stopped"])


def test_a_goodbye_without_an_answer_is_no_end_as_long_as_a_confirm_is_missing() -> None:
    publisher, log = make_publisher(["T"], confirm=True)
    publisher._pump._loop.close()
    publisher._life._loop = SimpleNamespace(call_later=lambda *_: None)  # type: ignore[assignment]

    def publish(exchange: str, routing_key: str, body: bytes, properties: Any, mandatory: bool) -> None:
        method = pika.spec.Basic.Publish(0, exchange, routing_key, mandatory)
        publisher._observer.published(1, method, properties, body, publisher._observer.next_mark())

    channel: Any = SimpleNamespace(basic_publish=publish, close=lambda: None)
    publisher._life.channel = channel
    publisher._begin()
    publisher._publish(publisher._message("T"))
    publisher._observer.received(0, pika.spec.Connection.Blocked("disk"))
    publisher._on_blocked(None, None)
    publisher._close_when_settled()  # who is blocked waits for no confirm
    lost: Any = SimpleNamespace(closed_with=None, failed_by=None)
    publisher._life._on_closed(lost, pika.exceptions.StreamLostError("gone"))
    assert publisher.state == "reconnecting"
    publisher._life.channel = channel
    publisher._begin()
    told = [event.kind for event in log]
    assert told == ["connected", "published", "blocked", "disconnected", "reconnecting", "connected", "published"]
