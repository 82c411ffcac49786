from __future__ import annotations

import pytest

from workq_helpers.log.declarations import headers_of
from workq_helpers.log.details import Binding, ExchangeOptions
from workq_helpers.log.exchanges import Exchanges

pytestmark = pytest.mark.pinned  # of the course alone


def exchanges(kind: str, *bindings: tuple[str, str], name: str = "x", alternate: str = "") -> Exchanges:
    known = Exchanges()
    known.declare(ExchangeOptions(name, kind, alternate=alternate))
    for queue, key in bindings:
        known.bind(queue, Binding(name, key))
    return known


def test_a_fanout_goes_to_every_queue_once() -> None:
    known = exchanges("fanout", ("a", ""), ("b", "whatever"), ("b", ""))
    assert known.route("x", ["key"]) == ["a", "b"]


def test_a_direct_exchange_goes_by_the_key() -> None:
    known = exchanges("direct", ("a", "red"), ("b", "blue"), ("c", "red"))
    assert known.route("x", ["red"]) == ["a", "c"]
    assert known.route("x", ["green"]) == []
    assert known.route("amq.direct", ["red"]) == []


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
        assert known.route("x", [key]) == ["q"]
    for key in fails:
        assert known.route("x", [key]) == []


def test_what_nobody_saw_declared_or_is_of_an_unknown_type_is_not_told() -> None:
    assert Exchanges().route("logs", [""]) is None
    assert exchanges("x-consistent-hash", ("q", "1")).route("x", [""]) is None


def test_an_exchange_leads_to_others_and_round_in_a_circle_only_once() -> None:
    known = exchanges("fanout", ("a", ""))
    known.declare(ExchangeOptions("y", "fanout"))
    known.bind("b", Binding("y"))
    known.bind("", Binding("x", to_exchange="y"))
    known.bind("", Binding("y", to_exchange="x"))
    assert known.route("x", [""]) == ["a", "b"]


def test_the_alternate_exchange_gets_what_has_no_route() -> None:
    known = exchanges("direct", ("a", "red"), alternate="rest")
    known.declare(ExchangeOptions("rest", "fanout"))
    known.bind("b", Binding("rest"))
    assert known.route("x", ["red"]) == ["a"]
    assert known.route("x", ["blue"]) == ["b"]


def test_bindings_go_with_their_queue_and_their_exchange() -> None:
    known = exchanges("fanout", ("a", ""), ("b", ""))
    known.forget_queue("a")
    assert known.route("x", [""]) == ["b"]
    known.unbind("b", Binding("x"))
    assert known.route("x", [""]) == []
    known.forget_transient()
    assert known.route("x", [""]) is None
    assert known.route("amq.fanout", "") == []


def test_further_keys_lead_further_and_to_each_queue_once() -> None:
    known = exchanges("direct", ("a", "red"), ("b", "blue"), ("a", "blue"))
    assert known.route("x", ["red", "blue"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "fits", "fails"),
    [
        ({"format": "pdf", "size": 4}, [{"format": "pdf", "size": 4, "more": 1}], [{"format": "pdf"}, {}]),
        ({"x-match": "all", "format": "pdf"}, [{"format": "pdf"}], [{"format": "png"}]),
        ({"x-match": "any", "format": "pdf", "size": 4}, [{"format": "pdf"}, {"size": 4}], [{"size": 5}, {}]),
        ({"format": None}, [{"format": "whatever"}], [{"size": 4}]),
        ({"size": 1}, [{"size": 1}], [{"size": True}, {"size": "1"}]),
        ({"x-match": "all", "x-new": "a", "format": "pdf"}, [{"format": "pdf"}], [{"x-new": "a"}]),
        ({"x-match": "any-with-x", "x-new": "a", "format": "pdf"}, [{"x-new": "a"}], [{"x-new": "b"}]),
        ({"x-match": "all-with-x", "x-new": "a"}, [{"x-new": "a"}], [{"new": "a"}]),
        ({}, [{}, {"format": "pdf"}], []),
        ({"x-match": "any"}, [], [{}, {"format": "pdf"}]),
    ],
)
def test_headers_fit_as_rabbitmq_has_them(
    arguments: dict[str, object], fits: list[dict[str, object]], fails: list[dict[str, object]]
) -> None:
    known = exchanges("headers")
    known.bind("q", Binding("x", arguments=headers_of(arguments)))
    assert [known.route("x", ["key"], headers_of(each)) for each in fits] == [["q"]] * len(fits)
    assert [known.route("x", ["key"], headers_of(each)) for each in fails] == [[]] * len(fails)


def test_a_deleted_exchange_is_led_to_no_more() -> None:
    known = exchanges("fanout", ("a", ""))
    known.declare(ExchangeOptions("y", "fanout"))
    known.bind("b", Binding("y"))
    known.bind("", Binding("x", to_exchange="y"))
    known.delete("y")
    assert known.route("x", [""]) == ["a"]
