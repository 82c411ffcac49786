from __future__ import annotations

import pytest

from workq_helpers.log.details import Binding, ExchangeOptions
from workq_helpers.log.exchanges import Exchanges


def exchanges(kind: str, *bindings: tuple[str, str], name: str = "x", alternate: str = "") -> Exchanges:
    known = Exchanges()
    known.declare(ExchangeOptions(name, kind, alternate=alternate))
    for queue, key in bindings:
        known.bind(queue, Binding(name, key))
    return known


def test_a_fanout_goes_to_every_queue_once() -> None:
    known = exchanges("fanout", ("a", ""), ("b", "whatever"), ("b", ""))
    assert known.route("x", "key") == ["a", "b"]


def test_a_direct_exchange_goes_by_the_key() -> None:
    known = exchanges("direct", ("a", "red"), ("b", "blue"), ("c", "red"))
    assert known.route("x", "red") == ["a", "c"]
    assert known.route("x", "green") == []
    assert known.route("amq.direct", "red") == []


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("*.orange.*", ["quick.orange.rabbit"], ["orange", "quick.orange", "quick.orange.male.rabbit"]),
        ("lazy.#", ["lazy", "lazy.brown.fox"], ["lazybones", "quick.lazy"]),
        ("#", ["", "a", "a.b"], []),
        ("#.end", ["end", "a.b.end"], ["end.a"]),
        ("a.b", ["a.b"], ["a", "aXb", "a.b.c"]),
    ],
)
def test_topics_fit_as_rabbitmq_has_them(pattern: str, fits: list[str], fails: list[str]) -> None:
    known = exchanges("topic", ("q", pattern))
    for key in fits:
        assert known.route("x", key) == ["q"]
    for key in fails:
        assert known.route("x", key) == []


def test_what_nobody_saw_declared_or_goes_by_headers_is_not_told() -> None:
    assert Exchanges().route("logs", "") is None
    assert exchanges("headers", ("q", "")).route("x", "") is None
    assert exchanges("x-consistent-hash", ("q", "1")).route("x", "") is None


def test_an_exchange_leads_to_others_and_round_in_a_circle_only_once() -> None:
    known = exchanges("fanout", ("a", ""))
    known.declare(ExchangeOptions("y", "fanout"))
    known.bind("b", Binding("y"))
    known.bind("", Binding("x", to_exchange="y"))
    known.bind("", Binding("y", to_exchange="x"))
    assert known.route("x", "") == ["a", "b"]


def test_the_alternate_exchange_gets_what_has_no_route() -> None:
    known = exchanges("direct", ("a", "red"), alternate="rest")
    known.declare(ExchangeOptions("rest", "fanout"))
    known.bind("b", Binding("rest"))
    assert known.route("x", "red") == ["a"]
    assert known.route("x", "blue") == ["b"]


def test_bindings_go_with_their_queue_and_their_exchange() -> None:
    known = exchanges("fanout", ("a", ""), ("b", ""))
    known.forget_queue("a")
    assert known.route("x", "") == ["b"]
    known.unbind("b", Binding("x"))
    assert known.route("x", "") == []
    known.forget_transient()
    assert known.route("x", "") is None
    assert known.route("amq.fanout", "") == []
