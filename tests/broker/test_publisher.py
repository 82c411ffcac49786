from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pika
import pytest

from tests.logs import events
from workq_helpers import Lesson
from workq_helpers.errors import InvalidArgumentError, WaitTimeoutError


def fetch(lesson: Lesson, queue: str = "hello") -> list[tuple[bytes, Any]]:
    """Fetch everything in a queue."""
    fetched = []
    with lesson.connect() as connection:
        channel = connection.channel()
        while (message := channel.basic_get(queue, auto_ack=True))[0]:
            fetched.append((message[2], message[1]))
    return fetched


def test_an_iterable_is_published_in_order_each_with_a_mark_that_nobody_sees(lesson: Lesson) -> None:
    publisher = lesson.start_publisher(["one.", b"two..", "drei…"], "hello")
    publisher.wait()
    fetched = fetch(lesson)
    assert [body.decode() for body, _ in fetched] == ["one.", "two..", "drei…"]
    assert all((properties.message_id, properties.headers) == (None, None) for _, properties in fetched)
    delivered = [event.mark for event in events(lesson, "delivered")]
    assert [event.mark for event in events(lesson, "published")] == delivered
    assert len(set(delivered)) == 3
    assert [properties.delivery_mode for _, properties in fetched] == [None, None, None]
    assert repr(publisher) == "<Publisher publisher-1: finished, 3 published>"


def test_persistent_messages_say_so(lesson: Lesson) -> None:
    lesson.start_publisher(["one"], "hello", persistent=True).wait()
    assert [properties.delivery_mode for _, properties in fetch(lesson)] == [2]
    assert [str(event.detail) for event in events(lesson, "published")] == ["persistent"]


def test_a_single_text_is_sent_count_times(lesson: Lesson) -> None:
    lesson.start_publisher("same", "hello", count=3).wait()
    assert [body for body, _ in fetch(lesson)] == [b"same"] * 3


def test_count_limits_an_endless_iterable(lesson: Lesson) -> None:
    def numbers() -> Iterator[str]:
        number = 0
        while True:
            yield str(number)
            number += 1

    lesson.start_publisher(numbers(), "hello", count=1_234).wait()
    assert [body for body, _ in fetch(lesson)] == [str(number).encode() for number in range(1_234)]


def test_confirms_are_events_of_their_own(lesson: Lesson) -> None:
    publisher = lesson.start_publisher([str(number) for number in range(50)], "hello", confirm=True)
    publisher.wait()
    assert (publisher.published, publisher.confirmed, publisher.refused) == (50, 50, 0)
    published = {event.mark for event in events(lesson, "published")}
    assert {event.mark for event in events(lesson, "confirmed")} == published


def test_mandatory_messages_that_go_nowhere_are_returned(lesson: Lesson) -> None:
    publisher = lesson.start_publisher(["lost"], "nowhere", mandatory=True, confirm=True)
    publisher.wait()
    assert publisher.returned == 1
    (event,) = events(lesson, "returned")
    assert (event.task, str(event.detail)) == ("lost", "312 NO_ROUTE")
    assert event.mark == events(lesson, "published")[0].mark


def test_a_queue_that_refuses_answers_with_nack(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        connection.channel().queue_declare(
            "small", durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
        )
    publisher = lesson.start_publisher(["fits", "too many"], "small", confirm=True)
    publisher.wait()
    assert (publisher.confirmed, publisher.refused) == (1, 1)
    assert [event.task for event in events(lesson, "refused")] == ["too many"]


def test_an_interval_keeps_tasks_apart(lesson: Lesson) -> None:
    lesson.start_publisher(["one", "two", "three"], "hello", interval_seconds=0.1).wait()
    times = [event.seconds for event in events(lesson, "published")]
    # A timer may be late on a busy machine, and never early.
    assert times[2] - times[0] >= 0.15


def test_a_rate_keeps_tasks_apart(lesson: Lesson) -> None:
    lesson.start_publisher("task", "hello", rate=100, count=30).wait()
    times = [event.seconds for event in events(lesson, "published")]
    assert len(times) == 30
    assert times[-1] - times[0] >= 0.15


def test_stop_ends_an_endless_publisher(lesson: Lesson, poll_for: Any) -> None:
    publisher = lesson.start_publisher(iter(lambda: "again", None), "hello", interval_seconds=0.001)
    with pytest.raises(WaitTimeoutError, match=r"publisher-1 is .* after 0 seconds"):
        publisher.wait(timeout=0)
    poll_for(lambda: publisher.published > 3)
    publisher.stop()
    assert publisher.state == "stopped"
    assert lesson.queue_counts()["hello"].ready == publisher.published


def test_an_iterable_that_raises_is_reported_by_wait(lesson: Lesson) -> None:
    def tasks() -> Iterator[str]:
        yield "one"
        raise ZeroDivisionError("no more")

    publisher = lesson.start_publisher(tasks(), "hello")
    with pytest.raises(ZeroDivisionError, match="no more"):
        publisher.wait()
    assert publisher.state == "crashed"


def test_a_task_that_is_neither_text_nor_bytes(lesson: Lesson) -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be text or bytes, not 42 \(int\)"):
        lesson.start_publisher([42], "hello").wait()  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, r"rate is 0\. Pass a number"),
        ({"rate": 5, "interval_seconds": 1}, r"Pass one of them"),
        ({"interval_seconds": -1}, r"interval_seconds is -1"),
        ({"interval_seconds": float("nan")}, r"interval_seconds is nan"),
        ({"count": -2}, r"count is -2"),
        ({"queue": ""}, r"queue to publish to is ''"),
    ],
)
def test_arguments_that_make_no_sense(lesson: Lesson, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        lesson.start_publisher(["one"], **({"queue": "hello"} | arguments))
    assert lesson.publishers == []


def test_plain_pika_publishes_are_seen_too(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish(exchange="", routing_key="hello", body="plain.")
        channel.confirm_delivery()
        channel.basic_publish(exchange="", routing_key="hello", body=b"confirmed.")
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish(exchange="", routing_key="nowhere", body="back", mandatory=True)
    seen = [(event.kind, event.task) for event in lesson.log if event.task]
    assert seen == [
        ("published", "plain."),
        ("published", "confirmed."),
        ("confirmed", "confirmed."),
        ("published", "back"),
        ("returned", "back"),
        ("confirmed", "back"),
    ]
    fetch(lesson)
    ids = [event.mark for event in events(lesson, "delivered")]
    assert ids == [event.mark for event in events(lesson, "published")][:2]


def test_plain_pika_deliveries_are_seen_too(lesson: Lesson) -> None:
    lesson.start_publisher(["one", "two"], "hello").wait()
    with lesson.connect() as connection:
        channel = connection.channel()
        method, _, body = channel.basic_get("hello")
        channel.basic_ack(method.delivery_tag)
        assert body == b"one"

        def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
            ch.basic_ack(delivery_tag=method.delivery_tag)
            ch.stop_consuming()

        channel.basic_consume(queue="hello", on_message_callback=callback)
        channel.start_consuming()
    seen = [(event.kind, event.task) for event in lesson.log if event.actor == "notebook" and event.task]
    assert seen == [("delivered", "one"), ("acked", "one"), ("delivered", "two"), ("acked", "two")]
