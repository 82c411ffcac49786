"""The acknowledgment timeout, made visible in seconds where that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.broker.by_hand import not_ours
from workq_helpers.rabbitmq.errors import ChannelRefusedError
from workq_helpers.rabbitmq.features import Features

if TYPE_CHECKING:
    from workq_helpers.broker import Broker
    from workq_helpers.clients.worker import Callback, Worker
    from workq_helpers.session import Session

__all__ = ["ack_timeout_of", "declare_impatient_queue", "wait_for_ack_timeout"]

_WAIT_SECONDS = 60.0

#: Older ones have a timeout for each channel, which it takes from RabbitMQ's settings when it is opened. So those are
#: changed, and change back by themselves if nobody does it sooner, whatever becomes of the notebook.
_FOR_THE_NEXT_CHANNELS = (
    "case application:get_env(rabbit, workq_timer) of {{ok, Timer}} -> timer:cancel(Timer); undefined -> ok end, "
    "application:set_env(rabbit, consumer_timeout, {milliseconds}), "
    "{{ok, Next}} = timer:apply_after({window}, application, set_env, [rabbit, consumer_timeout, {usual}]), "
    "application:set_env(rabbit, workq_timer, Next)."
)
_USUAL_SECONDS = 1800.0
_WINDOW_SECONDS = 20.0


def declare_impatient_queue(
    lesson: Session, queue: str, timeout_seconds: float = 3.0, queue_type: str = "quorum"
) -> None:
    """Declare a queue whose deliveries must be acknowledged within some seconds instead of half an hour.

    RabbitMQ before 3.12 knows no timeout of a single queue. Where such a one is the course's own, the timeout holds
    for whoever begins to consume before `wait_for_ack_timeout` is called, or within 20 seconds; where it isn't, the
    usual one stays.

    Args:
        lesson: Where.
        queue: Its name.
        timeout_seconds: How long RabbitMQ waits.
        queue_type: ``"quorum"`` or ``"classic"``.

    Raises:
        ChannelRefusedError: This RabbitMQ has no timeout for this type of queue.
    """
    milliseconds = round(timeout_seconds * 1000)
    arguments: dict[str, object] = {"x-queue-type": queue_type}
    if Features(lesson.broker.version).ack_timeout_of_a_queue:
        arguments["x-consumer-timeout"] = milliseconds
    with lesson.connect() as connection:
        connection.channel().queue_declare(queue=queue, durable=True, arguments=arguments)
    if lesson.broker.ours:
        _give_the_next_channels(lesson.broker, timeout_seconds)


def wait_for_ack_timeout(lesson: Session, worker: Worker) -> str:
    """Wait until RabbitMQ loses its patience with a worker; where that takes too long, say so at once.

    Args:
        lesson: The worker's lesson.
        worker: It holds a delivery of an impatient queue.

    Returns:
        What happened, in a sentence.
    """
    if not lesson.broker.ours:
        return _not_hurried(lesson.broker)
    _give_the_next_channels(lesson.broker, _USUAL_SECONDS)
    if not lesson.log.wait_for(lambda: not worker.alive, _WAIT_SECONDS):
        return f"{worker.name} still holds its delivery: RabbitMQ has not looked yet."
    deeds = {event.kind: str(event.detail) for event in lesson.log if event.actor == worker.name}
    if "channel closed" in deeds:
        deed = f"closed its channel, {deeds['channel closed'].partition(' - ')[0]}"
    elif "cancelled" in deeds:
        deed = "canceled its consumer"
    else:
        return f"{worker.name} is {worker.state}, and RabbitMQ waits for nothing from it. Run the cell that starts it."
    return f"RabbitMQ lost its patience with {worker.name}: it {deed}."


def ack_timeout_of(lesson: Session, callback: Callback, queue_type: str, timeout_seconds: float = 3.0) -> str:
    """Try what RabbitMQ does with a worker that never acknowledges: a queue of that type, one worker, one task.

    Args:
        lesson: Where.
        callback: The worker's, without an acknowledgment.
        queue_type: ``"classic"`` or ``"quorum"``.
        timeout_seconds: How long RabbitMQ waits.

    Returns:
        What happened, in a sentence.
    """
    if not lesson.broker.ours:
        return _not_hurried(lesson.broker)
    queue = f"impatient_{queue_type}"
    try:
        declare_impatient_queue(lesson, queue, timeout_seconds, queue_type)
    except ChannelRefusedError as error:
        return f"RabbitMQ {lesson.broker.version} has no timeout for a {queue_type} queue. {error}"
    worker = lesson.start_worker(callback, queue)
    with lesson.connect() as connection:
        connection.channel().basic_publish(exchange="", routing_key=queue, body=b"Tea.")
    return wait_for_ack_timeout(lesson, worker)


def _give_the_next_channels(broker: Broker, timeout_seconds: float) -> None:
    """Set the timeout of channels that are opened from now on, where queues have none of their own."""
    if Features(broker.version).ack_timeout_of_a_queue:
        return
    milliseconds, usual, window = (round(1000 * each) for each in (timeout_seconds, _USUAL_SECONDS, _WINDOW_SECONDS))
    broker.rabbitmqctl("eval", _FOR_THE_NEXT_CHANNELS.format(milliseconds=milliseconds, usual=usual, window=window))


def _not_hurried(broker: Broker) -> str:
    so = "it is not for us to hurry: it looks for what is overdue once a minute at most"
    return f"{not_ours(broker.endpoint, so)} Read on."
