"""`RestartWatch`: sees that a broker goes away, comes back, or stops taking messages, whoever made it do so."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pika
import pika.exceptions

from workq_helpers.errors import BrokerError
from workq_helpers.rabbitmq.connecting import open_connection, quiet_pika
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["RestartWatch"]

#: How long a goodbye that the broker has begun may take, in seconds.
_GOODBYE_SECONDS = 5.0
#: How often it is looked whether all is as it was, in seconds.
_LOOK_SECONDS = 1.0
#: How often a broker that went away is asked whether it is back, in seconds.
_KNOCK_SECONDS = 0.1
#: How long its thread may take to end, in seconds: it may be opening a connection.
_END_SECONDS = 5.0

_NAME = "work queues course: notices a restart"
_NOWHERE = "work queues course: no queue has this name"


class RestartWatch:
    """A connection that does nothing but last as long as its broker does, and is opened again when that is back.

    No broker says when it started: the uptime in RabbitMQ's management API is seconds old, counts the Erlang system
    and not RabbitMQ in it, and is not for every user. But each stop, crash or restart ends every connection.

    Of an alarm RabbitMQ tells those who publish: the watch sends a message to nowhere now and then.

    Args:
        endpoint: The broker and the login.
        told: Called with "up" or "down", again and again, as it is at that moment; and with "blocked" and "unblocked"
            when an alarm begins and ends. It is called in the watch's own thread.

    Raises:
        BrokerError: If the connection can't be opened.
    """

    def __init__(self, endpoint: Endpoint, told: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._told = told
        #: How often the broker went away.
        self.outages = 0
        #: Whether it is there; whoever was to be told of that has been.
        self.is_up = True
        self._blocked = False
        self._ending = threading.Event()
        self._connection = self._open()
        self._thread = threading.Thread(target=self._run, name="restart watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more, and close the connection; idempotent."""
        self._ending.set()
        with contextlib.suppress(pika.exceptions.AMQPError):
            self._connection.add_callback_threadsafe(lambda: None)  # wakes the thread
        if threading.current_thread() is not self._thread:
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        with quiet_pika():
            while True:
                self._watch()
                if self._ending.is_set() or not self._come_back():
                    return

    def _watch(self) -> None:
        """Return when the broker has gone away, or the watch is to end."""
        try:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                self._attend()
        finally:
            _let_go(self._connection)

    def _attend(self) -> None:
        channel = self._connection.channel()
        while not self._ending.is_set():
            self._connection.process_data_events(time_limit=_LOOK_SECONDS)
            if not self._connection.is_open:
                return
            self._told("up")
            if not self._blocked and channel.is_open:
                # One who may not write to the default exchange loses the channel by it, and is told of no alarm.
                with contextlib.suppress(pika.exceptions.AMQPChannelError):
                    channel.basic_publish("", _NOWHERE, b"")

    def _come_back(self) -> bool:
        """Knock until the broker is back; return whether it is."""
        self.is_up = self._blocked = False
        self.outages += 1
        while not self._ending.is_set():
            self._told("down")
            with contextlib.suppress(BrokerError):
                self._connection = self._open()
                self._told("up")
                self.is_up = True
                return True
            self._ending.wait(_KNOCK_SECONDS)
        return False

    def _open(self) -> pika.BlockingConnection:
        connection = open_connection(self._endpoint, client_properties={"connection_name": _NAME})
        connection.add_on_connection_blocked_callback(lambda *_: self._alarm(begins=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._alarm(begins=False))
        return connection

    def _alarm(self, *, begins: bool) -> None:
        self._blocked = begins
        self._told("blocked" if begins else "unblocked")


def _let_go(connection: pika.BlockingConnection) -> None:
    with contextlib.suppress(pika.exceptions.AMQPError, OSError):
        if connection.is_open:
            connection.close()
        elif not connection.is_closed:
            # The broker has said goodbye; pika lets go of its sockets once it has answered.
            connection.process_data_events(time_limit=_GOODBYE_SECONDS)
