"""What the log says is what passed on the wire: of every call, in its order, with its fate."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pika
import pika.exceptions
import pytest
from packaging.version import Version

from tests.logs import events, fates
from workq_helpers import Lesson
from workq_helpers.clients import pika_private
from workq_helpers.errors import WorkqError
from workq_helpers.lessons.mistakes_and_long_work.ack_timeout import declare_impatient_queue
from workq_helpers.log.messages import MARK_HEADER
from workq_helpers.waiting import wait_until


def reasons(lesson: Lesson) -> dict[str, str]:
    return {message.task: message.reason for message in lesson.ledger()}


def send(lesson: Lesson, *tasks: str, queue: str = "hello") -> None:
    with lesson.connect() as connection:
        channel = connection.channel()  # one for all: RabbitMQ keeps the order of a channel, not that of several
        for task in tasks:
            channel.basic_publish("", queue, task.encode())


def ready(lesson: Lesson, queue: str = "hello") -> int:
    """The broker's own count, by the one answer that is never late."""
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


# -- consuming in the notebook


def test_a_generator_is_seen_as_a_consumer_is(lesson: Lesson) -> None:
    send(lesson, "a", "b", "c")
    with lesson.connect() as connection:
        channel = connection.channel()
        for method, _, body in channel.consume("hello"):
            channel.basic_ack(method.delivery_tag)
            if body == b"c":
                break
        channel.cancel()
    assert [(event.task, event.detail) for event in events(lesson, "acked")] == [("a", ""), ("b", ""), ("c", "")]
    assert fates(lesson) == dict.fromkeys("abc", "done")
    assert ready(lesson) == 0


def test_what_a_generator_hands_back_waits(lesson: Lesson) -> None:
    send(lesson, "a", "b", "c")
    with lesson.connect() as connection:
        channel = connection.channel()
        method, _, _ = next(channel.consume("hello"))
        channel.basic_ack(method.delivery_tag)
        channel.cancel()
        assert fates(lesson) == {"a": "done", "b": "waiting", "c": "waiting"}
    assert ready(lesson) == 2


def test_what_a_stopped_consumer_got_under_auto_ack_and_dropped_is_lost_by_name(lesson: Lesson, poll_for: Any) -> None:
    send(lesson, "a", "b", "c")
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_consume("hello", lambda ch, *_: ch.stop_consuming(), auto_ack=True)
        poll_for(lambda: len(events(lesson, "delivered")) == 3 or connection.process_data_events(0.05))
        channel.start_consuming()
    assert fates(lesson) == {"a": "done", "b": "lost", "c": "lost"}
    assert "canceled before the notebook came to it" in reasons(lesson)["b"]
    assert ready(lesson) == 0


def test_what_cancel_returns_is_in_hand(lesson: Lesson, poll_for: Any) -> None:
    send(lesson, "a", "b")
    with lesson.connect() as connection:
        channel = connection.channel()
        tag = channel.basic_consume("hello", print, auto_ack=True)
        channel._impl  # noqa: B018 - nothing is dispatched to the callback before the next call
        with lesson.connect() as other:
            other.channel()
        returned = channel.basic_cancel(tag)
    told = {body.decode() for _, _, body in returned}
    assert {task for task, place in fates(lesson).items() if place == "done"} == told


def test_a_closed_connection_drops_what_came_under_auto_ack(lesson: Lesson) -> None:
    send(lesson, "a", "b")
    with lesson.connect() as connection:
        generator = connection.channel().consume("hello", auto_ack=True)
        next(generator)
        lesson.log.wait_for(lambda: len(events(lesson, "delivered")) == 2, 1)
    assert fates(lesson)["a"] == "done"
    assert fates(lesson)["b"] == ("lost" if len(events(lesson, "delivered")) == 2 else "waiting")


