from __future__ import annotations

import pickle
import socket
from typing import Any

import pika
import pytest

from workq_helpers import Broker, Lesson
from workq_helpers.errors import InvalidArgumentError, WaitTimeoutError
from workq_helpers.rabbitmq.errors import QueueMismatchError, QueueNotFoundError


def test_opening_a_lesson_again_closes_everything_of_the_first(broker: Broker, work_and_ack: Any) -> None:
    first = Lesson("again", broker)
    connection = first.connect()
    connection.channel().queue_declare("hello", durable=True)
    worker = first.start_worker(work_and_ack, "hello")
    publisher = first.start_publisher(iter(lambda: "on and on", None), "hello", interval_seconds=0.001)
    with Lesson("again", broker) as second:
        assert not worker.alive
        assert not publisher.alive
        assert connection.is_closed
        assert second.queue_counts() == {}
        assert first.virtual_host not in broker.virtual_hosts()
        assert repr(first) == "<Lesson 'again': closed>"
        with pytest.raises(InvalidArgumentError, match=r"'again' is closed\. Run the notebook's first cell"):
            first.start_worker(work_and_ack, "hello")


def test_lessons_of_other_names_live_side_by_side(broker: Broker) -> None:
    with Lesson("one", broker) as one, Lesson("two", broker) as two:
        for lesson in (one, two):
            with lesson.connect() as connection:
                connection.channel().queue_declare("hello", durable=True)
        one.start_publisher(["only here"], "hello").wait()
        assert (one.queue_counts()["hello"].ready, two.queue_counts()["hello"].ready) == (1, 0)


@pytest.mark.parametrize("name", ["", "  ", None, 7])
def test_a_lesson_needs_a_name(broker: Broker, name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="A lesson needs a name"):
        Lesson(name, broker)


def test_what_is_no_broker_is_refused_in_words() -> None:
    with pytest.raises(InvalidArgumentError, match="5 is no broker: leave it out"):
        Lesson("round-robin", 5)  # type: ignore[arg-type]


def test_a_queue_with_other_arguments(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        with pytest.raises(QueueMismatchError, match=r"'hello' exists already.*durable") as caught:
            connection.channel().queue_declare("hello", durable=False)
        # A learner's own except clause, as pika's documentation has it, catches it too.
        assert isinstance(caught.value, pika.exceptions.ChannelClosedByBroker)
        assert caught.value.reply_code == 406
        assert connection.is_open


@pytest.mark.parametrize("end", ["close the channel", "close the connection", "ack twice", "lose the connection"])
def test_what_a_plain_channel_held_goes_back_to_the_queue_in_the_log_too(lesson: Lesson, end: str) -> None:
    lesson.start_publisher(["one", "two"], "hello").wait()
    connection = lesson.connect()
    channel = connection.channel()
    first, _, _ = channel.basic_get("hello")
    channel.basic_get("hello")
    channel.basic_ack(first.delivery_tag)
    if end == "close the channel":
        channel.close()
    elif end == "close the connection":
        connection.close()
    elif end == "ack twice":
        channel.basic_ack(first.delivery_tag)
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare("hello", passive=True)
    else:
        connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(pika.exceptions.AMQPError):
            connection.process_data_events(30)
    back = [(event.actor, event.task) for event in lesson.log if event.kind == "requeued"]
    assert back == [("notebook", "two")]
    lesson.wait_until_idle()
    assert lesson.ledger().queues()["hello"] == (1, 0)


def test_a_queue_that_is_not_there(lesson: Lesson) -> None:
    with lesson.connect() as connection, pytest.raises(QueueNotFoundError, match=r"'nope'"):
        connection.channel().queue_purge("nope")


def test_purge_says_how_many_went(lesson: Lesson) -> None:
    lesson.start_publisher("x", "hello", count=7).wait()
    assert lesson.purge("hello") == 7
    assert lesson.queue_counts()["hello"].ready == 0
    with pytest.raises(QueueNotFoundError):
        lesson.purge("nope")


def test_counts_are_the_brokers_own(lesson: Lesson, poll_for: Any) -> None:
    worker = lesson.start_worker(lambda ch, method, properties, body: None, "hello", prefetch_count=2)
    lesson.start_publisher("x", "hello", count=5).wait()
    poll_for(lambda: worker.finished == 2)
    lesson.wait_until_idle()
    counts = lesson.queue_counts()["hello"]
    assert (counts.ready, counts.unacknowledged) == (3, 2)


def test_idle_means_that_everything_was_worked_on(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_workers(3, work_and_ack, "hello", prefetch_count=1)
    with lesson.connect() as connection:
        channel = connection.channel()
        for _ in range(30):
            channel.basic_publish(exchange="", routing_key="hello", body="task.")
        lesson.wait_until_idle()
        assert sum(worker.finished for worker in lesson.workers) == 30


def test_idle_without_workers_returns_at_once(lesson: Lesson) -> None:
    lesson.start_publisher(["nobody takes it"], "hello").wait()
    lesson.wait_until_idle(5)


def test_waiting_for_idle_says_what_goes_on(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_worker(work_and_ack, "hello")
    lesson.start_publisher(["." * 100_000], "hello")
    with pytest.raises(WaitTimeoutError, match=r"Not idle after 0\.5 seconds: worker-1 is busy with 1 in hand"):
        lesson.wait_until_idle(0.5)


def test_no_password_in_any_repr(lesson: Lesson, work_and_ack: Any) -> None:
    worker = lesson.start_worker(work_and_ack, "hello")
    publisher = lesson.start_publisher(["one"], "hello")
    shown = [repr(thing) for thing in (lesson, lesson.broker, lesson.broker.endpoint, worker, publisher)]
    shown += [repr(event) for event in lesson.log]
    assert lesson.broker.endpoint.password not in "".join(shown)
    publisher.wait()


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(QueueMismatchError("a sentence", 406, "PRECONDITION_FAILED")))  # noqa: S301
    assert (str(error), error.reply_code) == ("a sentence", 406)
