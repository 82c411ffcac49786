"""A contract: what `pika_private` says of pika's private parts must hold for the pika that is installed."""

from __future__ import annotations

import threading
from typing import Any

import pika
import pytest
from pika import frame, spec
from pika.adapters.select_connection import IOLoop

from workq_helpers import Lesson
from workq_helpers.broker.ports import LOOPBACK, free_ports
from workq_helpers.clients import pika_private
from workq_helpers.clients.observed_connection import HurryingConnection
from workq_helpers.log.book import Book
from workq_helpers.log.observer import Observer


@pytest.fixture
def run_loop() -> Any:
    """Run a connection's loop in a thread until it stops."""
    loop = IOLoop()
    thread = threading.Thread(target=loop.start)
    yield loop, thread
    thread.join(30)
    loop.close()


@pytest.mark.parametrize("by", ["its owner", "another thread"])
def test_cut_requeues_with_the_redelivered_flag_and_says_nothing(
    lesson: Lesson, run_loop: Any, poll_for: Any, by: str
) -> None:
    loop, thread = run_loop
    taken = threading.Event()
    ends: list[BaseException] = []

    def on_closed(_connection: Any, reason: BaseException) -> None:
        ends.append(reason)
        loop.stop()

    connection = pika.SelectConnection(
        lesson.broker.connection_parameters(lesson.virtual_host),
        on_open_callback=lambda opened: opened.channel(
            on_open_callback=lambda channel: channel.basic_consume("hello", lambda *_: taken.set())
        ),
        on_close_callback=on_closed,
        custom_ioloop=loop,
    )
    thread.start()
    lesson.start_publisher(["task"], "hello").wait()
    assert taken.wait(30)
    assert pika_private.unsent_bytes(connection) == 0
    if by == "its owner":
        loop.add_callback_threadsafe(lambda: pika_private.cut(connection))
    else:
        pika_private.cut(connection)
    thread.join(30)
    # Had anything been said, this would be ConnectionClosedByClient.
    assert [type(reason) for reason in ends] == [pika.exceptions.StreamLostError]
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)
    with lesson.connect() as other:
        method, _, _ = other.channel().basic_get("hello", auto_ack=True)
    assert method.redelivered


#: No more than RabbitMQ takes in a frame.
PIECE_BYTES = 64 * 1024


def a_message(channel: int, pieces: int) -> bytes:
    """Return the frames of a message in so many pieces."""
    head = [
        frame.Method(channel, spec.Basic.Publish(routing_key="hello")).marshal(),
        frame.Header(channel, pieces * PIECE_BYTES, pika.BasicProperties()).marshal(),
    ]
    return b"".join([*head, pieces * frame.Body(channel, b"x" * PIECE_BYTES).marshal()])


def test_unsent_bytes_counts_what_waits_for_the_socket_and_send_now_and_write_send_it(
    lesson: Lesson, run_loop: Any
) -> None:
    loop, thread = run_loop
    seen: list[int] = []

    def on_channel(channel: Any) -> None:
        pika_private.read_at_one_go(connection)
        channel.basic_publish("", "hello", b"x" * 1_000)
        seen.append(pika_private.unsent_bytes(connection))
        pika_private.send_now(connection)
        seen.append(pika_private.unsent_bytes(connection))
        pika_private.send_now(connection)  # with nothing to send
        for pieces in (1, 200):
            pika_private.write(connection, a_message(channel.channel_number, pieces))
            seen.append(pika_private.unsent_bytes(connection))
        channel.basic_publish("", "hello", b"x")  # comes after what the socket has not taken yet
        connection.close()

    connection = pika.SelectConnection(
        lesson.broker.connection_parameters(lesson.virtual_host),
        on_open_callback=lambda opened: opened.channel(on_open_callback=on_channel),
        on_close_callback=lambda *_: loop.stop(),
        custom_ioloop=loop,
    )
    thread.start()
    thread.join(30)
    assert seen[0] > 1_000
    assert seen[1:3] == [0, 0]
    assert 0 < seen[3] < 200 * PIECE_BYTES
    assert pika_private.unsent_bytes(connection) == 0
    assert lesson.queue_counts()["hello"].ready == 4


def test_every_method_passes_where_it_is_observed_once_and_in_order(lesson: Lesson) -> None:
    """`ObservedConnection` overrides ``_send_method``, ``_process_frame`` and what goes round the one for messages.

    What pika refuses gets to none of them.
    """
    book = Book(lesson.log)
    made = HurryingConnection.told_to(Observer("client", book))
    parameters = lesson.broker.connection_parameters(lesson.virtual_host)
    with pika.BlockingConnection(parameters, _impl_class=made) as connection:  # type: ignore[arg-type]
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "hello", b"x" * 300_000)  # in several frames
        for refused in ({"routing_key": None}, {"routing_key": "hello", "properties": {"a": 1}}):
            with pytest.raises((AssertionError, TypeError, AttributeError)):
                channel._impl.basic_publish("", body=b"refused", **refused)
        method, _, body = next(channel.consume("hello"))
        channel.basic_ack(method.delivery_tag)
        channel.cancel()
    assert len(body) == 300_000
    passed = [(each.direction, each.method) for each in book.trace]
    assert passed[6:] == [
        ("sent", "channel.open"),
        ("received", "channel.open-ok"),
        ("sent", "confirm.select"),
        ("received", "confirm.select-ok"),
        ("sent", "basic.publish"),
        ("received", "basic.ack"),
        ("sent", "basic.consume"),
        ("received", "basic.consume-ok"),
        ("received", "basic.deliver"),
        ("sent", "basic.ack"),
        ("sent", "basic.cancel"),
        ("received", "basic.cancel-ok"),
        ("sent", "channel.close"),
        ("received", "channel.close-ok"),
        ("sent", "connection.close"),
        ("received", "connection.close-ok"),
    ]


@pytest.mark.parametrize("body", [b"", b"Soup", b"x" * 300_000])
def test_a_message_that_has_come_whole_is_delivered_fetched_or_returned_as_ever(lesson: Lesson, body: bytes) -> None:
    """`ObservedConnection` gives pika messages instead of their frames, of all three kinds."""
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(app_id="till", headers={"table": 4})
        with pytest.raises(pika.exceptions.UnroutableError) as refused:
            channel.basic_publish("", "nowhere", body, properties, mandatory=True)
        (returned,) = refused.value.messages
        for _ in range(2):
            channel.basic_publish("", "hello", body, properties)
        got = channel.basic_get("hello")
        delivered = next(channel.consume("hello"))
    for method, found, content in (got, delivered, (returned.method, returned.properties, returned.body)):
        assert method is not None
        assert (found.app_id, found.headers, content) == ("till", {"table": 4}, body)


def test_the_port_of_a_connection_is_that_of_the_address_that_answered(lesson: Lesson) -> None:
    (closed,) = free_ports(1)
    right = lesson.broker.connection_parameters(lesson.virtual_host)
    wrong = lesson.broker.connection_parameters(lesson.virtual_host, host=LOOPBACK, port=closed)
    with pika.BlockingConnection([wrong, right]) as connection:
        assert pika_private.port_of(connection) == right.port