def test_an_ack_on_a_dead_connection_is_not_said_to_have_arrived(lesson: Lesson) -> None:
    send(lesson, "a", "b", "c")
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        deliveries = channel.consume("hello")
        for _ in "ab":  # that "c" comes shows that RabbitMQ knows of these acks
            channel.basic_ack(next(deliveries)[0].delivery_tag)
        method, _, _ = next(deliveries)
        pika_private.cut(connection._impl)
        with contextlib.suppress(pika.exceptions.AMQPError):
            channel.basic_ack(method.delivery_tag)
            connection.process_data_events(5)
    assert [event.task for event in events(lesson, "acked")] == ["a", "b", "c"]
    assert fates(lesson) == {"a": "done", "b": "done", "c": "unknown"}
    assert "its ack may not have arrived" in reasons(lesson)["c"]
    assert lesson.take_stock()
    assert fates(lesson) == {"a": "done", "b": "done", "c": "waiting"}
    assert ready(lesson) == 1


def test_a_message_on_a_dead_connection_is_not_said_to_wait(lesson: Lesson) -> None:
    connection = lesson.connect()
    channel = connection.channel()
    for task in (b"a", b"b"):
        channel.basic_publish("", "hello", task)
    channel.queue_declare("hello", passive=True)
    pika_private.cut(connection._impl)
    with contextlib.suppress(pika.exceptions.AMQPError):
        channel.basic_publish("", "hello", b"after")
        connection.process_data_events(0)
    assert wait_until(lambda: lesson.take_stock() and fates(lesson)["after"] == "unknown", 10.0)
    assert fates(lesson) == {"a": "waiting", "b": "waiting", "after": "unknown"}


def test_an_ack_of_which_the_counts_have_told_is_done_whatever_becomes_of_its_connection(lesson: Lesson) -> None:
    send(lesson, "a")
    with contextlib.suppress(pika.exceptions.AMQPError), lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_ack(next(channel.consume("hello"))[0].delivery_tag)
        assert lesson.take_stock()
        pika_private.cut(connection._impl)
    assert not connection.is_open
    assert fates(lesson) == {"a": "done"}


