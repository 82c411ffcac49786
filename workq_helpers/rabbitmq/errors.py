"""The exceptions that are pika's own as well; `workq_helpers.errors` draws the tree that they belong to."""

from __future__ import annotations

from typing import Any

import pika.exceptions

from workq_helpers.errors import BrokerError, QueueError
from workq_helpers.text import printable

__all__ = [
    "ChannelRefusedError",
    "ConnectionLostError",
    "QueueMismatchError",
    "QueueNotFoundError",
    "TransientQueuesDeniedError",
    "UnreadableMessageError",
]


class ConnectionLostError(BrokerError, pika.exceptions.AMQPConnectionError):
    """A connection that was open ended without our doing."""


class UnreadableMessageError(BrokerError, pika.exceptions.StreamLostError):
    """A message came that pika can't read, for which it drops the connection.

    Args:
        routing_key: The message's.
        complaint: What pika can't read.
    """

    def __init__(self, routing_key: str, complaint: str) -> None:
        self._of = routing_key, complaint
        super().__init__(
            f"A message with the routing key {routing_key!r} came that pika can't read: {complaint}. pika drops the "
            "connection for it, and would each time that the message is delivered. Empty its queue with "
            "channel.queue_purge(), or take it with a client that can read it; and have its sender write another value."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._of


class _ClosedByBrokerError(QueueError):
    """Ours and pika's at once, so that ``except pika.exceptions...`` in a learner's code still catches it.

    Args:
        message: The sentence for the learner.
        reply_code: AMQP's code, such as 406.
        reply_text: The broker's own words.
    """

    def __init__(self, message: str, reply_code: int, reply_text: str) -> None:
        # Sets args to (reply_code, reply_text), which pika's own properties read.
        super().__init__(reply_code, reply_text)
        self._message = printable(message, lines=True)  # the broker's words are in it

    def __str__(self) -> str:
        return self._message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle as their args, which here are pika's and lack the message.
        return type(self), (self._message, *self.args)


class QueueMismatchError(_ClosedByBrokerError, pika.exceptions.ChannelClosedByBroker):
    """406: the queue exists already, with other arguments."""


class QueueNotFoundError(_ClosedByBrokerError, pika.exceptions.ChannelClosedByBroker):
    """404: there is no queue of that name in the virtual host."""


class TransientQueuesDeniedError(_ClosedByBrokerError, pika.exceptions.ConnectionClosedByBroker):
    """541: this broker is configured to refuse shared queues that are not durable."""


class ChannelRefusedError(_ClosedByBrokerError, pika.exceptions.ChannelClosedByBroker):
    """The broker closed the channel for a reason of its own, such as a delivery acknowledged twice."""
