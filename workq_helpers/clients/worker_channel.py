"""`WorkerChannel`: the channel a worker hands to the learner's callback."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import BasicProperties

from workq_helpers.clients import pace
from workq_helpers.clients.shared_channel import SharedChannel

__all__ = ["WorkerChannel", "WorkerConnection"]


def _request(name: str, *, tells: bool = True) -> Callable[..., Any]:
    """Return a method of pika's own signature, which asks the broker and waits for the answer.

    Args:
        name: What pika calls it.
        tells: Whether pika's returns the answer.
    """
    theirs = getattr(BlockingChannel, name)
    signature = inspect.signature(theirs)

    @functools.wraps(theirs)
    def ask(self: WorkerChannel, *arguments: Any, **more: Any) -> Any:
        given = dict(signature.bind(self, *arguments, **more).arguments)
        del given["self"]
        answer = self._shared.request(name, given)
        return answer if tells else None

    return ask


class WorkerChannel:
    """What a callback needs of pika's channel, with pika's own signatures, safe to call from any thread.

    What is called is sent at once and in that order, and what pika would raise is raised here.
    """

    basic_qos = _request("basic_qos", tells=False)
    basic_recover = _request("basic_recover", tells=False)
    exchange_bind = _request("exchange_bind")
    exchange_declare = _request("exchange_declare")
    exchange_delete = _request("exchange_delete")
    exchange_unbind = _request("exchange_unbind")
    queue_bind = _request("queue_bind")
    queue_declare = _request("queue_declare")
    queue_delete = _request("queue_delete")
    queue_purge = _request("queue_purge")
    queue_unbind = _request("queue_unbind")
    tx_commit = _request("tx_commit")
    tx_rollback = _request("tx_rollback")
    tx_select = _request("tx_select")

    def __init__(self, shared: SharedChannel) -> None:
        self._shared = shared
        self.channel_number = shared.number
        #: The connection, as far as a callback needs it.
        self.connection = WorkerConnection(shared)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._shared.is_open

    @property
    def is_closed(self) -> bool:
        """Whether it can't be used any more."""
        return not self.is_open

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        """Acknowledge one delivery, or with `multiple` every delivery up to it."""
        self._shared.ack(delivery_tag, multiple)

    def basic_nack(self, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True) -> None:
        """Hand one delivery or several back, to be requeued or discarded."""
        self._shared.settle("basic_nack", delivery_tag, multiple, requeue)

    def basic_reject(self, delivery_tag: int = 0, requeue: bool = True) -> None:
        """Hand one delivery back, to be requeued or discarded."""
        self._shared.settle("basic_reject", delivery_tag, requeue)

    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes | str,
        properties: BasicProperties | None = None,
        mandatory: bool = False,
    ) -> None:
        """Publish a message on the worker's own channel, for example the next task of a chain."""
        self._shared.publish(exchange, routing_key, body, properties, mandatory)

    def confirm_delivery(self) -> None:
        """Turn publisher confirms on: `basic_publish` waits for them from now on."""
        self._shared.turn_confirms_on()

    def basic_get(self, queue: str, auto_ack: bool = False) -> Any:
        """Fetch one message."""
        return self._shared.get(queue, auto_ack)

    def stop_consuming(self, consumer_tag: str | None = None) -> None:
        """Have the worker stop when the callback returns; with the tag of another consumer nothing happens."""
        self._shared.stop_consuming(consumer_tag)

    def close(self, reply_code: int = 0, reply_text: str = "Normal shutdown") -> None:
        """Close it: what it holds goes back to the queue at once, and the worker stops when the callback returns."""
        self._shared.close(reply_code, reply_text)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"A worker's channel has what a callback needs, but no {name!r}. "
            f"For that open a connection of your own with lesson.connect()."
        )

    def __repr__(self) -> str:
        return f"<WorkerChannel {self.channel_number}>"


class WorkerConnection:
    """What a callback needs of pika's connection."""

    def __init__(self, shared: SharedChannel) -> None:
        self._shared = shared
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self._closed and self._shared.is_connected

    @property
    def is_closed(self) -> bool:
        """Whether it can't be used any more."""
        return not self.is_open

    def close(self, reply_code: int = 200, reply_text: str = "Normal shutdown") -> None:
        """Close the channel at once, and the connection, which has no other, when the callback returns."""
        if not self.is_open:
            raise pika.exceptions.ConnectionWrongStateError(
                f"BlockingConnection.close({reply_code}, {reply_text!r}) called on closed connection."
            )
        if self._shared.is_open:
            self._shared.close(reply_code, reply_text)
        self._closed = True

    def add_callback_threadsafe(self, callback: Callable[[], object]) -> None:
        """Have the thread that looks after the connection call `callback` soon; any thread may call this."""
        self._shared.call_soon(callback)

    def process_data_events(self, time_limit: float | None = 0) -> None:
        """Wait for a while: another thread looks after heartbeats and whatever else comes."""
        if time_limit is not None and time_limit < 0:  # by the same exception as pika, here and in `sleep`
            raise ValueError(f"call_later: delay must be non-negative, but got {time_limit!r}")
        pace.pause(time_limit or 0)

    def sleep(self, duration: float) -> None:
        """Sleep: another thread looks after heartbeats and whatever else comes."""
        if not duration >= 0:
            raise AssertionError(duration)
        pace.pause(duration)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"A worker's connection has what a callback needs, but no {name!r}. "
            f"For that open a connection of your own with lesson.connect()."
        )

    def __repr__(self) -> str:
        return f"<WorkerConnection {'open' if self.is_open else 'closed'}>"
