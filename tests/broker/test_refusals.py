"""Who is refused for good ends and says why; what pika can't read is named. Neither goes round for ever."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pika
import pika.data
import pika.exceptions
import pytest

from tests.logs import events
from workq_helpers import Broker, Lesson
from workq_helpers.clients import pika_private
from workq_helpers.rabbitmq.errors import UnreadableMessageError

Poll = Callable[..., None]

EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
USER = "somebody"


# -- refused


@pytest.fixture
def api(broker: Broker) -> Iterator[httpx.Client]:
    """The management API, with a user who is taken away again."""
    login = (broker.endpoint.username, broker.endpoint.password)
    with httpx.Client(base_url=broker.endpoint.management_url or "", auth=login) as client:
        change(client, "PUT", "users", USER, json={"password": "made-up", "tags": ""})
        yield client
        client.request("DELETE", f"/api/users/{USER}")


def change(api: httpx.Client, method: str, *path: str, **more: Any) -> None:
    api.request(method, "/api/" + "/".join(quote(part, safe="") for part in path), **more).raise_for_status()


@pytest.fixture
def as_somebody(lesson: Lesson, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The lesson's virtual host, whose workers and publishers log in as that user."""
    change(api, "PUT", "permissions", lesson.virtual_host, USER, json=EVERYTHING)
    parameters, login = lesson.broker.connection_parameters, pika.PlainCredentials(USER, "made-up")
    monkeypatch.setattr(
        lesson.broker, "connection_parameters", lambda host, **more: parameters(host, **more, credentials=login)
    )
    return lesson.virtual_host


def lose(connection: Any) -> None:
    """Lose a connection, as where a network fails for a moment."""
    if connection is not None:
        pika_private.cut(connection)


def delete_user(api: httpx.Client, host: str) -> None:
    change(api, "DELETE", "users", USER)


def change_password(api: httpx.Client, host: str) -> None:
    change(api, "PUT", "users", USER, json={"password": "another", "tags": ""})


def withdraw(api: httpx.Client, host: str) -> None:
    change(api, "DELETE", "permissions", host, USER)


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        (delete_user, "refused the login"),
        pytest.param(change_password, "refused the login", marks=pytest.mark.pinned),
        (withdraw, "refused virtual host"),
    ],
)
def test_who_is_not_let_in_again_ends_and_says_why(
    lesson: Lesson,
    as_somebody: str,
    api: httpx.Client,
    poll_for: Poll,
    refuse: Callable[[httpx.Client, str], None],
    said: str,
) -> None:
    worker = lesson.start_worker(lambda *_: None, "hello")
    publisher = lesson.start_publisher("a", "hello", count=10_000, rate=20)
    poll_for(lambda: publisher.published and events(lesson, "delivered"))
    refuse(api, as_somebody)
    lose(worker._consumer._life.connection)
    lose(publisher._life.connection)
    poll_for(lambda: not worker.alive and not publisher.alive)
    assert (worker.state, publisher.state) == ("crashed", "crashed")
    assert said in worker.console.text
    with pytest.raises(Exception, match=said):
        publisher.wait()
    assert {event.actor for event in events(lesson, "crashed")} == {worker.name, publisher.name}


def test_who_may_not_consume_any_more_ends_and_says_why(
    lesson: Lesson, as_somebody: str, api: httpx.Client, poll_for: Poll
) -> None:
    worker = lesson.start_worker(lambda *_: None, "hello")
    change(api, "PUT", "permissions", as_somebody, USER, json=EVERYTHING | {"read": ""})
    lose(worker._consumer._life.connection)
    poll_for(lambda: not worker.alive)
    assert worker.state == "crashed"
    assert "403 ACCESS_REFUSED" in worker.console.text


# -- not to be read


def odd(value: bytes) -> dict[str, Any]:
    """Headers with a value that another program wrote, its type first, between two that anybody can read."""
    return {"before": 1, "odd": Raw(value), "after": 2}


class Raw(bytes):
    """A value as it stands on the wire."""


TOO_LATE = b"T" + struct.pack(">Q", 2**45)
ODD = {
    "is a timestamp of 35184372088832 seconds (year 1116918 is out of range)": TOO_LATE,
    "is a timestamp of 18446744073709551615 seconds": b"T" + b"\xff" * 8,
    "is a table or a list with such a value in it (year 1116918 is out of range)": b"A"
    + struct.pack(">L", len(TOO_LATE))
    + TOO_LATE,
}


