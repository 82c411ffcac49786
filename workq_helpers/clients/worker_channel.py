"""`WorkerChannel`: the channel a worker hands to the learner's callback."""

from __future__ import annotations

import copy
from typing import Any, NoReturn, Protocol

from pika.spec import BasicProperties

__all__ = ["Sender", "WorkerChannel"]


class Sender(Protocol):
    """A `Consumer`, as far as its channel needs one."""

    def settle(self, channel: WorkerChannel, kind: str, tag: int, multiple: bool, requeue: bool) -> None:
        """Send what settles one delivery or several."""

    def publish(self, channel: WorkerChannel, *arguments: Any) -> None:
        """Send a message."""

    def new_message_id(self) -> str:
        """Return an id that no message has yet."""


class WorkerChannel:
    """The part of pika's channel that a callback needs, safe to call from any thread.

    Each method has pika's own signature. The request is sent by the thread that owns the connection, at once.

    Args:
        consumer: Sends what is asked for.
        channel_number: The channel's number on its connection.
    """

    def __init__(self, consumer: Sender, channel_number: int) -> None:
        self._consumer = consumer
        self.channel_number = channel_number

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        """Acknowledge one delivery, or with `multiple` every delivery up to it."""
        self._consumer.settle(self, "acked", delivery_tag, multiple, requeue=False)

    def basic_nack(self, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True) -> None:
        """Hand one delivery or several back, to be requeued or discarded."""
        self._consumer.settle(self, "nacked", delivery_tag, multiple, requeue)

    def basic_reject(self, delivery_tag: int = 0, requeue: bool = True) -> None:
        """Hand one delivery back, to be requeued or discarded."""
        self._consumer.settle(self, "rejected", delivery_tag, multiple=False, requeue=requeue)

    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes | str,
        properties: BasicProperties | None = None,
        mandatory: bool = False,
    ) -> None:
        """Publish a message on the worker's own channel, for example the next task of a chain."""
        properties = BasicProperties() if properties is None else copy.copy(properties)
        properties.message_id = properties.message_id or self._consumer.new_message_id()
        self._consumer.publish(self, exchange, routing_key, body, properties, mandatory)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"A worker's channel has basic_ack, basic_nack, basic_reject and basic_publish, but no {name!r}. "
            f"For anything else open a connection of your own: with lesson.connect() as connection: ..."
        )

    def __repr__(self) -> str:
        return f"<WorkerChannel {self.channel_number}>"
