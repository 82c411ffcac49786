from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from workq_helpers import Broker, Lesson
from workq_helpers.lessons.mistakes_and_long_work import ack_timeout, check
from workq_helpers.lessons.mistakes_and_long_work.ack_timeout import (
    ack_timeout_of,
    declare_impatient_queue,
    wait_for_ack_timeout,
)
from workq_helpers.rabbitmq.endpoint import Endpoint


def forgetful(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """A callback that never acknowledges."""


def test_rabbitmq_loses_its_patience_in_seconds(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    declare_impatient_queue(lesson, "impatient", timeout_seconds=1)
    worker = lesson.start_worker(forgetful, "impatient")
    with lesson.connect() as connection:
        connection.channel().basic_publish("", "impatient", b"Tea.")
    assert lesson.log.wait_for(lambda: worker.finished == 1, 30)
    said = wait_for_ack_timeout(lesson, worker)
    closed = lesson.broker.features.quorum_ack_timeout_closes_channel
    deed = "closed its channel, 406 PRECONDITION_FAILED" if closed else "canceled its consumer"
    assert said == f"RabbitMQ lost its patience with {worker.name}: it {deed}."
    saw = f"RabbitMQ {'closed' if closed else 'canceled'} {worker.name}'s "
    assert check(lesson, "ack timeout").saw.startswith(saw)
    assert worker.state == ("crashed" if closed else "stopped")
    # The task went back to the queue, of which the broker's counts tell a moment later.
    poll_for(lambda: lesson.queue_counts()["impatient"].ready == 1)


def test_what_becomes_of_a_classic_queue_depends_on_the_version(restartable: Broker, lesson: Lesson) -> None:
    said = ack_timeout_of(lesson, forgetful, "classic", timeout_seconds=1)
    if lesson.broker.features.classic_ack_timeout:
        assert said.endswith("it closed its channel, 406 PRECONDITION_FAILED.")
    else:
        assert said.startswith(f"RabbitMQ {lesson.broker.version} has no timeout for a classic queue.")
        assert "406 PRECONDITION_FAILED - invalid arg 'x-consumer-timeout'" in said


def test_the_brokers_own_timeout_is_untouched_or_soon_as_it_was(
    restartable: Broker, lesson: Lesson, monkeypatch: pytest.MonkeyPatch, poll_for: Callable[..., None]
) -> None:
    def setting() -> str:
        return restartable.rabbitmqctl("eval", "application:get_env(rabbit, consumer_timeout).")

    usual = setting()
    ack_timeout_of(lesson, forgetful, "quorum", timeout_seconds=1)
    assert setting() == usual
    monkeypatch.setattr(ack_timeout, "_WINDOW_SECONDS", 1.0)
    declare_impatient_queue(lesson, "forgotten", timeout_seconds=1)
    if restartable.features.ack_timeout_of_a_queue:
        assert setting() == usual, "the queue has a timeout of its own"
    poll_for(lambda: setting() == usual)


def test_a_broker_of_others_is_not_hurried() -> None:
    with Broker(Endpoint("rabbit.example", 5672, "ada", "secret"), Version("4.3.6")) as broker:
        lesson = SimpleNamespace(broker=broker)
        said = ack_timeout_of(lesson, forgetful, "classic")  # type: ignore[arg-type]  # it needs no more of a lesson
    assert said.startswith("The RabbitMQ at rabbit.example:5672 is not the course's own")
    assert "secret" not in said
