from __future__ import annotations

import threading
from typing import Any

import pytest

from workq_helpers import Broker, Lesson


@pytest.fixture
def settled(restartable: Broker, lesson: Lesson) -> None:
    """Restart the broker properly: RabbitMQ 3.10 may lose a queue in a crash that is only a moment old."""
    lesson.broker.restart()
    lesson.log.clear()


@pytest.mark.once
def test_workers_say_that_the_broker_went_and_come_back(restartable: Broker, lesson: Lesson, work_and_ack: Any) -> None:
    worker = lesson.start_worker(work_and_ack, "hello")
    lesson.broker.restart()
    assert lesson.log.wait_for(lambda: worker.state == "idle", 30)
    lesson.start_publisher(["after."], "hello", persistent=True)
    lesson.wait_until_idle()
    mine = [event.kind for event in lesson.log if event.actor == worker.name]
    assert mine == [
        "starting", "connected", "disconnected", "reconnecting", "connected",
        "delivered", "started", "acked", "finished",
    ]  # fmt: skip
    assert [event.detail for event in lesson.log if event.kind == "broker"] == ["restarting", "up"]
    assert "Connection lost" in worker.console.text
    assert worker.console.text.count("[*] Waiting for messages.") == 2


@pytest.mark.once
def test_a_task_in_hand_at_a_crash_is_done_again(settled: None, lesson: Lesson) -> None:
    go_on = threading.Event()
    begun = threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        begun.set()
        assert go_on.wait(60)
        ch.basic_ack(delivery_tag=method.delivery_tag)

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello", persistent=True, confirm=True).wait()
    assert begun.wait(30)
    lesson.broker.crash()
    assert lesson.log.wait_for(lambda: worker.state == "busy", 30)
    go_on.set()
    lesson.wait_until_idle()
    mine = [(event.kind, event.redelivered) for event in lesson.log if event.task and event.actor == worker.name]
    assert [kind for kind, _ in mine if kind == "started"] == ["started", "started"]
    assert ("delivered", True) in mine
    assert [event.kind for event in lesson.log if event.kind in ("ack dropped", "acked")] == ["ack dropped", "acked"]
    assert lesson.queue_counts()["hello"].ready == 0


@pytest.mark.once
def test_a_confirming_publisher_sends_again_what_was_not_confirmed(settled: None, lesson: Lesson) -> None:
    def tasks() -> Any:
        for number in range(3_000):
            if number == 1_000:
                crash.start()
            yield str(number)

    crash = threading.Thread(target=lesson.broker.crash)
    publisher = lesson.start_publisher(tasks(), "hello", persistent=True, confirm=True, rate=3_000)
    publisher.wait()
    crash.join()
    assert publisher.confirmed == 3_000
    assert lesson.queue_counts()["hello"].ready >= 3_000
