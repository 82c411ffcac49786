"""What methods and properties say of queues, exchanges, bindings and dead letters, as the log's own details."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any

from pika.spec import Basic, BasicProperties, Exchange, Queue

from workq_helpers.log.details import Binding, ExchangeOptions, Headers, PublishOptions, QueueOptions
from workq_helpers.log.messages import is_persistent

__all__ = [
    "DEATHS_HEADER",
    "binding_of",
    "deaths_of",
    "exchange_options",
    "headers_of",
    "publish_options",
    "queue_options",
    "queue_options_told",
]

#: In which RabbitMQ tells of the deaths of a dead letter.
DEATHS_HEADER = "x-death"


def publish_options(method: Basic.Publish, properties: BasicProperties, again: bool) -> PublishOptions:
    """Return how a message is published; most share one object, so that an event holds none of its own."""
    exchange = str(method.exchange)
    key = str(method.routing_key) if exchange else ""
    headers = properties.headers
    if isinstance(headers, dict) and headers:
        further, shown = _further_keys(headers), headers_of(headers) if exchange else ()
    else:
        further, shown = (), ()
    told = (properties.expiration, properties.priority, further, shown)
    return _publish_options(is_persistent(properties), again, exchange, key, *told)


@lru_cache(maxsize=1_000)
def _publish_options(
    persistent: bool,
    again: bool,
    exchange: str,
    routing_key: str,
    expiration: object,
    priority: int | None,
    further_keys: tuple[str, ...],
    headers: Headers,
) -> PublishOptions:
    ttl_seconds = _seconds(expiration)
    return PublishOptions(persistent, again, exchange, routing_key, ttl_seconds, priority, further_keys, headers)


def _further_keys(headers: dict[str, Any]) -> tuple[str, ...]:
    """Return the routing keys that RabbitMQ goes by besides: those of ``BCC`` are hidden from whoever receives."""
    lists = [headers[name] for name in ("CC", "BCC") if isinstance(headers.get(name), list)]
    return tuple(str(key) for keys in lists for key in keys)


def headers_of(headers: object) -> Headers:
    """Return headers, or the arguments of a binding, as values that can be compared."""
    items = headers.items() if isinstance(headers, dict) else ()
    return tuple(
        sorted((str(name), "" if value is None else f"{type(value).__name__} {value!r}") for name, value in items)
    )


def queue_options(asked: Queue.Declare) -> QueueOptions:
    """Return how a queue is declared."""
    return queue_options_told(vars(asked))


def queue_options_told(told: Mapping[str, Any]) -> QueueOptions:
    """Return how a queue was declared, by the names that AMQP and the management API have for it, and its policy."""
    arguments = _with_policy(told["arguments"], told.get("effective_policy_definition"))
    return QueueOptions(
        durable=bool(told["durable"]),
        type=str(arguments.get("x-queue-type", told.get("type", "classic"))),
        exclusive=bool(told["exclusive"]),
        auto_delete=bool(told["auto_delete"]),
        expires_seconds=_seconds(arguments.get("x-expires")),
        ttl_seconds=_seconds(arguments.get("x-message-ttl")),
        max_length=_number(arguments.get("x-max-length")),
        max_length_bytes=_number(arguments.get("x-max-length-bytes")),
        max_priority=_number(arguments.get("x-max-priority")),
        overflow=_text(arguments.get("x-overflow")) or "drop-head",
        delivery_limit=_number(arguments.get("x-delivery-limit")),
        delayed_retry=arguments.get("x-delayed-retry-type", "disabled") != "disabled",
        dead_letter_exchange=_text(arguments.get("x-dead-letter-exchange")),
        dead_letter_routing_key=_text(arguments.get("x-dead-letter-routing-key")),
        keeps_dead_letters=arguments.get("x-dead-letter-strategy") == "at-least-once",
    )


def _with_policy(arguments: object, policy: object) -> dict[str, Any]:
    """Return a queue's arguments with a policy's: of two limits the lower one counts, and a negative one is none."""
    found = dict(arguments) if isinstance(arguments, dict) else {}
    for key, value in policy.items() if isinstance(policy, dict) else ():
        own = found.setdefault(f"x-{key}", value)
        if isinstance(own, int) and isinstance(value, int):
            found[f"x-{key}"] = max(own, value) if min(own, value) < 0 else min(own, value)
    return found


def exchange_options(asked: Exchange.Declare | Exchange.Delete) -> ExchangeOptions:
    """Return how an exchange is declared, or which one is deleted."""
    arguments, kind = getattr(asked, "arguments", None), getattr(asked, "type", "direct")
    alternate = arguments.get("alternate-exchange") if isinstance(arguments, dict) else None
    return ExchangeOptions(
        name=str(asked.exchange),
        type=str(getattr(kind, "value", kind)),
        durable=bool(getattr(asked, "durable", False)),
        alternate=_text(alternate) or "",
    )


def binding_of(asked: Queue.Bind | Queue.Unbind | Exchange.Bind | Exchange.Unbind) -> Binding:
    """Return what is bound, or not any more."""
    key, arguments = str(asked.routing_key or ""), headers_of(asked.arguments)
    if isinstance(asked, Exchange.Bind | Exchange.Unbind):
        return Binding(str(asked.source), key, str(asked.destination), arguments)
    return Binding(str(asked.exchange), key, arguments=arguments)


def deaths_of(properties: BasicProperties, told: Container[str]) -> list[tuple[str, str]]:
    """Return the queues that a message was dead-lettered from, and why, the last one first.

    Args:
        properties: The message's.
        told: What clients published as such a header, as text: where it is still so, nothing happened since.
    """
    deaths = properties.headers.get(DEATHS_HEADER) if isinstance(properties.headers, dict) else None
    if not isinstance(deaths, list) or repr(deaths) in told:
        return []
    named = [each for each in deaths if isinstance(each, dict) and "queue" in each]
    return [(str(each["queue"]), str(each.get("reason", ""))) for each in named]


def _seconds(milliseconds: Any) -> float | None:
    try:
        return int(milliseconds) / 1_000
    except (TypeError, ValueError):
        return None  # none, or none that RabbitMQ takes


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
