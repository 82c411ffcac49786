"""`Routes`: the ways a message may take in a virtual host besides the default exchange, as the broker tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

__all__ = ["Binding", "DeadLetters", "Exchange", "Routes", "routes_of"]


class Binding(NamedTuple):
    """A binding of an exchange.

    Attributes:
        destination: What it leads to.
        kind: What that is.
        routing_key: The key; for an exchange that goes by headers, its arguments.
    """

    destination: str
    kind: Literal["queue", "exchange"]
    routing_key: str
    arguments: tuple[tuple[str, object], ...] = ()

    @property
    def label(self) -> str:
        """What it goes by, in a few words: its key, or else its arguments."""
        return self.routing_key or ", ".join(f"{name}={value}" for name, value in self.arguments)


class Exchange(NamedTuple):
    """An exchange that somebody declared, or one of the broker's own that has bindings."""

    name: str
    type: str
    bindings: tuple[Binding, ...]
    durable: bool = False
    alternate: str = ""


class DeadLetters(NamedTuple):
    """Where a queue's dead letters go.

    Attributes:
        queue: The queue.
        exchange: The exchange; ``""`` for the default one, in which the key names a queue.
        routing_key: The key; ``""`` where each message keeps its own.
    """

    queue: str
    exchange: str
    routing_key: str


class Routes(NamedTuple):
    """All of them; each is empty as a rule."""

    exchanges: tuple[Exchange, ...] = ()
    dead_letters: tuple[DeadLetters, ...] = ()


def routes_of(
    exchanges: Iterable[Mapping[str, Any]],
    bindings: Iterable[Mapping[str, Any]],
    queues: Iterable[Mapping[str, Any]],
) -> Routes:
    """Return the routes that three listings of the management API tell of."""
    bound: dict[str, list[Binding]] = {}
    for row in bindings:
        arguments = tuple(row.get("arguments", {}).items())
        binding = Binding(row["destination"], row["destination_type"], row["routing_key"], arguments)
        bound.setdefault(row["source"], []).append(binding)
    return Routes(
        tuple(
            Exchange(
                row["name"],
                row["type"],
                tuple(bound.get(row["name"], ())),
                bool(row.get("durable")),
                str(row.get("arguments", {}).get("alternate-exchange", "")),
            )
            for row in exchanges
            if row["name"] and (row["name"] in bound or not row["name"].startswith("amq."))
        ),
        tuple(letters for row in queues if (letters := _dead_letters_of(row)) is not None),
    )


def _dead_letters_of(row: Mapping[str, Any]) -> DeadLetters | None:
    """Return what a queue says itself, or else its policy: its own arguments come first."""
    arguments, policy = row.get("arguments", {}), row.get("effective_policy_definition") or {}
    exchange = arguments.get("x-dead-letter-exchange", policy.get("dead-letter-exchange"))
    if exchange is None:
        return None
    key = arguments.get("x-dead-letter-routing-key", policy.get("dead-letter-routing-key", ""))
    return DeadLetters(row["name"], str(exchange), str(key))