@pytest.fixture
def send_odd(lesson: Lesson) -> Callable[..., None]:
    """Publish as another program does, which knows values that Python does not."""
    encode = pika.data.encode_value

    def encode_raw(pieces: list[bytes], value: Any) -> int:
        if isinstance(value, Raw):
            pieces.append(bytes(value))
            return len(value)
        return int(encode(pieces, value))

    def send(value: bytes, *, through: str = "") -> None:
        parameters = lesson.broker.connection_parameters(lesson.virtual_host)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pika.data, "encode_value", encode_raw)
            with pika.BlockingConnection(pika.URLParameters(through) if through else parameters) as other:
                channel = other.channel()
                channel.confirm_delivery()
                channel.basic_publish("", "hello", b"odd", pika.BasicProperties(headers=odd(value)))

    return send


def plain(lesson: Lesson) -> pika.BlockingConnection:
    return pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host))


@pytest.mark.parametrize(
    ("said", "value"),
    [pytest.param(*each, marks=pytest.mark.pinned if each[1] != TOO_LATE else []) for each in ODD.items()],
)
def test_a_message_that_pika_can_not_read_ends_a_worker_as_it_ends_pikas(
    lesson: Lesson, send_odd: Callable[..., None], poll_for: Poll, said: str, value: bytes
) -> None:
    with lesson.connect() as connection:
        connection.channel().basic_publish("", "hello", b"first")
        send_odd(value)
        connection.channel().basic_publish("", "hello", b"last")
    with pytest.raises(pika.exceptions.StreamLostError):
        for _ in plain(lesson).channel().consume("hello"):
            pass
    worker = lesson.start_worker(lambda ch, method, *_: ch.basic_ack(method.delivery_tag), "hello", prefetch_count=1)
    poll_for(lambda: not worker.alive)
    assert worker.state == "crashed"
    assert not events(lesson, "reconnecting")
    assert f"its header 'odd' {said}" in worker.console.text
    assert [(event.kind, event.task) for event in events(lesson, "delivered", "acked", "requeued")] == [
        ("delivered", "first"),
        ("acked", "first"),
        ("delivered", "odd"),
        ("requeued", "odd"),
    ]
    assert lesson.take_stock()
    assert {message.task: message.place for message in lesson.ledger()} == {
        "first": "done",
        "odd": "waiting",
        "last": "waiting",
    }
    assert lesson.purge("hello") == 2


def test_under_auto_ack_a_message_that_pika_can_not_read_is_lost_and_the_log_says_so(
    lesson: Lesson, send_odd: Callable[..., None], poll_for: Poll
) -> None:
    worker = lesson.start_worker(lambda *_: None, "hello", auto_ack=True)
    send_odd(TOO_LATE)  # one that was there before might end it before its start is over
    poll_for(lambda: not worker.alive)
    assert [(event.kind, event.task) for event in events(lesson, "delivered", "lost")] == [
        ("delivered", "odd"),
        ("lost", "odd"),
    ]
    assert lesson.take_stock()
    with plain(lesson) as other:
        assert other.channel().basic_get("hello") == (None, None, None)


def test_a_notebook_hears_what_it_was_that_pika_can_not_read(lesson: Lesson, send_odd: Callable[..., None]) -> None:
    send_odd(TOO_LATE)
    channel = lesson.connect().channel()
    with pytest.raises(UnreadableMessageError, match=r"routing key 'hello'.*header 'odd'.*queue_purge\(\)"):
        channel.basic_get("hello")


def test_a_program_that_can_read_it_is_followed_all_the_same(
    lesson: Lesson, send_odd: Callable[..., None], poll_for: Poll
) -> None:
    send_odd(TOO_LATE, through=lesson.address)
    poll_for(lambda: events(lesson, "stopped"))
    assert not events(lesson, "unreadable")
    assert [(event.kind, event.task) for event in events(lesson, "published", "confirmed")] == [
        ("published", "odd"),
        ("confirmed", "odd"),
    ]
    assert lesson.take_stock()
    assert [(message.task, message.place) for message in lesson.ledger()] == [("odd", "waiting")]
