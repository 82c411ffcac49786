"""`Load`: a publisher in the background that waits for confirms, and outlives the node that it is connected to."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import pika
import pika.exceptions

from workq_helpers.clients import pika_private
from workq_helpers.lessons.one_of_three_dies.outages import Outage
from workq_helpers.waiting import wait_until

__all__ = ["Confirm", "Load"]

#: How often an order is sent, in seconds.
_PACE_SECONDS = 0.01
#: How many orders may wait for their confirms.
_WINDOW = 20
#: How long nothing may be confirmed before the next address is tried, in seconds.
PATIENCE_SECONDS = 2.5
#: How long the end of a connection may take, in seconds.
_FAREWELL_SECONDS = 1.0
#: How soon the next address is tried, in seconds.
_AGAIN_SECONDS = 0.05


class Confirm(NamedTuple):
    """An order that RabbitMQ answers for."""

    order: int
    seconds: float  # on the clock of time.monotonic


class Load:
    """Sends one order after the other to a queue; what was not confirmed is sent again, at the next address if need be.

    Args:
        addresses: Where to connect, in the order in which they are tried.
        queue: The queue.
    """

    def __init__(self, addresses: Sequence[pika.ConnectionParameters], queue: str) -> None:
        self.queue = queue
        #: What the message ids of its orders begin with.
        self.name = secrets.token_hex(4)
        #: Each order that was confirmed, in that order; only ever appended to.
        self.confirms: list[Confirm] = []
        #: How many different orders were sent: they are numbered from 1 on.
        self.sent = 0
        #: How many connections were made, how often an order was refused with a nack, and how often handed back.
        self.connections = self.refused = self.handed_back = 0
        self._addresses = addresses
        self._copies = itertools.count(1)
        self._again: deque[int] = deque()
        self._unconfirmed: dict[int, int] = {}
        self._returned: set[int] = set()
        self._last_answer = 0.0
        self._stopping = threading.Event()
        self._connection: pika.SelectConnection | None = None
        self._thread = threading.Thread(target=self._run, name="workq load", daemon=True)
        self._thread.start()

    def wait_for(self, confirms: int, timeout: float) -> bool:
        """Wait until so many orders have been confirmed in all; return whether they were."""
        return bool(wait_until(lambda: len(self.confirms) >= confirms, timeout))

    def stop(self) -> None:
        """Send no more, and return when the connection is closed."""
        self._stopping.set()
        self._thread.join()

    @property
    def confirmed(self) -> frozenset[int]:
        """The orders that were confirmed."""
        return frozenset(each.order for each in self.confirms)

    def outage(self, deed: str, nodes: Sequence[str], *, before: int, sent: int, waited_seconds: float) -> Outage:
        """Return what it saw when something was done to nodes.

        Args:
            deed: What was done, in a few words.
            nodes: To which.
            before: How many orders had been confirmed by then.
            sent: How many had been sent when it was done.
            waited_seconds: How long confirms were waited for afterwards.
        """
        after = sum(each.order > sent for each in self.confirms)
        moments = [each.seconds for each in self.confirms[before - 1 :]]
        return Outage(
            deed,
            self.queue,
            tuple(nodes),
            confirmed_before=before,
            pause_seconds=_longest_pause(moments) if after else None,
            waited_seconds=waited_seconds,
            confirmed_after=after,
            confirmed_meanwhile=len(self.confirms) - before - after,
            refused=self.refused,
            handed_back=self.handed_back,
            connections=self.connections,
        )

    # -- its thread

    def _run(self) -> None:
        for address in itertools.cycle(self._addresses):
            if self._stopping.is_set():
                return
            self._send_to(address)
            self._again.extend(self._unconfirmed.values())
            self._unconfirmed.clear()
            self._stopping.wait(_AGAIN_SECONDS)

    def _send_to(self, address: pika.ConnectionParameters) -> None:
        connection = pika.SelectConnection(
            address,
            on_open_callback=self._opened,
            on_open_error_callback=lambda refused, _: refused.ioloop.stop(),
            on_close_callback=lambda closed, _: closed.ioloop.stop(),
        )
        self._last_answer = time.monotonic()
        connection.ioloop.start()
        connection.ioloop.close()

    def _opened(self, connection: pika.SelectConnection) -> None:
        self.connections += 1
        connection.channel(on_open_callback=lambda channel: self._begin(connection, channel))
        # A node that hangs in the middle of this has the same patience as one that does not confirm.
        connection.ioloop.call_later(_PACE_SECONDS, lambda: self._watch(connection))

    def _begin(self, connection: pika.SelectConnection, channel: Any) -> None:
        channel.confirm_delivery(self._answered)
        channel.add_on_return_callback(lambda _c, _m, _p, body: self._returned.add(int(body)))
        self._tags = itertools.count(1)
        self._send_next(connection, channel)

    def _send_next(self, connection: pika.SelectConnection, channel: Any) -> None:
        if self._stopping.is_set() or not (connection.is_open and channel.is_open):
            return
        if len(self._unconfirmed) < _WINDOW:
            order = self._again.popleft() if self._again else self._fresh()
            self._unconfirmed[next(self._tags)] = order
            channel.basic_publish(
                exchange="", routing_key=self.queue, body=str(order), properties=self._properties(), mandatory=True
            )
        connection.ioloop.call_later(_PACE_SECONDS, lambda: self._send_next(connection, channel))

    def _properties(self) -> pika.BasicProperties:
        """Return the properties of one copy: of those sent again each has an id of its own."""
        message_id = f"{self.name}-{next(self._copies)}"
        return pika.BasicProperties(message_id=message_id, delivery_mode=pika.DeliveryMode.Persistent)

    def _fresh(self) -> int:
        self.sent += 1
        return self.sent

    def _answered(self, frame: Any) -> None:
        tag, several = frame.method.delivery_tag, frame.method.multiple
        answered = [each for each in self._unconfirmed if each == tag or (several and each <= tag)]
        for order in (self._unconfirmed.pop(each) for each in answered):
            confirmed = isinstance(frame.method, pika.spec.Basic.Ack)
            if confirmed and order not in self._returned:
                self._last_answer = time.monotonic()
                self.confirms.append(Confirm(order, self._last_answer))
                continue
            if confirmed:
                self.handed_back += 1
            else:
                self.refused += 1
            self._returned.discard(order)
            self._again.append(order)

    def _watch(self, connection: pika.SelectConnection) -> None:
        impatient = time.monotonic() - self._last_answer > PATIENCE_SECONDS
        if not (self._stopping.is_set() or impatient):
            connection.ioloop.call_later(_PACE_SECONDS, lambda: self._watch(connection))
        elif connection.is_open:
            connection.ioloop.call_later(_FAREWELL_SECONDS, lambda: pika_private.cut(connection))
            connection.close()


def _longest_pause(moments: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0)
