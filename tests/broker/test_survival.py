"""What a real RabbitMQ keeps over a restart and a crash."""

from __future__ import annotations

from typing import Any

import pika
import pytest

from tests.support import need
from workq_helpers import Broker, Lesson
from workq_helpers.lessons.durability.survivors import fates, survivors, waiting
from workq_helpers.teaching.outage import crash, restart

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


def send_both(lesson: Lesson, *queues: str) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for queue in queues:
            for properties in (None, PERSISTENT, PERSISTENT):
                channel.basic_publish("", queue, "Soup..", properties)


def test_looking_at_what_waits_changes_nothing(lesson: Lesson) -> None:
    send_both(lesson, "hello")
    events = len(lesson.log)
    assert [message.properties.delivery_mode for message in waiting(lesson, "hello")] == [None, 2, 2]
    assert [message.properties.delivery_mode for message in waiting(lesson, "hello")] == [None, 2, 2]
    assert len(lesson.log) == events


def test_a_restart_leaves_what_the_table_says_a_crash_all_that_was_confirmed_and_each_says_its_steps(
    restartable: Broker, lesson: Lesson, work_and_ack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this order: a crash may take a queue that was declared a moment ago."""

    def said() -> str:
        return capsys.readouterr().out.splitlines()[-1]

    need(lesson.broker.features.transient_queues, "this broker refuses transient queues")
    with lesson.connect() as connection:
        for name in ("transient", "watched"):
            connection.channel().queue_declare(name)
        connection.channel().queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
    worker = lesson.start_worker(work_and_ack, "watched")
    send_both(lesson, "hello", "transient", "quorum")
    assert restart(lesson).happened
    assert said() == "RabbitMQ is told to stop. It is down. It takes connections again."
    table = fates(lesson)
    assert {name: list(row) for name, row in zip(table.index, table.to_numpy(), strict=True)} == {
        "hello (durable classic)": ["0 of 1 left", "2 of 2 left"],
        "transient (transient classic)": ["no such queue", "no such queue"],
        "watched (transient classic)": ["no such queue", "no such queue"],
        "quorum (durable quorum)": ["1 of 1 left", "2 of 2 left"],
    }
    assert lesson.log.wait_for(lambda: not worker.alive, 30)
    assert worker.state == "crashed"
    assert "no queue 'watched'" in worker.console.text

    with lesson.connect() as connection:
        connection.channel().queue_purge("hello")
    lesson.log.clear()
    publisher = lesson.start_publisher(map(str, range(3_000)), "hello", persistent=True, confirm=True)
    publisher.wait()
    assert crash(lesson).happened
    assert said() == "RabbitMQ is killed. It is down. It takes connections again."
    assert survivors(lesson).reset_index().to_numpy().tolist() == [["hello", 3_000, 3_000, 3_000, 0]]


def test_messages_for_no_queue_have_their_row(lesson: Lesson) -> None:
    send_both(lesson, "attic")
    table = fates(lesson)
    assert list(table.loc["attic (never declared)"]) == ["no such queue", "no such queue"]
