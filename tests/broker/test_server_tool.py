from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from workq_helpers import Broker, Lesson
from workq_helpers.errors import BrokerError, InvalidArgumentError
from workq_helpers.lessons.mistakes_and_long_work.rabbitmqctl import rabbitmqctl
from workq_helpers.rabbitmq.endpoint import Endpoint

_COUNTS = ("list_queues", "name", "messages_ready", "messages_unacknowledged")


def test_it_counts_what_the_lesson_counts(restartable: Broker, lesson: Lesson) -> None:
    def forgetful(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        """Never acknowledges."""

    worker = lesson.start_worker(forgetful, "hello", prefetch_count=2)
    lesson.start_publisher("Tea.", "hello", count=5).wait()
    assert lesson.log.wait_for(lambda: worker.finished == 2, 30)
    printed = rabbitmqctl(lesson, *_COUNTS)
    assert printed.splitlines() == ["name\tmessages_ready\tmessages_unacknowledged", "hello\t3\t2"]
    assert repr(printed) == printed


def test_what_it_can_not_do_is_said_with_its_own_words(restartable: Broker, lesson: Lesson) -> None:
    with pytest.raises(BrokerError, match=r"(?s)rabbitmqctl list_bananas .*ended with status 64.*not found"):
        rabbitmqctl(lesson, "list_bananas")
    with pytest.raises(InvalidArgumentError, match="5 can't be an argument of rabbitmqctl"):
        rabbitmqctl(lesson, 5)  # type: ignore[arg-type]  # that is the point


def test_on_a_broker_of_others_it_tells_what_to_type_there() -> None:
    with Broker(Endpoint("rabbit.example", 5672, "ada", "secret"), Version("4.3.6")) as broker:
        lesson = SimpleNamespace(broker=broker, virtual_host="lessons")
        said = rabbitmqctl(lesson, *_COUNTS)  # type: ignore[arg-type]  # it needs no more of a lesson
    assert said.endswith("type: rabbitmqctl list_queues name messages_ready messages_unacknowledged --vhost lessons")
    assert "secret" not in said
