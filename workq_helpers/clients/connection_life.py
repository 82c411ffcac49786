"""`ConnectionLife`: one AMQP connection with one channel, from the first attempt to open it to its last end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pika
import pika.exceptions
from pika import spec
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel

from workq_helpers.clients.observed_connection import HurryingConnection, ObservedConnection
from workq_helpers.log.observer import Observer

__all__ = ["Client", "ConnectionLife"]

#: Pauses between attempts to reconnect, in seconds; the last one repeats.
_RECONNECT_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0)

#: With what the broker closes a connection that has done nothing wrong: an operator intervened, or it goes.
_CONNECTION_FORCED = 320
#: With what it does so too where a queue is not there again yet after an outage, as on RabbitMQ 3.10.
_INTERNAL_ERROR = 541
#: With what it refuses a virtual host; one that is not up yet, or has too many connections, may be had later.
_NOT_ALLOWED = 530
_FOR_NOW = (" is down", "limit")


class Client(Protocol):
    """Whose connection it is; called by the owner of the loop."""

    def is_leaving(self) -> bool:
        """Whether it wants no connection any more."""

    def channel_opened(self, channel: Channel) -> None:
        """Learn that there is a channel."""

    def channel_closed(self, reason: Exception) -> None:
        """Learn that the channel is closed, whoever closed it."""

    def connection_closed(self, reason: BaseException) -> None:
        """Learn that the connection is gone, and decide whether to `ConnectionLife.open_again`."""

    def could_not_open(self, error: BaseException) -> None:
        """Learn that the very first connection could not be opened, or a later one never will be."""

    def ended(self) -> None:
        """Learn that it has left, and nothing is open."""


class ConnectionLife:
    """Opens a connection and a channel, and opens both again as often as its client wants."""

    def __init__(self, client: Client, parameters: pika.ConnectionParameters, observer: Observer) -> None:
        self._client = client
        self._parameters = parameters
        self._make = HurryingConnection.told_to(observer)
        self._loop: IOLoop | None = None
        self._attempts = 0
        #: The connection that is open, opening or closing.
        self.connection: pika.SelectConnection | None = None
        #: Its channel, once that was open.
        self.channel: Channel | None = None
        #: Whether its client ever had what it needs.
        self.was_ready = False
        self._is_ready = False  # whether it has so on this connection
        #: Whether what ended the last connection would end the next one too.
        self.is_refused = False

    @property
    def is_open(self) -> bool:
        """Whether there is a channel to use."""
        return self.channel is not None and bool(self.channel.is_open)

    def begin(self, loop: IOLoop) -> None:
        """Begin to connect on `loop`."""
        self._loop = loop
        self._open()

    def ready(self) -> None:
        """Take note that the client has what it needs: from now on a lost connection is opened again."""
        self.was_ready = self._is_ready = True
        self._attempts = 0

    def open_again(self) -> None:
        """Open a connection after a pause that grows with each attempt that failed."""
        pause_seconds = _RECONNECT_PAUSES_SECONDS[min(self._attempts, len(_RECONNECT_PAUSES_SECONDS) - 1)]
        self._attempts += 1
        self.later(pause_seconds, self._open)

    def close(self) -> None:
        """Say goodbye, if there is somebody to say it to."""
        if self.connection is not None and self.connection.is_open:
            self.connection.close()

    def abandon(self) -> None:
        """End while there is no open channel: now, or when the attempt under way comes to its end."""
        if self.connection is None or self.connection.is_closed:
            self._client.ended()
        elif not self.connection.is_closing:
            self.connection.close()

    def later(self, seconds: float, function: Callable[[], None]) -> object:
        """Have the owner of the loop call `function` after a while."""
        assert self._loop is not None  # noqa: S101 - set by begin()
        return self._loop.call_later(seconds, function)

    def soon(self, function: Callable[[], None]) -> None:
        """Have the owner of the loop call `function` at its next turn; any thread may call this."""
        assert self._loop is not None  # noqa: S101 - set by begin()
        self._loop.add_callback_threadsafe(function)

    def _open(self) -> None:
        if self._client.is_leaving():
            self._client.ended()
            return
        self._is_ready = False
        self.connection = self._make(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_closed,
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, channel: Channel) -> None:
        self.channel = channel
        channel.add_on_close_callback(lambda _channel, reason: self._client.channel_closed(reason))
        self._client.channel_opened(channel)

    def _on_open_error(self, connection: ObservedConnection, error: BaseException | str) -> None:
        self.connection = None
        self.is_refused = self._is_final(connection)
        if self._client.is_leaving():
            self._client.ended()
        elif self.was_ready and not self.is_refused:
            self.open_again()
        else:
            failure = error if isinstance(error, BaseException) else pika.exceptions.AMQPConnectionError(error)
            self._client.could_not_open(failure)

    def _on_closed(self, connection: ObservedConnection, reason: BaseException) -> None:
        self.connection = self.channel = None
        self.is_refused = self._is_final(connection)
        self._client.connection_closed(reason)

    def _is_final(self, connection: ObservedConnection) -> bool:
        """Whether what ended a connection would end the next one too."""
        closed = connection.closed_with
        if closed is None:
            return connection.failed_by is not None
        if closed.reply_code == _INTERNAL_ERROR:
            return self._is_ready and _names_a_method(closed)
        if closed.reply_code == _NOT_ALLOWED:
            return not any(words in closed.reply_text for words in _FOR_NOW)
        return bool(closed.reply_code != _CONNECTION_FORCED)


def _names_a_method(closed: spec.Connection.Close) -> bool:
    return bool(closed.class_id)
