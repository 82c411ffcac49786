"""The acknowledgment timeout, made visible in seconds where that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from workq_helpers.broker import Broker
    from workq_helpers.lesson import Lesson
    from workq_helpers.worker import Worker

__all__ = ["declare_impatient_queue", "wait_for_ack_timeout"]

#: RabbitMQ knows a queue's own timeout from this version on.
_PER_QUEUE = Version("3.12")

_WAIT_SECONDS = 30.0


def declare_impatient_queue(lesson: Lesson, queue: str, timeout_seconds: float = 3.0) -> None:
    """Declare a quorum queue whose deliveries must be acknowledged within some seconds instead of half an hour.

    Args:
        lesson: Where.
        queue: Its name.
        timeout_seconds: How long RabbitMQ waits; where it has no timeout for a single queue, its usual one holds.
    """
    arguments = {"x-queue-type": "quorum", "x-consumer-timeout": round(timeout_seconds * 1000)}
    with lesson.connect() as connection:
        connection.channel().queue_declare(queue, durable=True, arguments=arguments)


def wait_for_ack_timeout(lesson: Lesson, worker: Worker) -> str:
    """Wait until RabbitMQ loses its patience with a worker; where that takes too long, say so at once.

    Args:
        lesson: The worker's lesson.
        worker: It holds a delivery of an impatient queue.

    Returns:
        What happened, in a sentence.
    """
    reason = _reason_not_to_wait(lesson.broker)
    if reason:
        return reason
    if not lesson.log.wait_for(lambda: not worker.alive, _WAIT_SECONDS):
        return f"{worker.name} still holds its delivery: RabbitMQ has not looked yet."
    return f"RabbitMQ lost its patience: {worker.name} is {worker.state}."


def _reason_not_to_wait(broker: Broker) -> str:
    if broker.version < _PER_QUEUE:
        return (
            f"RabbitMQ {broker.version} has one timeout for all its queues, half an hour unless it is configured "
            f"otherwise. We won't wait for that; read on."
        )
    if not broker.ours:
        return "This broker is not the course's own: it looks once a minute for what is overdue. Read on."
    return ""
