"""`Wire`: what pika itself was given to send and received, channel by channel, and so what was in flight at a fault.

It knows nothing of log and observer: it listens at the methods of pika's own channel.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any
from unittest import mock

import pika
import pika.exceptions
from pika.channel import Channel
from pika.spec import Basic

from workq_helpers.clients import pika_private

__all__ = ["Wire", "in_flight", "listening"]

#: A message: its queue and its body.
Sent = tuple[str, bytes]


class Wire:
    """One channel.

    Attributes:
        published: What was published, in order.
        unconfirmed: Of that what waits for its confirm, by its number, where the channel has confirms.
        confirms: Whether it has.
        received: How many deliveries it got that are to be acknowledged.
        settled: What it settled, in order; ``None`` for what it handed back.
        prefetch_count: How many deliveries RabbitMQ sends ahead of acks at most; 0 for any number.
        said_goodbye: Whether it was closed, and RabbitMQ answered.
        is_cut: Whether its connection was cut, as by the death of its process: the dead read nothing, though pika may.
    """

    def __init__(self) -> None:
        self.published: list[Sent] = []
        self.unconfirmed: dict[int, Sent] = {}
        self.confirms = False
        self.received = 0
        self.settled: list[Sent | None] = []
        self.prefetch_count = 0
        self.said_goodbye = self.is_cut = False
        self._held: dict[int, Sent] = {}

    def publishes(self, sent: Sent) -> None:
        """Note a message, before pika has it."""
        self.published.append(sent)
        if self.confirms:
            self.unconfirmed[len(self.published)] = sent

    def hears(self, answer: Basic.Ack | Basic.Nack) -> None:
        """Note a confirm, or a refusal."""
        if self.is_cut:
            return
        for number in [n for n in self.unconfirmed if n == answer.delivery_tag or answer.multiple]:
            if number <= answer.delivery_tag:
                del self.unconfirmed[number]

    def gets(self, tag: int, sent: Sent) -> None:
        """Note a delivery that is to be acknowledged."""
        if self.is_cut:
            return
        self.received += 1
        self._held[tag] = sent

    def settles(self, tag: int, multiple: bool, for_good: bool) -> None:
        """Note an answer to deliveries."""
        for each in [t for t in self._held if t == tag or (multiple and t < tag)]:
            sent = self._held.pop(each)
            self.settled.append(sent if for_good else None)

    def answers_in_flight(self) -> list[Sent]:
        """Return what was settled and may not be for RabbitMQ: no later delivery shows that it knew."""
        if self.said_goodbye:
            return []
        shown = max(0, self.received - self.prefetch_count) if self.prefetch_count else 0
        return [sent for sent in self.settled[shown:] if sent is not None]

    def messages_in_flight(
        self, arrived: Callable[[Sent], bool], crashed: bool, late_queues: Collection[str] = ()
    ) -> list[Sent]:
        """Return what was published and may not be in its queue.

        Args:
            arrived: Whether a message was ever seen on the other side: so were those before it.
            crashed: Whether RabbitMQ crashed: what it had not written and not confirmed may be gone as well.
            late_queues: Of which queues RabbitMQ answers a goodbye before they have all that was sent.
        """
        if self.confirms:
            return list(self.unconfirmed.values())
        if crashed:
            return self.published
        last = max((number for number, sent in enumerate(self.published) if arrived(sent)), default=-1)
        return [sent for sent in self.published[last + 1 :] if not self.said_goodbye or sent[0] in late_queues]


@contextlib.contextmanager
def listening() -> Iterator[list[Wire]]:
    """Listen at all channels of pika's that are opened in this block; yield them as they come."""
    wires: list[Wire] = []
    found: dict[int, tuple[Channel, Wire]] = {}
    lock = threading.Lock()

    def of(channel: Channel) -> Wire:
        with lock:
            if id(channel) not in found:
                found[id(channel)] = channel, Wire()
                wires.append(found[id(channel)][1])
                channel.add_on_close_callback(closed)
            return found[id(channel)][1]

    def closed(channel: Channel, reason: Exception) -> None:
        of(channel).said_goodbye = isinstance(reason, pika.exceptions.ChannelClosedByClient)

    def cut(connection: pika.SelectConnection) -> None:
        for channel in [channel for channel, _ in list(found.values()) if channel.connection is connection]:
            of(channel).is_cut = True
        usual_cut(connection)

    usual_cut = pika_private.cut

    with contextlib.ExitStack() as stack:
        for name, listen in _LISTENERS.items():
            usual = getattr(Channel, name)
            stack.enter_context(mock.patch.object(Channel, name, _heard(usual, listen, of)))
        stack.enter_context(mock.patch.object(pika_private, "cut", cut))
        yield wires


def _heard(usual: Any, listen: Any, of: Callable[[Channel], Wire]) -> Any:
    @functools.wraps(usual)
    def method(channel: Channel, *arguments: Any, **named: Any) -> Any:
        return listen(of(channel), functools.partial(usual, channel), *arguments, **named)

    return method


def _publish(wire: Wire, usual: Any, exchange: str, routing_key: str, body: bytes, *more: Any, **named: Any) -> None:
    wire.publishes((routing_key, body))
    usual(exchange, routing_key, body, *more, **named)


def _confirm(wire: Wire, usual: Any, ack_nack_callback: Any, *more: Any, **named: Any) -> None:
    def hear(frame: Any) -> None:
        wire.hears(frame.method)
        ack_nack_callback(frame)

    wire.confirms = True
    usual(hear, *more, **named)


def _consume(wire: Wire, usual: Any, queue: str, on_message_callback: Any, *more: Any, **named: Any) -> Any:
    def get(channel: Channel, method: Basic.Deliver, properties: Any, body: bytes) -> None:
        if not auto_ack:
            wire.gets(method.delivery_tag, (queue, body))
        on_message_callback(channel, method, properties, body)

    auto_ack = named.get("auto_ack", more[0] if more else False)
    return usual(queue, get, *more, **named)


def _qos(wire: Wire, usual: Any, *more: Any, prefetch_count: int = 0, **named: Any) -> None:
    wire.prefetch_count = prefetch_count
    usual(*more, prefetch_count=prefetch_count, **named)


def _ack(wire: Wire, usual: Any, delivery_tag: int = 0, multiple: bool = False) -> None:
    wire.settles(delivery_tag, multiple, for_good=True)
    usual(delivery_tag, multiple)


def _nack(wire: Wire, usual: Any, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True) -> None:
    wire.settles(delivery_tag, multiple, for_good=not requeue)
    usual(delivery_tag, multiple, requeue)


def _reject(wire: Wire, usual: Any, delivery_tag: int = 0, requeue: bool = True) -> None:
    wire.settles(delivery_tag, multiple=False, for_good=not requeue)
    usual(delivery_tag, requeue)


_LISTENERS = {
    "basic_publish": _publish,
    "confirm_delivery": _confirm,
    "basic_consume": _consume,
    "basic_qos": _qos,
    "basic_ack": _ack,
    "basic_nack": _nack,
    "basic_reject": _reject,
}


def in_flight(
    wires: list[Wire], arrived: Callable[[Sent], bool], crashed: bool, late_queues: Collection[str] = ()
) -> Counter[Sent]:
    """Return what was in flight on all channels when one was lost, and how often; arguments as for one channel."""
    found: Counter[Sent] = Counter()
    for wire in wires:
        found.update(wire.answers_in_flight())
        found.update(wire.messages_in_flight(arrived, crashed, late_queues))
    return found
