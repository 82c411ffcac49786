"""`Calls`: what a learner's function asked of pika, with the arguments by name, and what is odd about that."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import BasicProperties

from workq_helpers.clients.worker_channel import WorkerChannel
from workq_helpers.errors import CheckFailedError
from workq_helpers.text import shown

__all__ = ["Call", "Calls", "misspelled", "sendable"]

_HEARD = (
    "basic_ack",
    "basic_consume",
    "basic_nack",
    "basic_publish",
    "basic_qos",
    "basic_recover",
    "basic_reject",
    "close",
    "consume",
    "queue_bind",
    "queue_declare",
    "queue_delete",
    "queue_purge",
    "start_consuming",
    "stop_consuming",
    "tx_commit",
    "tx_select",
)
_SIGNATURES = {name: inspect.signature(getattr(BlockingChannel, name)) for name in _HEARD}

_RECOVERED = (
    "basic_recover hands back all that the channel holds, also what its callback has not begun with, and their tags "
    "count no more. basic_nack hands one order back."
)

#: What pika can send as the value of a queue's argument.
_SENDABLE = (bool, int, float, str, bytes, Decimal, datetime, list, Mapping)

#: The arguments of queues that RabbitMQ knows, up to 4.3; it passes over all others without a word.
_QUEUE_ARGUMENTS = (
    "x-consumer-timeout",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delayed-retry-max",
    "x-delayed-retry-min",
    "x-delayed-retry-type",
    "x-delivery-limit",
    "x-expires",
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-queue-leader-locator",
    "x-queue-master-locator",
    "x-queue-mode",
    "x-queue-type",
    "x-queue-version",
    "x-quorum-initial-group-size",
    "x-quorum-target-group-size",
    "x-single-active-consumer",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
)


#: A number in AMQP has so many bits, beside its sign; a prefetch count is smaller.
_BITS = 63
_MOST_HELD = 65_535


class Call(NamedTuple):
    """A call of one of pika's methods.

    Attributes:
        name: The method's.
        arguments: By name, with those that were left out.
        channel: Whose method.
    """

    name: str
    arguments: dict[str, Any]
    channel: Any


class Calls(list[Call]):
    """Calls in the order in which they were made, refused ones among them."""

    def listen(self, channel: Any, tell: Callable[[Call], object] | None = None) -> None:
        """Note what a channel is called for from now on; listening twice to a channel does nothing.

        Args:
            channel: pika's, or one like it.
            tell: Called with each call before it is made; False keeps it from being made.
        """
        if _HEARD[0] in vars(channel):
            return
        for name in _HEARD:
            if not hasattr(type(channel), name) or (name == "close" and not isinstance(channel, WorkerChannel)):
                continue  # a worker's channel has not all of them, and closing any other one is nothing special
            # An instance's own attribute hides the method.
            setattr(channel, name, self._heard(name, channel, getattr(channel, name), tell))

    def _heard(
        self, name: str, channel: Any, method: Callable[..., Any], tell: Callable[[Call], object] | None
    ) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                bound = _SIGNATURES[name].bind(channel, *arguments, **named)
            except TypeError:
                return method(*arguments, **named)  # it raises the same, in its own words
            bound.apply_defaults()
            known = Call(name, {key: value for key, value in bound.arguments.items() if key != "self"}, channel)
            self.append(known)
            if tell is not None and tell(known) is False:
                return None
            return method(*arguments, **named)

        return call

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the arguments of each call of a method."""
        return [call.arguments for call in self if call.name == name]

    def of(self, channel: object) -> Calls:
        """Return the calls of one channel."""
        return Calls(call for call in self if call.channel is channel)

    def clues(self, queues: Iterable[str]) -> Iterator[str]:
        """Yield a sentence for each thing that can't be meant."""
        known = list(queues)
        bound = [str(arguments["exchange"]) for arguments in self.named("queue_bind")]
        yield from self._acknowledged_twice()
        yield from self._never_committed()
        for name, arguments, channel in self:
            if name == "basic_qos":
                yield from _odd_limit(arguments)
            elif name == "basic_publish":
                yield from _odd_message(arguments, known, bound)
            elif name == "queue_declare":
                yield from _odd_queue(arguments, known)
            elif name in ("basic_consume", "consume"):
                yield from _odd_consumer(arguments, known)
            elif name in ("close", "stop_consuming") and isinstance(channel, WorkerChannel):
                yield f"ch.{name}() ends a worker: what it holds goes back to the queue, and it gets nothing more."
            elif name in ("queue_delete", "queue_purge"):
                yield f"{name} empties {arguments['queue']!r}: what waits there is thrown away. Leave it out."
            elif name == "basic_recover":
                yield _RECOVERED
            elif name in ("basic_ack", "basic_nack", "basic_reject"):
                yield from _odd_settling(name, arguments)

    def _never_committed(self) -> Iterator[str]:
        names = [call.name for call in self]
        if "tx_select" in names and "tx_commit" not in names:
            yield "After tx_select nothing takes effect before tx_commit, and that was never called."

    def _acknowledged_twice(self) -> Iterator[str]:
        automatic = [call.channel for call in self if call.arguments.get("auto_ack")]
        if any(call.name == "basic_ack" and call.channel in automatic for call in self):
            yield (
                "With auto_ack=True a delivery counts as acknowledged when it is sent, and basic_ack comes too late: "
                "leave auto_ack out."
            )


