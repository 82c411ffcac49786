from __future__ import annotations

from typing import Any

from packaging.version import Version

from workq_helpers import Lesson
from workq_helpers.ack_timeout import declare_impatient_queue, wait_for_ack_timeout
from workq_helpers.checks import check


def forgetful(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """A callback that never acknowledges."""


def test_rabbitmq_loses_its_patience_in_seconds_or_it_is_said_why_not(lesson: Lesson) -> None:
    declare_impatient_queue(lesson, "impatient", timeout_seconds=1)
    worker = lesson.start_worker(forgetful, "impatient")
    with lesson.connect() as connection:
        connection.channel().basic_publish("", "impatient", b"Tea.")
    assert lesson.log.wait_for(lambda: worker.done == 1, 30)
    said = wait_for_ack_timeout(lesson, worker)
    if lesson.broker.version < Version("3.12"):
        assert "one timeout for all its queues" in said
    elif not lesson.broker.ours:
        assert "not the course's own" in said
    else:
        assert said.startswith(f"RabbitMQ lost its patience: {worker.name}")
        closed = lesson.broker.features.quorum_ack_timeout_closes_channel
        saw = f"RabbitMQ {'closed' if closed else 'canceled'} {worker.name}'s "
        assert check(lesson, "ack timeout").saw.startswith(saw)
        assert worker.state == ("crashed" if closed else "stopped")
