"""What the management API lists becomes the routes besides the default exchange."""

from __future__ import annotations

from typing import Any

from workq_helpers.rabbitmq.routes import Binding, DeadLetters, Exchange, Routes, routes_of


def binding(source: str, destination: str, key: str = "", kind: str = "queue", **arguments: Any) -> dict[str, Any]:
    return {
        "source": source, "destination": destination, "destination_type": kind, "routing_key": key,
        "arguments": arguments,
    }  # fmt: skip


OWN = [{"name": "", "type": "direct"}, {"name": "amq.direct", "type": "direct"}, {"name": "amq.topic", "type": "topic"}]


def test_the_brokers_own_exchanges_are_nothing_to_show_until_something_is_bound() -> None:
    assert routes_of(OWN, [binding("", "hello", "hello")], [{"name": "hello"}]) == Routes()
    found = routes_of(OWN, [binding("amq.topic", "hello", "a.*")], [])
    assert found.exchanges == (Exchange("amq.topic", "topic", (Binding("hello", "queue", "a.*"),)),)


def test_an_exchange_is_shown_with_all_that_it_leads_to() -> None:
    bindings = [binding("kitchen", "audit", kind="exchange"), binding("kitchen", "hello", format="pdf")]
    found = routes_of([{"name": "kitchen", "type": "headers"}], bindings, [])
    assert found.exchanges[0].bindings == (
        Binding("audit", "exchange", ""),
        Binding("hello", "queue", "", (("format", "pdf"),)),
    )
    assert [each.label for each in found.exchanges[0].bindings] == ["", "format=pdf"]


def test_dead_letters_go_where_the_queue_says_or_else_its_policy() -> None:
    queues: list[dict[str, Any]] = [
        {"name": "a", "arguments": {"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "k"}},
        {"name": "b", "arguments": {}, "effective_policy_definition": {"dead-letter-exchange": ""}},
        {"name": "c", "arguments": {}, "effective_policy_definition": None},
    ]
    assert routes_of([], [], queues).dead_letters == (DeadLetters("a", "dlx", "k"), DeadLetters("b", "", ""))
