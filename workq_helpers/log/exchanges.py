"""`Exchanges`: where the exchanges that the log knows lead to."""

from __future__ import annotations

import re
from functools import lru_cache

from workq_helpers.log.details import Binding, ExchangeOptions

__all__ = ["Exchanges"]

#: What RabbitMQ has in each virtual host.
_GIVEN = {
    f"amq.{name}": ExchangeOptions(f"amq.{name}", kind, durable=True)
    for name, kind in (("direct", "direct"), ("fanout", "fanout"), ("topic", "topic"), ("headers", "headers"),
                       ("match", "headers"))
}  # fmt: skip

#: A binding's key, and where it leads: a queue or an exchange.
_Lead = tuple[str, str]


class Exchanges:
    """The exchanges and bindings that were seen, and what they make of a routing key."""

    def __init__(self) -> None:
        self._known = dict(_GIVEN)
        self._queues: dict[str, dict[_Lead, None]] = {}
        self._exchanges: dict[str, dict[_Lead, None]] = {}

    def declare(self, options: ExchangeOptions) -> None:
        """Learn of an exchange."""
        self._known[options.name] = options

    def delete(self, name: str) -> None:
        """Forget an exchange with its bindings."""
        self._known.pop(name, None)
        self._queues.pop(name, None)
        self._exchanges.pop(name, None)

    def bind(self, queue: str, binding: Binding) -> None:
        """Learn that a binding leads to `queue`, or to another exchange."""
        leads = self._exchanges if binding.to_exchange else self._queues
        leads.setdefault(binding.exchange, {})[binding.routing_key, binding.to_exchange or queue] = None

    def unbind(self, queue: str, binding: Binding) -> None:
        """Learn that a binding is gone."""
        leads = self._exchanges if binding.to_exchange else self._queues
        leads.get(binding.exchange, {}).pop((binding.routing_key, binding.to_exchange or queue), None)

    def forget_queue(self, queue: str) -> None:
        """Forget the bindings of a queue that is gone."""
        for leads in self._queues.values():
            for lead in [lead for lead in leads if lead[1] == queue]:
                del leads[lead]

    def forget_transient(self) -> None:
        """Forget the exchanges that a restart costs."""
        for name in [name for name, options in self._known.items() if not options.durable]:
            self.delete(name)

    def bindings(self) -> list[tuple[str, Binding]]:
        """Return each binding that leads to a queue, with that queue."""
        return [(queue, Binding(name, key)) for name, leads in self._queues.items() for key, queue in leads]

    def route(self, exchange: str, routing_key: str) -> list[str] | None:
        """Return the queues that a message goes to, or ``None`` where that can't be told.

        Args:
            exchange: Any but the default exchange.
            routing_key: The message's.
        """
        return self._route(exchange, routing_key, frozenset())

    def _route(self, exchange: str, routing_key: str, passed: frozenset[str]) -> list[str] | None:
        options = self._known.get(exchange)
        if options is None or options.type not in _MATCHES:
            return None
        matches = _MATCHES[options.type]
        found = {queue: None for key, queue in self._queues.get(exchange, ()) if matches(key, routing_key)}
        further = [name for key, name in self._exchanges.get(exchange, ()) if matches(key, routing_key)]
        if not found and not further and options.alternate:
            further = [options.alternate]
        for name in further:
            if name in passed:
                continue
            beyond = self._route(name, routing_key, passed | {exchange})
            if beyond is None:
                return None
            found |= dict.fromkeys(beyond)
        return list(found)


def _any(_key: str, _routing_key: str) -> bool:
    return True


def _same(key: str, routing_key: str) -> bool:
    return key == routing_key


def _fits(key: str, routing_key: str) -> bool:
    """Whether a topic fits: ``*`` stands for one word, ``#`` for any number of them."""
    return _topic(key).fullmatch("." + routing_key if routing_key else "") is not None


@lru_cache(maxsize=1_000)
def _topic(key: str) -> re.Pattern[str]:
    wild = {"*": r"\.[^.]*", "#": r"(\.[^.]*)*"}
    return re.compile("".join(wild.get(word, r"\." + re.escape(word)) for word in key.split(".")) if key else "")


_MATCHES = {"direct": _same, "fanout": _any, "topic": _fits}
