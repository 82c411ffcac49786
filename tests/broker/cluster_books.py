"""A publisher that keeps its own books on a cluster, with nothing of the course's clients in it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence, Set
from typing import Any

import pika
import pika.exceptions

from workq_helpers.waiting import wait_until

__all__ = ["Books", "fetch_all"]

#: How long no confirm may come before the next address is tried, in seconds.
_PATIENCE_SECONDS = 1.0
_AGAIN_SECONDS = 0.02
_FAREWELL_SECONDS = 0.5
#: How long a queue may take to give back all that is in it, in seconds.
_SETTLE_SECONDS = 30.0


class Books:
    """Sends numbers to a queue, one after the other, each until it is confirmed, at one address after the other.

    Args:
        addresses: The nodes, in the order in which they are tried.
        queue: The queue.
    """

    def __init__(self, addresses: Sequence[pika.ConnectionParameters], queue: str) -> None:
        #: When each number was confirmed, by `time.monotonic`, in order.
        self.confirmed: dict[int, float] = {}
        self._addresses = addresses
        self._queue = queue
        self._number = 1
        self._since = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="books")
        self._thread.start()

    def longest_gap(self, since: float) -> float:
        """Return the longest time between two confirms, of which the second came after a moment."""
        pairs = itertools.pairwise(self.confirmed.values())
        return max((later - earlier for earlier, later in pairs if later >= since), default=0.0)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        for address in itertools.cycle(self._addresses):
            if self._stopping.is_set():
                return
            connection = pika.SelectConnection(
                address,
                on_open_callback=self._open,
                on_open_error_callback=lambda refused, _: refused.ioloop.stop(),
                on_close_callback=lambda closed, _: closed.ioloop.stop(),
            )
            self._since = time.monotonic()
            connection.ioloop.start()
            connection.ioloop.close()
            self._stopping.wait(_AGAIN_SECONDS)

    def _open(self, connection: pika.SelectConnection) -> None:
        connection.channel(on_open_callback=self._begin)
        self._watch(connection)

    def _begin(self, channel: Any) -> None:
        channel.confirm_delivery(lambda frame: self._answered(channel, frame))
        self._send(channel)

    def _send(self, channel: Any) -> None:
        if channel.is_open and not self._stopping.is_set():
            channel.basic_publish(exchange="", routing_key=self._queue, body=str(self._number))

    def _answered(self, channel: Any, frame: Any) -> None:
        if isinstance(frame.method, pika.spec.Basic.Ack):
            self._since = self.confirmed[self._number] = time.monotonic()
            self._number += 1
        channel.connection.ioloop.call_later(_AGAIN_SECONDS, lambda: self._send(channel))

    def _watch(self, connection: pika.SelectConnection) -> None:
        if not (self._stopping.is_set() or time.monotonic() - self._since > _PATIENCE_SECONDS):
            connection.ioloop.call_later(_AGAIN_SECONDS, lambda: self._watch(connection))
        elif connection.is_open:
            connection.close()
            connection.ioloop.call_later(_FAREWELL_SECONDS, lambda: self._abandon(connection))

    def _abandon(self, connection: pika.SelectConnection) -> None:
        """End a connection that the other side does not close."""
        if not connection.is_closed:
            connection._transport.abort()


def fetch_all(addresses: Sequence[pika.ConnectionParameters], queue: str, expected: Set[int]) -> list[int]:
    """Return all numbers in a queue, and leave it empty; nodes that are only just back may not answer at first.

    Raises:
        AMQPError: Not all that is expected was found, and they do not answer: nobody knows what is in it.
    """
    found: list[int] = []
    failures: list[pika.exceptions.AMQPError] = []

    def fetch() -> bool:
        failures.clear()
        try:
            found.extend(_fetch(addresses, queue))
        except pika.exceptions.AMQPError as failure:
            failures.append(failure)
        return expected <= set(found)

    if not wait_until(fetch, _SETTLE_SECONDS, interval_seconds=0.5) and failures:
        raise failures[0]
    return found


def _fetch(addresses: Sequence[pika.ConnectionParameters], queue: str) -> list[int]:
    found = []
    with pika.BlockingConnection(addresses) as connection:
        channel = connection.channel()
        while True:
            method, _, body = channel.basic_get(queue=queue)
            if method is None or body is None:
                break
            found.append(int(body))
        channel.basic_ack(delivery_tag=0, multiple=True)
    return found