def _odd_consumer(arguments: Mapping[str, Any], queues: list[str]) -> Iterator[str]:
    if callable(arguments["queue"]):
        yield "basic_consume got a function as its queue: the name of the queue comes first, then the callback."
    if arguments["exclusive"]:
        yield "With exclusive=True nobody else may read from the queue as long as this consumer lives. Leave it out."
    yield from _other_queue("basic_consume reads from", arguments["queue"], queues)


def _odd_limit(arguments: Mapping[str, Any]) -> Iterator[str]:
    size, count = arguments["prefetch_size"], arguments["prefetch_count"]
    if size:
        yield (
            f"basic_qos got prefetch_size={size!r}, a number of bytes, which RabbitMQ does not support and which comes "
            f"first: name the one you mean, prefetch_count=1."
        )
    if isinstance(count, bool) or not isinstance(count, int):
        yield f"prefetch_count is {count!r}, a {type(count).__name__}. It must be a whole number without quotes."
    elif count > _MOST_HELD:
        yield f"prefetch_count is {count:,}. It is sent in 16 bits, so {_MOST_HELD:,} is the most."


def _odd_message(arguments: Mapping[str, Any], queues: list[str], bound: list[str]) -> Iterator[str]:
    exchange, key, body, properties = (arguments[name] for name in ("exchange", "routing_key", "body", "properties"))
    if exchange in queues or (exchange and isinstance(key, str) and not key):
        yield (
            f"basic_publish got exchange={exchange!r} and routing_key={key!r}: the name of the queue is the routing "
            f"key, and the default exchange has the empty name."
            f"{' They have changed places.' if exchange in queues else ''}"
        )
    elif exchange and exchange not in bound:
        yield (
            f"basic_publish got exchange={exchange!r}, to which you bound no queue: only the default exchange, with "
            f"the empty name, leads to each queue by its name."
        )
    elif exchange == "":
        yield from _other_queue("basic_publish got the routing key", key, queues)
    if not isinstance(body, str | bytes):
        yield f"basic_publish got {_kind(body)} as its body. The order comes third, the properties fourth."
    if properties is not None and not isinstance(properties, BasicProperties):
        yield (
            f"basic_publish got {_kind(properties)} where the properties belong: properties=pika.BasicProperties(...)."
        )
    if isinstance(arguments["mandatory"], BasicProperties):
        yield "basic_publish got the properties as mandatory, its fifth argument. Pass properties=... by name."
    if isinstance(properties, BasicProperties):
        yield from _odd_properties(properties.delivery_mode, properties)


