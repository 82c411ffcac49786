"""`ConnectionLife`: one AMQP connection with one channel, from the first attempt to open it to its last end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pika
import pika.exceptions
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel

from workq_helpers.clients.observed_connection import HurryingConnection
from workq_helpers.log.observer import Observer

__all__ = ["Client", "ConnectionLife"]

#: Pauses between attempts to reconnect, in seconds; the last one repeats.
_RECONNECT_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0)


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
        """Learn that the very first connection could not be opened."""

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
        self.was_ready = True
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

    def _on_open_error(self, _connection: Any, error: BaseException | str) -> None:
        self.connection = None
        if self._client.is_leaving():
            self._client.ended()
        elif self.was_ready:
            self.open_again()
        else:
            failure = error if isinstance(error, BaseException) else pika.exceptions.AMQPConnectionError(error)
            self._client.could_not_open(failure)

    def _on_closed(self, _connection: Any, reason: BaseException) -> None:
        self.connection = self.channel = None
        self._client.connection_closed(reason)
