"""`Witness`: sees that a broker went away, even if it is back by the time anyone asks."""

from __future__ import annotations

import contextlib

import pika.exceptions

from workq_helpers.rabbitmq.connecting import open_connection, quiet_pika
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["Witness"]

#: How long a goodbye that the broker has begun may take, in seconds.
_GOODBYE_SECONDS = 5.0

_NAME = "work queues course: notices a restart"


class Witness:
    """A connection that does nothing but last as long as its broker does; one thread at a time uses it.

    No broker says when it started: the uptime in RabbitMQ's management API is seconds old, counts the Erlang system
    and not RabbitMQ in it, and is not for every user. But each stop, crash or restart ends every connection.

    Args:
        endpoint: The broker and the login.

    Raises:
        BrokerError: If the connection can't be opened.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        # Without heartbeats, which somebody would have to answer.
        self._connection = open_connection(endpoint, heartbeat=0, client_properties={"connection_name": _NAME})

    def saw_it_go(self) -> bool:
        """Return whether the broker has gone away since this was made."""
        with quiet_pika(), contextlib.suppress(pika.exceptions.AMQPError):
            self._connection.process_data_events(time_limit=0)
        return not self._connection.is_open

    def close(self) -> None:
        """Close the connection; idempotent."""
        with quiet_pika(), contextlib.suppress(pika.exceptions.AMQPError):
            if self._connection.is_open:
                self._connection.close()
            elif not self._connection.is_closed:
                # The broker has said goodbye; pika lets go of its sockets once it has answered.
                self._connection.process_data_events(time_limit=_GOODBYE_SECONDS)