def test_a_worker_whose_ack_met_a_dead_connection_gets_its_task_again(lesson: Lesson) -> None:
    seen = []

    def cook(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        seen.append(fates(lesson)["a"])
        if len(seen) == 1:
            connection = worker._consumer._life.connection
            assert connection is not None
            pika_private.cut(connection)
        ch.basic_ack(method.delivery_tag)

    [worker] = lesson.start_workers(1, cook, queue="hello")
    send(lesson, "a")
    lesson.wait_until_idle()
    assert seen == ["in hand", "in hand"]
    assert fates(lesson) == {"a": "done"}
    assert lesson.ledger().workers()[worker.name].done == 1
    assert [event.detail for event in events(lesson, "unknown")] == [
        "its ack may not have arrived before the connection was lost"
    ]


def test_a_consumer_that_the_broker_canceled_settles_nothing(lesson: Lesson) -> None:
    send(lesson, "a")
    with lesson.connect() as connection, lesson.connect() as other:
        channel = connection.channel()
        tags: list[int] = []
        channel.basic_consume("hello", lambda ch, method, *_: tags.append(method.delivery_tag))
        while not tags:
            connection.process_data_events(0.1)
        with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
            unseen.channel().queue_delete("hello")
        while not events(lesson, "cancelled"):
            connection.process_data_events(0.1)
        assert fates(lesson) == {"a": "unknown"}
        assert "canceled its consumer" in reasons(lesson)["a"]
        channel.basic_ack(tags[0])
        assert other.is_open
        assert not events(lesson, "acked")
        assert fates(lesson) == {"a": "unknown"}


def test_an_overdue_ack_settles_nothing(lesson: Lesson, poll_for: Any) -> None:
    if lesson.broker.features.quorum_ack_timeout_closes_channel:
        pytest.skip("before 4.3 the channel is closed, which others show; from then on the consumer is canceled")
    declare_impatient_queue(lesson, "impatient", timeout_seconds=1)
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish("", "impatient", b"slow")
        tags: list[int] = []
        channel.basic_consume("impatient", lambda ch, method, *_: tags.append(method.delivery_tag))
        while not events(lesson, "cancelled"):
            connection.process_data_events(0.2)
        channel.basic_ack(tags[0])
        assert not events(lesson, "acked")
        assert fates(lesson) == {"slow": "unknown"}
    with lesson.connect() as connection:
        channel = connection.channel()
        poll_for(lambda: channel.basic_get("impatient")[0] is not None)
        assert fates(lesson) == {"slow": "in hand"}
        channel.basic_ack(delivery_tag=1)
        assert fates(lesson) == {"slow": "done"}


# -- publishing in the notebook


def test_an_unroutable_message_is_returned_without_confirms_too(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish("", "helo", b"lost", mandatory=True)
    assert fates(lesson) == {"lost": "returned"}
    assert reasons(lesson)["lost"] == "312 NO_ROUTE"


def missing_exchange(channel: Any) -> None:
    channel.basic_publish("nope", "hello", b"bad")
    channel.queue_declare("hello", passive=True)


def wrong_user(channel: Any) -> None:
    channel.basic_publish("", "hello", b"bad", pika.BasicProperties(user_id="somebody else"))
    channel.queue_declare("hello", passive=True)


def no_expiration(channel: Any) -> None:
    channel.basic_publish("", "hello", b"bad", pika.BasicProperties(expiration="soon"))
    channel.queue_declare("hello", passive=True)


def rolled_back(channel: Any) -> None:
    channel.tx_select()
    channel.basic_publish("", "hello", b"bad")
    channel.tx_rollback()


def uncommitted(channel: Any) -> None:
    channel.tx_select()
    channel.basic_publish("", "hello", b"bad")
    channel.close()


@pytest.mark.parametrize(
    ("publish", "why"),
    [
        (missing_exchange, "404 NOT_FOUND - no exchange 'nope'"),
        (wrong_user, "406 PRECONDITION_FAILED - user_id property set to 'somebody else'"),
        (no_expiration, "406 PRECONDITION_FAILED - invalid expiration 'soon'"),
        (rolled_back, "the transaction was rolled back"),
        (uncommitted, "its transaction was never committed"),
    ],
)
def test_what_the_broker_did_not_take_is_refused_with_the_reason(
    lesson: Lesson, publish: Callable[[Any], None], why: str
) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish("", "hello", b"good")
        try:
            publish(channel)
        except (pika.exceptions.AMQPError, WorkqError):
            assert channel.is_closed
    assert fates(lesson) == {"good": "waiting", "bad": "refused"}
    assert reasons(lesson)["bad"].startswith(why)
    assert ready(lesson) == 1


def publish_too_much(channel: Any) -> None:
    channel.basic_publish("", "hello", b"x" * 20_000_000)
    channel.queue_declare("hello", passive=True)


def test_a_message_that_is_too_large_is_refused(lesson: Lesson) -> None:
    if lesson.broker.version < Version("4.0"):  # before that, messages of 128 MB were taken
        with lesson.connect() as connection:
            publish_too_much(connection.channel())
        assert list(fates(lesson).values()) == ["waiting"]
        return
    with lesson.connect() as connection:
        channel = connection.channel()
        with pytest.raises((pika.exceptions.AMQPError, WorkqError)):
            publish_too_much(channel)
    assert list(fates(lesson).values()) == ["refused"]
    assert "message size 20000000 is larger" in next(iter(reasons(lesson).values()))


def test_what_is_published_on_a_closed_channel_was_never_sent(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.close()
        with pytest.raises(pika.exceptions.ChannelWrongStateError):
            channel.basic_publish("", "hello", b"never")
    assert fates(lesson) == {}


def test_a_committed_transaction_counts(lesson: Lesson) -> None:
    send(lesson, "task")
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.tx_select()
        method, _, _ = channel.basic_get("hello")
        channel.basic_publish("", "hello", b"next")
        channel.basic_ack(method.delivery_tag)
        assert fates(lesson) == {"task": "in hand"}
        channel.tx_commit()
        assert fates(lesson) == {"task": "done", "next": "waiting"}
    assert ready(lesson) == 1


def test_a_rolled_back_ack_leaves_the_delivery_in_hand(lesson: Lesson) -> None:
    send(lesson, "task")
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.tx_select()
        method, _, _ = channel.basic_get("hello")
        channel.basic_ack(method.delivery_tag)
        channel.tx_rollback()
        assert fates(lesson) == {"task": "in hand"}
    assert fates(lesson) == {"task": "waiting"}


# -- a worker's acks and publishes


def test_what_a_closed_channel_swallowed_is_taken_back(lesson: Lesson, poll_for: Any) -> None:
    gate = threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        gate.wait(10)
        ch.basic_ack(method.delivery_tag)
        if body == b"second":
            ch.basic_publish("nope", "", b"next")

    worker = lesson.start_worker(callback, "hello")
    send(lesson, "first", "second", "third")
    poll_for(lambda: worker.in_hand == 3)
    gate.set()
    poll_for(lambda: not worker.alive)
    assert worker.state == "crashed"
    assert fates(lesson) == {"first": "done", "second": "done", "third": "waiting", "next": "refused"}
    assert "no exchange 'nope'" in reasons(lesson)["next"]
    poll_for(lambda: ready(lesson) == 1)


def test_acks_and_publishes_go_out_in_the_order_of_the_callback(lesson: Lesson, poll_for: Any) -> None:
    with lesson.connect() as connection:
        connection.channel().queue_declare("next", durable=True)

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        ch.basic_publish("", "next", body)
        ch.basic_ack(method.delivery_tag)

    worker = lesson.start_worker(callback, "hello", prefetch_count=10)
    send(lesson, *map(str, range(50)))
    poll_for(lambda: worker.finished == 50)
    lesson.wait_until_idle()
    trace = lesson.trace()
    sent = list(trace[(trace["client"] == worker.name) & (trace["direction"] == "sent")]["method"])
    published = [at for at, method in enumerate(sent) if method == "basic.publish"]
    assert len(published) == 50
    of_worker = [event for event in lesson.log if event.actor == worker.name]
    for number in range(50):
        kinds = [event.kind for event in of_worker if event.task == str(number)]
        assert kinds.index("published") < kinds.index("acked")


# -- confirms and a crash


def test_what_was_not_confirmed_when_the_connection_was_lost_is_unknown_and_sent_again(lesson: Lesson) -> None:
    publisher = lesson.start_publisher(map(str, range(3_000)), "hello", rate=1_200, confirm=True)
    lesson.log.wait_for(lambda: publisher.confirmed > 300, 30)
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)):
        cut(publisher)
    publisher.wait()
    doubtful = {event.mark for event in events(lesson, "unknown")}
    again = [event for event in events(lesson, "published") if event.mark in doubtful]
    assert len(again) == 2 * len(doubtful)
    places = lesson.ledger().places()
    assert places["unknown"] == len(doubtful)
    assert places["waiting"] == 3_000
    counted = ready(lesson)
    assert 3_000 <= counted <= 3_000 + len(doubtful)
    with lesson.connect() as connection:
        channel = connection.channel()
        for method, _, _ in itertools.islice(channel.consume("hello"), counted):
            channel.basic_ack(method.delivery_tag)
        channel.cancel()
    assert lesson.ledger().places()["done"] == counted
    assert lesson.ledger().places()["unknown"] == 3_000 + len(doubtful) - counted


def cut(publisher: Any) -> None:
    from workq_helpers.clients import pika_private

    pika_private.cut(publisher._life.connection)


# -- the mark


def test_nobody_gets_to_see_the_mark_and_nothing_else_is_added(lesson: Lesson) -> None:
    sent = [
        None,
        pika.BasicProperties(),
        pika.BasicProperties(headers={}),
        pika.BasicProperties(headers={"a": 1}, message_id="mine", priority=3),
    ]
    with lesson.connect() as connection:
        channel = connection.channel()
        for properties in sent:
            channel.basic_publish("", "hello", b"x", properties)
        got = [channel.basic_get("hello", auto_ack=True)[1] for _ in sent]
    assert [properties.headers for properties in got] == [None, None, {}, {"a": 1}]
    assert [properties.message_id for properties in got] == [None, None, None, "mine"]
    assert sent[-1] is not None
    assert sent[-1].headers == {"a": 1}, "the sender's own properties stay as they are"
    seen: list[Any] = []
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish("", "hello", b"x", sent[-1])
        _, properties, _ = next(channel.consume("hello"))
        seen.append(properties)
        channel.basic_publish("", "nowhere", b"x", sent[-1], mandatory=True)
        channel.add_on_return_callback(lambda ch, method, properties, body: seen.append(properties))
        connection.process_data_events(0.5)
    assert all(MARK_HEADER not in (properties.headers or {}) for properties in seen)
    lesson.start_worker(lambda ch, method, properties, body: seen.append(properties), "hello", auto_ack=True)
    lesson.start_publisher(["by a publisher"], "hello").wait()
    lesson.wait_until_idle()
    assert seen[-1].headers is None
    assert seen[-1].message_id is None


def test_a_foreign_message_is_known_by_its_queue_and_body(lesson: Lesson) -> None:
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
        unseen.channel().basic_publish("", "hello", b"foreign")
    with lesson.connect() as connection:
        connection.channel().basic_get("hello")
    with lesson.connect() as connection:
        channel = connection.channel()
        method, _, _ = channel.basic_get("hello")
        channel.basic_ack(method.delivery_tag)
    (message,) = lesson.ledger()
    assert (message.task, message.place, message.deliveries) == ("foreign", "done", 2)


# -- the trace


def test_the_trace_shows_what_passed(lesson: Lesson) -> None:
    send(lesson, "task")
    with lesson.connect() as connection:
        channel = connection.channel()
        method, _, _ = channel.basic_get("hello")
        channel.basic_ack(method.delivery_tag)
    trace = lesson.trace()
    assert list(trace.columns) == ["seconds", "client", "direction", "method", "about"]
    about = {row.method: (row.client, row.direction, row.about) for row in trace.itertuples()}
    assert about["basic.publish"] == ("notebook", "sent", "routing_key=hello, 'task'")
    assert about["basic.get-ok"][1] == "received"
    assert about["basic.ack"] == ("notebook", "sent", "delivery_tag=1")
    assert about["connection.start-ok"] == ("notebook", "sent", "")
    assert lesson.broker.endpoint.password not in trace.to_string()
    some = lesson.trace("basic.publish", "basic.ack")
    assert (list(some["method"]), list(some.index)) == (["basic.publish", "basic.ack"], [0, 1])
    lesson.start_over()
    assert "basic.publish" not in set(lesson.trace()["method"])


# -- odd values


class NotText(str):
    """A text that is not UTF-8 on the wire."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe" + super().encode()


def test_no_odd_value_breaks_a_table(lesson: Lesson) -> None:
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as unseen:
        odd = pika.BasicProperties(message_id=NotText("x"), headers={"a": [1, None, {"b": 1}]})
        unseen.channel().basic_publish("", "hello", b"\xff", odd)
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_get("hello")
        channel.basic_publish("", NotText("nowhere"), b"y", pika.BasicProperties(message_id=NotText("z")))
        for tag in (True, 99):
            with contextlib.suppress(Exception):
                channel.basic_ack(tag)
        with contextlib.suppress(Exception):
            connection.process_data_events(0.5)
    for table in (lesson.events(), lesson.deliveries(), lesson.tasks(), lesson.trace()):
        assert len(table.to_string()) > 0
    assert lesson.timeline() is not None