def _odd_properties(mode: object, properties: BasicProperties) -> Iterator[str]:
    if mode is not None and not isinstance(mode, int):
        yield f"delivery_mode is {mode!r}, a {type(mode).__name__}. It is a number: pika.DeliveryMode.Persistent, or 2."
    if properties.expiration is not None:
        yield f"With expiration={properties.expiration!r} an order is thrown away after so many milliseconds."
    for name in properties.headers or ():
        if name in vars(properties):
            yield f"{name} stands in the headers. It is a property of its own: pika.BasicProperties({name}=...)."
        if name in _QUEUE_ARGUMENTS:
            yield f"{name} stands in the headers of a message. It is an argument of a queue, given to queue_declare."


def _odd_queue(arguments: Mapping[str, Any], queues: list[str]) -> Iterator[str]:
    yield from _other_queue("queue_declare made", arguments["queue"], queues)
    if isinstance(arguments["arguments"], Mapping):
        yield from misspelled(arguments["arguments"])


def misspelled(arguments: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a sentence for each argument of a queue whose name is nearly one that RabbitMQ knows."""
    for name in arguments:
        if name in _QUEUE_ARGUMENTS or not isinstance(name, str):
            continue
        near = difflib.get_close_matches(name.lower().replace("_", "-"), _QUEUE_ARGUMENTS, 1, 0.75)
        if near:
            yield f"RabbitMQ knows no {name!r} and passes over it without a word. Did you mean {near[0]!r}?"


def sendable(arguments: object) -> dict[str, Any]:
    """Return the arguments of a queue, if pika can send them, and numbers are whole and not too large.

    Raises:
        CheckFailedError: It can't; the message names what is odd.
    """
    if not isinstance(arguments, Mapping):
        raise CheckFailedError(
            f"arguments is {shown(arguments)}. It must be a dict, with the names of arguments as keys."
        )
    for name, value in arguments.items():
        if not isinstance(name, str):
            raise CheckFailedError(
                f"{shown(name)} is a key of arguments. Their names are texts, such as 'x-max-length'."
            )
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise CheckFailedError(
                f"{name} is {shown(value)}, and the largest number that can be sent is 2**{_BITS} - 1."
            )
        if value is not None and not isinstance(value, _SENDABLE):
            raise CheckFailedError(
                f"{name} is {shown(value)}, of the type {type(value).__name__}, which pika can't send. Arguments of a "
                f"queue are Python's own numbers, texts and truth values."
            )
        if isinstance(value, float):
            whole = f": write {value:.0f}, without a point" if value.is_integer() else ""
            raise CheckFailedError(f"{name} is {value!r}, a float, and RabbitMQ takes whole numbers alone{whole}.")
    return dict(arguments)


def _odd_settling(name: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    tag = arguments["delivery_tag"]
    if isinstance(tag, bool) or not isinstance(tag, int):
        yield f"{name} got {_kind(tag)} as its delivery tag. Pass delivery_tag=method.delivery_tag."
    elif not tag and not arguments.get("multiple"):
        yield f"{name} got no delivery tag, so RabbitMQ can't tell what for. Pass delivery_tag=method.delivery_tag."
    requeue = arguments.get("requeue", True)
    if not isinstance(requeue, bool | int):
        yield f"requeue is {_kind(requeue)}, which counts as {bool(requeue)}. Write True or False."


def _other_queue(what: str, name: object, queues: list[str]) -> Iterator[str]:
    if not isinstance(name, str) or name in queues or not name:
        return
    near = difflib.get_close_matches(name, queues, 1, 0.6)
    if near:
        yield f"{what} {name!r}. The queue is called {near[0]!r}."


def _kind(value: object) -> str:
    if isinstance(value, BasicProperties):
        return "the properties"
    return (
        f"{value!r} (a {type(value).__name__})" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    )
