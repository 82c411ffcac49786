"""`Exchanges`: where the exchanges that the log knows lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from workq_helpers.log.details import Binding, ExchangeOptions, Headers

__all__ = ["Exchanges"]

#: What RabbitMQ has in each virtual host.
_GIVEN = {
    f"amq.{name}": ExchangeOptions(f"amq.{name}", kind, durable=True)
    for name, kind in (("direct", "direct"), ("fanout", "fanout"), ("topic", "topic"), ("headers", "headers"),
                       ("match", "headers"))
}  # fmt: skip


class _Lead(NamedTuple):
    """A binding of an exchange, and where it leads: a queue or an exchange."""

    key: str
    to: str
    arguments: Headers


class Exchanges:
    """The exchanges and bindings that were seen, and what they make of a message's routing keys and headers."""

    def __init__(self) -> None:
        self._known = dict(_GIVEN)
        self._queues: dict[str, dict[_Lead, None]] = {}
        self._exchanges: dict[str, dict[_Lead, None]] = {}
        self._gone: set[str] = set()

    def declare(self, options: ExchangeOptions) -> None:
        """Learn of an exchange."""
        self._known[options.name] = options
        self._gone.discard(options.name)

    def is_gone(self, name: str) -> bool:
        """Whether an exchange was deleted, or went with its broker."""
        return name in self._gone

    def delete(self, name: str) -> None:
        """Forget an exchange with its bindings."""
        self._gone.add(name)
        self._known.pop(name, None)
        self._queues.pop(name, None)
        self._exchanges.pop(name, None)
        for leads in self._exchanges.values():
            for lead in [lead for lead in leads if lead.to == name]:
                del leads[lead]

    def bind(self, queue: str, binding: Binding) -> None:
        """Learn that a binding leads to `queue`, or to another exchange."""
        leads = self._exchanges if binding.to_exchange else self._queues
        leads.setdefault(binding.exchange, {})[_lead(queue, binding)] = None

    def unbind(self, queue: str, binding: Binding) -> None:
        """Learn that a binding is gone."""
        leads = self._exchanges if binding.to_exchange else self._queues
        leads.get(binding.exchange, {}).pop(_lead(queue, binding), None)

    def forget_queue(self, queue: str) -> None:
        """Forget the bindings of a queue that is gone."""
        for leads in self._queues.values():
            for lead in [lead for lead in leads if lead[1] == queue]:
                del leads[lead]

    def forget_transient(self) -> None:
        """Forget the exchanges that a restart costs."""
        for name in [name for name, options in self._known.items() if not options.durable]:
            self.delete(name)

    def known(self) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return each exchange, and each binding with the queue that it leads to."""
        bindings = [
            (lead.to, Binding(name, lead.key, arguments=lead.arguments))
            for name, leads in self._queues.items()
            for lead in leads
        ]
        further = [
            ("", Binding(name, lead.key, lead.to, lead.arguments))
            for name, leads in self._exchanges.items()
            for lead in leads
        ]
        return [*(("", options) for options in self._known.values()), *bindings, *further]

    def route(self, exchange: str, routing_keys: Iterable[str], headers: Headers = ()) -> list[str] | None:
        """Return the queues that a message goes to, or ``None`` where that can't be told."""
        return self._route(exchange, tuple(routing_keys), headers, frozenset())

    def _route(
        self, exchange: str, keys: tuple[str, ...], headers: Headers, passed: frozenset[str]
    ) -> list[str] | None:
        options = self._known.get(exchange)
        if options is None or options.type not in _MATCHES:
            return None
        matches = _MATCHES[options.type]
        found = {lead.to: None for lead in self._queues.get(exchange, ()) if matches(lead, keys, headers)}
        further = [lead.to for lead in self._exchanges.get(exchange, ()) if matches(lead, keys, headers)]
        if not found and not further and options.alternate:
            further = [options.alternate]
        for name in further:
            if name in passed:
                continue
            beyond = self._route(name, keys, headers, passed | {exchange})
            if beyond is None:
                return None
            found |= dict.fromkeys(beyond)
        return list(found)


def _lead(queue: str, binding: Binding) -> _Lead:
    return _Lead(binding.routing_key, binding.to_exchange or queue, binding.arguments)


def _any(_lead: _Lead, _keys: tuple[str, ...], _headers: Headers) -> bool:
    return True


def _same(lead: _Lead, keys: tuple[str, ...], _headers: Headers) -> bool:
    return lead.key in keys


def _fits(lead: _Lead, keys: tuple[str, ...], _headers: Headers) -> bool:
    """Whether a topic fits: ``*`` stands for one word, ``#`` for any number of them."""
    return any(_topic(lead.key).fullmatch("." + key if key else "") for key in keys)


def _has(lead: _Lead, _keys: tuple[str, ...], headers: Headers) -> bool:
    """Whether the headers are those of the binding: all of them, or any, as its ``x-match`` says."""
    wanted, given = dict(lead.arguments), dict(headers)
    how = wanted.pop("x-match", "str 'all'").removeprefix("str ").strip("'")
    if not how.endswith("-with-x"):
        wanted = {name: value for name, value in wanted.items() if not name.startswith("x-")}
    found = [name in given and value in ("", given[name]) for name, value in wanted.items()]
    return any(found) if how.startswith("any") else all(found)


@lru_cache(maxsize=1_000)
def _topic(key: str) -> re.Pattern[str]:
    wild = {"*": r"\.[^.]*", "#": r"(\.[^.]*)*"}
    return re.compile("".join(wild.get(word, r"\." + re.escape(word)) for word in key.split(".")) if key else "")


_MATCHES = {"direct": _same, "fanout": _any, "topic": _fits, "headers": _has}
