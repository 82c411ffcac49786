from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.properties import examples
from workq_helpers.log.details import (
    Binding,
    BrokerChange,
    ConsumeOptions,
    Counted,
    Detail,
    ExchangeOptions,
    FetchOptions,
    Handback,
    PublishOptions,
    QueueOptions,
    UnderWay,
)
from workq_helpers.log.events import KINDS, EventLog
from workq_helpers.log.fates import ELSEWHERE, ELSEWHERE_BEFORE, HELD_UP, TAKEN, UNREAD
from workq_helpers.log.ledger import PLACES, Ledger, LogCounts, WorkerCounts

pytestmark = pytest.mark.pinned  # of the course alone

MANUAL = ConsumeOptions()
DURABLE = QueueOptions(durable=True)


def ledger_of(log: EventLog) -> Ledger:
    ledger = Ledger()
    ledger.catch_up(log)
    return ledger


def places_of(log: EventLog) -> dict[str, str]:
    return {message.task: message.place for message in ledger_of(log)}


def consume(log: EventLog, kinds: str, worker: str = "w", mark: str = "m", tag: int = 1) -> None:
    for kind in kinds.split():
        log.record(kind, worker, "hello", mark, "T", tag)


def published(detail: ConsumeOptions = MANUAL) -> EventLog:
    log = EventLog()
    log.record("connected", "w", "hello", detail=detail)
    log.record("published", "p", "hello", "m", "T")
    return log


def test_a_published_message_waits_in_its_queue() -> None:
    ledger = ledger_of(published())
    assert ledger.pending("hello") == 1
    assert ledger.pending("another") == 0
    assert ledger.queues() == {"hello": LogCounts(ready=1, unacknowledged=0)}


def send(log: EventLog, *tasks: str, options: Detail = "") -> None:
    for task in tasks:
        log.record("published", "p", "hello", task, task, detail=options)


def test_an_empty_routing_key_leads_to_no_queue() -> None:
    log = EventLog()
    log.record("published", "p", "", "a", "a", detail=PublishOptions())
    log.record("published", "p", "", "b", "b", detail=PublishOptions(further_keys=("hello",)))
    log.record("published", "p", "", "c", "c", detail=PublishOptions())
    log.record("returned", "p", "", "c", "c")
    ledger = ledger_of(log)
    assert [(message.queue, message.place) for message in ledger] == [
        ("", "unknown"), ("hello", "waiting"), ("", "returned"),
    ]  # fmt: skip
    assert "empty routing key" in next(iter(ledger)).reason


def alarm(log: EventLog, change: BrokerChange) -> None:
    log.record("broker", "lesson", detail=change)


def test_what_is_published_during_an_alarm_waits_once_that_is_over() -> None:
    log = EventLog()
    send(log, "a")
    alarm(log, BrokerChange.BLOCKED)
    send(log, "b", "c")
    assert places_of(log) == {"a": "waiting", "b": "unknown", "c": "unknown"}
    assert ledger_of(log).held_up() == 2
    log.record("confirmed", "p", "hello", "c", "c")
    assert places_of(log) == {"a": "waiting", "b": "unknown", "c": "waiting"}
    alarm(log, BrokerChange.UNBLOCKED)
    assert places_of(log) == dict.fromkeys("abc", "waiting")
    assert [message.task for message in ledger_of(log).waiting("hello", 9)] == ["a", "c", "b"]
    assert ledger_of(log).held_up() == 0


def test_what_was_published_before_anybody_heard_of_the_alarm_is_on_its_way_by_the_counts() -> None:
    log = EventLog()
    send(log, "a", "b", "c")
    log.record("blocked", "p", "hello", detail="memory")
    log.record("counted", "broker", "hello", detail=Counted(ready=1))
    assert places_of(log) == {"a": "waiting", "b": "unknown", "c": "unknown"}
    assert {message.reason for message in ledger_of(log) if message.place == "unknown"} == {HELD_UP}
    log.record("unblocked", "p", "hello")
    assert places_of(log) == dict.fromkeys("abc", "waiting")


def test_an_alarm_is_over_for_who_has_not_heard_of_that_too() -> None:
    log = EventLog()
    alarm(log, BrokerChange.BLOCKED)
    log.record("blocked", "p", "hello", detail="memory")
    send(log, "a")
    alarm(log, BrokerChange.UNBLOCKED)
    send(log, "b")
    assert places_of(log) == {"a": "waiting", "b": "waiting"}


def test_what_an_alarm_held_up_is_unknown_when_its_connection_ends() -> None:
    log = EventLog()
    log.record("blocked", "p", "hello", detail="memory")
    send(log, "a")
    log.record("disconnected", "p", "hello")
    send(log, "b")
    ledger = ledger_of(log)
    assert places_of(log) == {"a": "unknown", "b": "waiting"}
    assert "its client's connection ended" in next(iter(ledger)).reason
    assert ledger.held_up() == 0
    log.record("delivered", "w", "hello", "a", "a", 1)
    assert places_of(log) == {"a": "in hand", "b": "waiting"}


def test_a_delivered_message_is_in_hand_until_its_ack() -> None:
    log = published()
    consume(log, "delivered started")
    ledger = ledger_of(log)
    assert (ledger.pending("hello"), ledger.in_hand("w"), ledger.unfinished("w")) == (0, 1, 1)
    assert ledger.queues()["hello"] == LogCounts(0, 1)
    assert (message := ledger.message("m")) is not None
    assert (message.place, message.worker, message.delivery_tag, message.started) == ("in hand", "w", 1, True)
    consume(log, "acked")
    ledger.catch_up(log)
    assert (ledger.in_hand("w"), ledger.unfinished("w"), message.place) == (0, 1, "done")
    consume(log, "finished")
    ledger.catch_up(log)
    assert ledger.workers() == {"w": WorkerCounts(delivered=1, in_hand=0, unfinished=0, done=1)}


def test_what_is_done_is_kept_without_its_delivery() -> None:
    log = published()
    consume(log, "delivered started acked finished")
    assert [(message.place, message._delivery) for message in ledger_of(log)] == [("done", None)]


def test_a_forgotten_ack_leaves_it_unacknowledged() -> None:
    log = published()
    consume(log, "delivered started finished")
    ledger = ledger_of(log)
    assert (ledger.in_hand("w"), ledger.unfinished("w")) == (1, 0)
    assert ledger.queues()["hello"].unacknowledged == 1


def test_an_auto_ack_delivery_is_never_unacknowledged_and_done_when_finished() -> None:
    log = published(ConsumeOptions(auto_ack=True))
    consume(log, "delivered started")
    ledger = ledger_of(log)
    assert ledger.queues()["hello"] == LogCounts(0, 0)
    assert ledger.in_hand("w") == 1
    consume(log, "finished")
    ledger.catch_up(log)
    assert ledger.places()["done"] == 1


def test_auto_ack_work_cut_short_is_lost_for_good() -> None:
    log = published(ConsumeOptions(auto_ack=True))
    consume(log, "delivered started lost finished")
    assert places_of(log) == {"T": "lost"}
    log = published(ConsumeOptions(auto_ack=True))
    consume(log, "delivered started failed")
    assert places_of(log) == {"T": "lost"}


def test_a_killed_workers_message_waits_again() -> None:
    log = published()
    consume(log, "delivered started requeued finished")
    ledger = ledger_of(log)
    assert (ledger.pending("hello"), ledger.in_hand("w"), ledger.unfinished("w")) == (1, 0, 0)
    assert ledger.queues()["hello"] == LogCounts(1, 0)


def test_a_late_requeued_does_not_undo_the_redelivery() -> None:
    log = published()
    consume(log, "delivered")
    log.record("delivered", "w2", "hello", "m", "T", 1, True)
    assert ledger_of(log).in_hand("w") == 0
    consume(log, "requeued")
    ledger = ledger_of(log)
    assert (ledger.pending("hello"), ledger.in_hand("w"), ledger.in_hand("w2")) == (0, 0, 1)
    assert ledger.unfinished("w") == 0
    assert ledger.queues()["hello"] == LogCounts(0, 1)


def test_a_delivery_that_is_read_after_its_redelivery_is_no_message_more() -> None:
    for ack_first in (True, False):
        log = published()
        steps = [
            lambda log: log.record("delivered", "v", "hello", "m", "T", 7, False),
            lambda log: consume(log, "started acked finished", "w", tag=2),
        ]
        log.record("delivered", "w", "hello", "m", "T", 2, True)
        for step in reversed(steps) if ack_first else steps:
            step(log)
        log.record("requeued", "v", "hello", "m", "T", 7, False)
        ledger = ledger_of(log)
        assert [(each.place, each.worker) for each in ledger] == [("done", "w")]
        assert (ledger.in_hand("v"), ledger.unfinished("v"), ledger.pending("hello")) == (0, 0, 0)


@pytest.mark.parametrize("order", ["read, back, settled", "read, settled, back"])
@pytest.mark.parametrize(("settled", "place"), [("acked", "done"), ("rejected", "discarded"), ("nacked", "waiting")])
def test_who_got_it_last_has_it_whenever_a_redelivery_to_another_is_read(settled: str, place: str, order: str) -> None:
    log = published()
    consume(log, "delivered nacked", "u", tag=4)
    log.record("delivered", "w", "hello", "m", "T", 1, True)
    steps = {
        "read": lambda: log.record("delivered", "v", "hello", "m", "T", 83, True),
        "back": lambda: log.record("requeued", "v", "hello", "m", "T", 83, True),
        "settled": lambda: log.record(
            settled, "w", "hello", "m", "T", 1, detail=Handback.DISCARD if settled == "rejected" else ""
        ),
    }
    for step in order.split(", "):
        steps[step]()
    ledger = ledger_of(log)
    assert [(each.place, each.worker) for each in ledger if each.place != "waiting"] == (
        [(place, "w")] if place != "waiting" else []
    )
    assert places_of(log) == {"T": place}
    assert ledger.queues()["hello"] == LogCounts(int(place == "waiting"), 0)
    assert [ledger.in_hand(worker) for worker in "uvw"] == [0, 0, 0]


def test_of_two_of_one_mark_the_one_that_waits_is_delivered_again() -> None:
    log = published()
    log.record("unknown", "p", "hello", "m", "T", detail="its confirm never came")
    log.record("published", "p", "hello", "m", "T")
    consume(log, "delivered acked", tag=1)
    consume(log, "delivered rejected", tag=2)
    log.record("delivered", "w", "hello", "m", "T", 3, True)
    log.record("rejected", "w", "hello", "m", "T", 3, True)
    assert [message.place for message in ledger_of(log)] == ["waiting", "done"]


@pytest.mark.parametrize("end", ["acked", "requeued"])
def test_the_counts_tell_who_got_it_last_where_a_redelivery_to_another_is_read_late(end: str) -> None:
    log = published()
    log.record("delivered", "w", "hello", "m", "T", 1, True)
    log.record("delivered", "v", "hello", "m", "T", 83, True)
    consume(log, "started finished")
    log.record("requeued", "v", "hello", "m", "T", 83, True)
    assert places_of(log) == {"T": "waiting"}
    log.record("counted", "broker", "hello", detail=Counted(0, 1))
    ledger = ledger_of(log)
    assert places_of(log) == {"T": "in hand"}
    assert (ledger.in_hand("w"), ledger.held_elsewhere("hello"), ledger.queues()["hello"]) == (1, 0, LogCounts(0, 1))
    consume(log, end)
    assert places_of(log) == {"T": "done" if end == "acked" else "waiting"}


@pytest.mark.parametrize("end", ["requeued", "acked finished unknown", "acked finished unknown requeued", "unknown"])
@pytest.mark.parametrize("settled", ["acked", "rejected"])
def test_a_redelivery_that_is_read_after_the_next_one_was_settled_changes_nothing(settled: str, end: str) -> None:
    log = published()
    detail = Handback.DISCARD if settled == "rejected" else ""
    log.record("delivered", "w", "hello", "m", "T", 2, True)
    log.record(settled, "w", "hello", "m", "T", 2, detail=detail)
    log.record("delivered", "v", "hello", "m", "T", 7, True)
    consume(log, end, "v", tag=7)
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    ledger = ledger_of(log)
    assert [(each.place, each.worker) for each in ledger] == [("done" if settled == "acked" else "discarded", "w")]
    done = [counts.done for counts in ledger.workers().values()]
    assert done == [int(settled == "acked"), 0]
    log.record("ack dropped", "w", "hello", "m", "T", 2)
    assert places_of(log) == {"T": "waiting"}


@pytest.mark.parametrize("end", ["requeued", "acked unknown", "nacked"])
def test_what_was_settled_in_vain_goes_back_from_who_got_it_then(end: str) -> None:
    log = published()
    consume(log, "delivered acked")
    log.record("delivered", "v", "hello", "m", "T", 7, True)
    log.record("ack dropped", "w", "hello", "m", "T", 1)
    consume(log, end, "v", tag=7)
    assert places_of(log) == {"T": "unknown" if "unknown" in end else "waiting"}
    assert [counts.done for counts in ledger_of(log).workers().values()] == [0, 0]


def test_a_callback_that_outlives_its_connection_cannot_finish_the_next_message_of_that_tag() -> None:
    log = published()
    log.record("published", "p", "hello", "m2", "T2")
    consume(log, "delivered started requeued")
    consume(log, "delivered", mark="m2")
    consume(log, "acked finished", mark="m")
    assert ledger_of(log).unfinished("w") == 1
    assert places_of(log) == {"T": "waiting", "T2": "in hand"}


def test_an_ack_that_never_arrived_is_taken_back_by_the_redelivery() -> None:
    log = published()
    consume(log, "delivered started acked finished")
    log.record("delivered", "w2", "hello", "m", "T", 1, True)
    assert places_of(log) == {"T": "in hand"}


def test_an_ack_that_may_not_have_arrived_is_unknown_until_the_counts_or_a_delivery_tell() -> None:
    for told in ("counted", "delivered"):
        log = published()
        consume(log, "delivered started acked finished unknown")
        ledger = ledger_of(log)
        assert (ledger.places()["unknown"], ledger.places()["done"], ledger.workers()["w"].done) == (1, 0, 0)
        if told == "counted":
            log.record("counted", "broker", "hello", detail=Counted(1, 0))
        else:
            log.record("delivered", "w2", "hello", "m", "T", 1, True)
        assert places_of(log) == {"T": "waiting" if told == "counted" else "in hand"}


def test_what_comes_back_from_a_queue_that_is_known_to_be_gone_is_returned() -> None:
    log = EventLog()
    log.record("counted", "broker", "attic", detail=Counted(present=False))
    log.record("published", "p", "attic", "m", "T")
    assert places_of(log) == {"T": "lost"}
    log.record("returned", "p", "attic", "m", "T", detail="312 NO_ROUTE")
    log.record("confirmed", "p", "attic", "m", "T")
    assert places_of(log) == {"T": "returned"}


def test_an_ack_that_may_not_have_arrived_stays_unknown_and_counts_tell_that_the_message_is_gone() -> None:
    log = published()
    consume(log, "delivered acked")
    log.record("unknown", "w", "hello", "m", "T", 1, detail="its ack may not have arrived before the end")
    assert ledger_of(log).in_doubt("hello") == 1
    log.record("counted", "broker", "hello", detail=Counted(0, 1))  # with somebody else, or not read yet
    assert ledger_of(log).in_doubt("hello") == 1
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    (message,) = ledger = ledger_of(log)
    assert message.place == "unknown"
    assert message.reason == (
        "its ack may not have arrived before the end; "
        "RabbitMQ has the message no more: what settled it had arrived, or it went another way"
    )
    assert (ledger.in_doubt("hello"), ledger.missing_count("hello")) == (0, 1)


def test_which_of_several_acks_have_not_arrived_nobody_can_tell() -> None:
    log = EventLog()
    send(log, "a", "b")
    for task, worker in (("a", "v"), ("b", "w")):
        for kind in ("delivered", "acked", "unknown"):
            log.record(kind, worker, "hello", task, task, 1, detail="doubt" if kind == "unknown" else "")
    for _ in range(2):
        log.record("counted", "broker", "hello", detail=Counted(1, 0))
        ledger = ledger_of(log)
        assert places_of(log) == {"a": "unknown", "b": "unknown"}
        assert [message.reason for message in ledger] == ["doubt", "doubt"]
        assert (ledger.in_doubt("hello"), ledger.unseen("hello")) == (0, 1)
    log.record("delivered", "u", "hello", "a", "a", 1, True)
    ledger = ledger_of(log)
    assert places_of(log) == {"a": "in hand", "b": "unknown"}
    assert ledger.unseen("hello") == 0


def test_what_its_queue_dropped_is_not_what_the_broker_has_of_others() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(ttl_seconds=0.0))
    send(log, "a")
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    ledger = ledger_of(log)
    assert places_of(log) == {"a": "unknown"}
    assert (ledger.unseen("hello"), ledger.missing_count("hello")) == (1, 1)


QUORUM = QueueOptions(type="quorum", dead_letter_exchange="", dead_letter_routing_key="attic")


@pytest.mark.parametrize(
    ("options", "kind", "reason"),
    [
        (replace(QUORUM, delivery_limit=-1), "rejected", TAKEN),
        (replace(QUORUM, unlimited=True), "rejected", TAKEN),
        (replace(QUORUM, free_nacks=True), "nacked", TAKEN),
        (replace(QUORUM, free_nacks=True), "rejected", "delivered 21 times, more often than its queue allows"),
        (QUORUM, "nacked", "delivered 21 times, more often than its queue allows"),
        (replace(QUORUM, delivery_limit=21), "rejected", TAKEN),
    ],
)
def test_a_queue_drops_for_its_delivery_limit_only_what_came_back_more_often(
    options: QueueOptions, kind: str, reason: str
) -> None:
    log = EventLog()
    log.record("declared", "notebook", "attic", detail=DURABLE)
    log.record("declared", "notebook", "hello", detail=options)
    send(log, "a")
    for tag in range(1, 22):
        log.record("delivered", "w", "hello", "a", "a", tag, tag > 1)
        log.record(kind, "w", "hello", "a", "a", tag, detail=Handback.REQUEUE)
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    place = "unknown" if reason == TAKEN else "dead-lettered"
    first, *copies = ledger_of(log)
    assert (first.place, first.reason) == (place, reason)
    assert [copy.queue for copy in copies] == ["attic"] * (place == "dead-lettered")


def test_what_a_queue_holds_back_for_a_retry_waits_again_later() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(type="quorum", delayed_retry=True))
    send(log, "a", "b", "c")
    log.record("delivered", "w", "hello", "a", "a", 1)
    log.record("rejected", "w", "hello", "a", "a", 1, detail=Handback.REQUEUE)
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"a": "unknown", "b": "waiting", "c": "waiting"}
    assert "holds it back" in ledger_of(log).missing("hello", 1)[0].reason
    log.record("counted", "broker", "hello", detail=Counted(3, 0))
    assert places_of(log) == dict.fromkeys("abc", "waiting")


@pytest.mark.parametrize("declared", [QueueOptions(), None])
def test_what_the_broker_tells_of_a_queue_outlives_that_it_is_declared_again(declared: QueueOptions | None) -> None:
    """A worker's declaration says nothing of a policy."""
    log = EventLog()
    if declared:
        log.record("declared", "notebook", "hello", detail=declared)
    with_policy = QueueOptions(max_length=2)
    log.record("counted", "broker", "hello", detail=Counted(0, 0, options=with_policy))
    log.record("declared", "w", "hello", detail=QueueOptions())
    assert ledger_of(log).declared("hello") == with_policy
    log.record("declared", "w", "hello", detail=DURABLE)
    assert ledger_of(log).declared("hello") == DURABLE
    log.record("counted", "broker", "hello", detail=Counted(0, 0, options=with_policy))
    log.record("deleted", "w", "hello")
    log.record("declared", "w", "hello", detail=DURABLE)
    assert ledger_of(log).declared("hello") == DURABLE


def test_what_a_full_queue_may_have_dropped_for_others_is_unknown() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(max_length=2, overflow="drop-head"))
    send(log, "a")
    send(log, "b")
    log.record("counted", "broker", "hello", detail=Counted(2, 0, unaccounted=1))
    ledger = ledger_of(log)
    assert places_of(log) == {"a": "unknown", "b": "waiting"}
    assert (ledger.unseen("hello"), ledger.published_to("hello")) == (1, 3)
    assert "its queue is full" in ledger.missing("hello", 1)[0].reason


def test_what_a_full_queue_refused_from_others_took_no_place() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(max_length=1, overflow="reject-publish"))
    send(log, "a")
    log.record("counted", "broker", "hello", detail=Counted(1, 0, unaccounted=1))
    assert places_of(log) == {"a": "waiting"}
    assert ledger_of(log).published_to("hello") == 2


def test_a_classic_queue_with_priorities_may_keep_what_is_past_its_time() -> None:
    """RabbitMQ does not look at the time of what came to the head by overtaking others."""
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(max_priority=9))
    for task, options in (("low", PublishOptions()), ("high", PublishOptions(priority=5, ttl_seconds=0.5))):
        send(log, task, options=options)
    assert not ledger_of(log).mixed_up("hello", 2, 60.0)


def test_of_a_queue_that_is_gone_nothing_is_done_that_was_fetched_and_answered_since_it_was_there() -> None:
    log = EventLog()
    for tag, task in enumerate(("early", "late", "held"), 1):
        send(log, task)
        log.record("delivered", "notebook", "hello", task, task, tag, detail=FetchOptions())
    log.record("acked", "notebook", "hello", "early", "early", 1)
    agreed_seconds = log.seconds()
    log.record("acked", "notebook", "hello", "late", "late", 2)
    log.record("counted", "broker", "hello", detail=Counted(present=False, agreed_seconds=agreed_seconds))
    log.record("acked", "notebook", "hello", "held", "held", 3)
    assert places_of(log) == {"early": "done", "late": "unknown", "held": "unknown"}
    ledger = ledger_of(log)
    assert ledger.workers()["notebook"] == (3, 0, 0, 1)
    assert ledger.queues()["hello"] == LogCounts(0, 0)


def test_what_came_to_a_queue_unseen_stands_for_what_would_have_gone_first() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(max_priority=9))
    for task, priority in (("low", 0), ("high", 5)):
        log.record("published", "p", "hello", task, task, detail=PublishOptions(priority=priority))
    log.record("counted", "broker", "hello", detail=Counted(2, 0, unaccounted=1))
    either = dict.fromkeys(("low", "high"), "unknown")
    assert places_of(log) == either, "the one that waits was taken before the other came, perhaps"
    log.record("counted", "broker", "hello", detail=Counted(3, 0))
    assert places_of(log) == either, "more that others sent brings nothing back"
    log.record("delivered", "w", "hello", "high", "high", 1)
    log.record("delivered", "w", "hello", "theirs", "theirs", 2)
    ledger = ledger_of(log)
    assert (ledger.unseen("hello"), ledger.published_to("hello")) == (1, 4)


def of_two_lines(tasks: dict[str, int], options: QueueOptions, ttl_seconds: float | None = None) -> EventLog:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=options)
    for task, priority in tasks.items():
        send(log, task, options=PublishOptions(priority=priority, ttl_seconds=ttl_seconds if task == "over" else None))
    return log


def test_where_high_and_normal_priorities_take_turns_nobody_knows_whose_it_is() -> None:
    log = of_two_lines({"low": 0, "late": 4, "high": 5, "higher": 9}, replace(QUORUM, takes_turns=True))
    log.record("counted", "broker", "hello", detail=Counted(3, 0, agreed_seconds=log.seconds()))
    assert places_of(log) == {"low": "unknown", "late": "waiting", "high": "unknown", "higher": "waiting"}


@pytest.mark.parametrize(("priority", "there"), [(5, "waiting"), (0, "unknown")])
def test_what_is_past_its_time_in_one_line_may_stay_while_the_other_has_its_turn(priority: int, there: str) -> None:
    log = of_two_lines({"over": priority, "fresh": 0}, replace(QUORUM, takes_turns=True), ttl_seconds=0.0)
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"over": there, "fresh": "waiting"}


def test_a_quorum_queue_tells_no_priorities_apart_that_are_higher_than_31() -> None:
    log = of_two_lines({"first": 31, "second": 200}, QUORUM)
    log.record("counted", "broker", "hello", detail=Counted(1, 0, agreed_seconds=log.seconds()))
    assert places_of(log) == {"first": "unknown", "second": "waiting"}


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.integers(0, 6), st.integers(1, 3))
def test_with_priorities_what_may_be_gone_is_what_others_may_have_taken_at_some_time(
    priorities: list[int], agreed: int, taken: int
) -> None:
    """No less, and no more; after the log and the broker agreed, that is: by then nothing was gone."""
    agreed = min(agreed, len(priorities))
    taken = min(taken, len(priorities))
    log, agreed_seconds = EventLog(), 0.0
    log.record("declared", "notebook", "hello", detail=QueueOptions(max_priority=9))
    for number, priority in enumerate(priorities, 1):
        send(log, str(number - 1), options=PublishOptions(priority=priority))
        agreed_seconds = log.seconds() if number == agreed else agreed_seconds
    counted = Counted(len(priorities) - taken, 0, agreed_seconds=agreed_seconds)
    log.record("counted", "broker", "hello", detail=counted)
    histories = list(left_after_takes(priorities, agreed, taken))
    sure = {str(number) for number in set.intersection(*histories)}
    assert {task for task, place in places_of(log).items() if place == "waiting"} == sure


def left_after_takes(priorities: list[int], agreed: int, taken: int) -> Iterator[set[int]]:
    """Yield what is left when others take so many, for each choice of moments; a moment is how many were sent."""
    for moments in itertools.combinations_with_replacement(range(max(1, agreed), len(priorities) + 1), taken):
        left, sent = set[int](), 0
        for moment in moments:
            left |= {*range(sent, moment)}
            sent = moment
            if not left:
                break
            left.remove(max(left, key=lambda number: (priorities[number], -number)))
        else:
            yield left | {*range(sent, len(priorities))}


def test_when_a_dead_letter_came_nobody_saw() -> None:
    """It was in its queue when d1 was sent, perhaps."""
    log = EventLog()
    log.record("declared", "notebook", "attic")
    log.record("declared", "notebook", "hello", detail=replace(QUORUM, type="classic", ttl_seconds=0.0))
    send(log, "a")
    log.record("published", "p", "attic", "d1", "d1")
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    log.record("counted", "broker", "attic", detail=Counted(1, 0))
    ledger = ledger_of(log)
    assert [(message.task, message.place) for message in ledger if message.queue == "attic"] == [
        ("d1", "unknown"), ("a", "unknown"),
    ]  # fmt: skip


def attic(log: EventLog, exchange: str = "", **options: Any) -> None:
    """Declare a queue whose dead letters go to "attic", and reject a message there."""
    detail = QueueOptions(dead_letter_exchange=exchange, dead_letter_routing_key="attic", **options)
    log.record("declared", "notebook", "hello", detail=detail)
    send(log, "a")
    log.record("delivered", "w", "hello", "a", "a", 1)
    log.record("rejected", "w", "hello", "a", "a", 1, detail=Handback.DISCARD)


@pytest.mark.parametrize(
    ("exchange", "before", "options", "place", "why"),
    [
        ("", "", {}, "unknown", "the queue 'attic', of which nothing was seen here"),
        ("", "declared", {}, "dead-lettered", ""),
        ("", "declared deleted", {}, "discarded", "nowhere to go: the queue 'attic' was gone"),
        ("x", "", {}, "unknown", "the exchange 'x', and nobody here saw where that leads"),
        ("x", "exchange declared", {}, "unknown", "the exchange 'x', and no binding for it was seen here"),
        ("x", "exchange deleted", {}, "discarded", "nowhere to go: the exchange 'x' was gone"),
        ("x", "exchange deleted", {"keeps_dead_letters": True}, "unknown", "the exchange 'x'"),
    ],
)
def test_a_dead_letter_that_nothing_gets_is_not_called_one(
    exchange: str, before: str, options: dict[str, bool], place: str, why: str
) -> None:
    log = EventLog()
    for kind in before.split(" " if not exchange else "_"):
        if kind:
            log.record(kind, "notebook", "" if exchange else "attic", detail=ExchangeOptions("x") if exchange else 0)
    attic(log, exchange, **options)
    message = next(iter(ledger_of(log)))
    assert (message.place, why in message.reason) == (place, True)
    assert message.reason.startswith("rejected")
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    assert next(iter(ledger_of(log))).place == place, "what others send now is not that one"
    log.record("ack dropped", "w", "hello", "a", "a", 1)
    assert next(iter(ledger_of(log))).place == "waiting"


def test_a_dead_letter_is_found_where_the_brokers_bindings_lead() -> None:
    log = EventLog()
    attic(log, "x")
    assert ledger_of(log).has_adrift()
    log.record("exchange declared", "broker", detail=ExchangeOptions("x"))
    log.record("bound", "broker", "cellar", detail=Binding("x", "attic"))
    log.record("counted", "broker", "cellar", detail=Counted(1, 0))
    assert [(each.queue, each.place) for each in ledger_of(log)] == [("hello", "unknown"), ("cellar", "waiting")]
    log.record("dead-lettered", "w", "hello", "a", "a", detail="rejected")
    ledger = ledger_of(log)
    assert next(iter(ledger)).place == "dead-lettered"
    assert not ledger.has_adrift()


def test_a_dead_letter_is_found_though_it_was_rejected_during_an_alarm() -> None:
    log = EventLog()
    attic(log, "x")
    log.record("unknown", "w", "hello", "a", "a", 1, detail=UNREAD)
    log.record("broker", "broker", detail=BrokerChange.UNBLOCKED)
    assert ledger_of(log).has_adrift()
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    log.record("exchange declared", "broker", detail=ExchangeOptions("x"))
    log.record("bound", "broker", "cellar", detail=Binding("x", "attic"))
    log.record("counted", "broker", "cellar", detail=Counted(1, 0))
    assert [(each.queue, each.place) for each in ledger_of(log)] == [("hello", "unknown"), ("cellar", "waiting")]


def test_a_dead_letter_that_was_found_where_the_bindings_lead_goes_round_in_no_circle() -> None:
    log = EventLog()
    for queue, exchange, key in (("hello", "x", "attic"), ("cellar", "", "hello")):
        there = QueueOptions(
            max_length=0, overflow="drop-head", dead_letter_exchange=exchange, dead_letter_routing_key=key
        )
        log.record("declared", "notebook", queue, detail=there)
    send(log, "a")
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    log.record("exchange declared", "broker", detail=ExchangeOptions("x"))
    log.record("bound", "broker", "cellar", detail=Binding("x", "attic"))
    log.record("counted", "broker", "cellar", detail=Counted(1, 0))
    log.record("counted", "broker", "cellar", detail=Counted(0, 0))
    assert [(each.queue, each.place) for each in ledger_of(log)] == [("hello", "unknown"), ("cellar", "discarded")]


def test_a_dead_letter_ends_before_it_goes_round_in_a_circle() -> None:
    log = EventLog()
    for queue, to in (("hello", "wait"), ("wait", "hello")):
        there = QueueOptions(ttl_seconds=0.0, dead_letter_exchange="", dead_letter_routing_key=to)
        log.record("declared", "notebook", queue, detail=there)
    send(log, "a")
    for queue in ("hello", "wait"):
        log.record("counted", "broker", queue, detail=Counted(0, 0))
    first, second = ledger_of(log)
    assert (first.place, second.place) == ("dead-lettered", "discarded")
    assert "round in a circle" in second.reason
    log = EventLog()
    for queue, to in (("hello", "wait"), ("wait", "hello")):
        there = QueueOptions(ttl_seconds=0.0, dead_letter_exchange="", dead_letter_routing_key=to)
        log.record("declared", "notebook", queue, detail=there)
    send(log, "a")
    log.record("delivered", "w", "hello", "a", "a", 1)
    log.record("rejected", "w", "hello", "a", "a", 1, detail=Handback.DISCARD)
    log.record("counted", "broker", "wait", detail=Counted(0, 0))
    assert [message.place for message in ledger_of(log)] == ["dead-lettered", "dead-lettered", "waiting"]


def test_what_others_held_and_handed_back_is_not_said_to_be_theirs_any_more() -> None:
    for back, held, why in (
        (1, 1, "handed back or taken since"), (1, 0, "handed back or taken since"), (0, 0, TAKEN),
    ):  # fmt: skip
        log = EventLog()
        send(log, "a", "b")
        log.record("counted", "broker", "hello", detail=Counted(0, 2))
        assert [message.reason for message in ledger_of(log)] == [ELSEWHERE] * 2
        log.record("counted", "broker", "hello", detail=Counted(back, held))
        assert all(why in message.reason for message in ledger_of(log))
        log.record("counted", "broker", "hello", detail=Counted(2, 0))
        # Where others held none any more and one was gone, one of the two is sent since.
        assert {*places_of(log).values()} == {"waiting" if held else "unknown"}


def test_where_one_of_two_is_with_others_nobody_is_said_to_have_handed_it_back_before_that_may_be() -> None:
    log = EventLog()
    for client in "ab":
        log.record("published", client, "hello", client, client)
    log.record("counted", "broker", "hello", detail=Counted(1, 1))
    assert {message.reason for message in ledger_of(log)} == {
        f"{ELSEWHERE}; or it is still there: 1 of 2 such messages are gone, and nothing that was seen tells which"
    }
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    assert {message.reason for message in ledger_of(log)} == {ELSEWHERE_BEFORE}


@pytest.mark.parametrize(("ready", "fate"), [(0, TAKEN), (1, ELSEWHERE_BEFORE), (2, "")])
def test_what_others_send_is_not_what_they_hold(ready: int, fate: str) -> None:
    log = EventLog()
    send(log, "a")
    log.record("counted", "broker", "hello", detail=Counted(0, 1))
    log.record("counted", "broker", "hello", detail=Counted(1, 1))
    assert [(message.place, message.reason) for message in ledger_of(log)] == [("unknown", ELSEWHERE)]
    log.record("counted", "broker", "hello", detail=Counted(ready, 0))
    assert [(message.place, message.reason) for message in ledger_of(log)] == [("unknown" if fate else "waiting", fate)]


def test_what_leaves_a_queue_in_which_others_messages_are_may_be_ours() -> None:
    """Of a and another's, one is taken, or held and handed back: the counts are the same whichever it is."""
    for ready, held in ((1, 0), (1, 1)):
        log = EventLog()
        send(log, "a")
        log.record("counted", "broker", "hello", detail=Counted(2, 0))
        assert (places_of(log), ledger_of(log).unseen("hello")) == ({"a": "waiting"}, 1)
        log.record("counted", "broker", "hello", detail=Counted(ready, held))
        assert (places_of(log), ledger_of(log).unseen("hello")) == ({"a": "unknown"}, 1)
        log.record("counted", "broker", "hello", detail=Counted(2, 0))
        assert places_of(log) == {"a": "waiting" if held else "unknown"}, "all are back, or others sent one more"


def test_what_is_in_a_queue_that_was_made_again_was_not_in_the_one_before() -> None:
    for gone in (("counted", "broker", Counted(present=False)), ("deleted", "notebook", 0)):
        log = EventLog()
        send(log, "a", "b")
        log.record("delivered", "w", "hello", "a", "a", 1)
        log.record(gone[0], gone[1], "hello", detail=gone[2])
        log.record("counted", "broker", "hello", detail=Counted(2, 0))
        assert "waiting" not in places_of(log).values()
        assert ledger_of(log).unseen("hello") == 2


def test_what_is_sent_while_others_hold_as_many_does_not_hide_that() -> None:
    log = EventLog()
    send(log, "a")
    log.record("counted", "broker", "hello", detail=Counted(1, 1))
    assert places_of(log) == {"a": "unknown"}, "others sent one, and hold one"
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"a": "waiting"}


@settings(max_examples=examples(400), deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_said_of_a_queue_that_others_use_too_is_so(chance: Random) -> None:
    """A queue's messages, some of others', go by turns to a worker here and to others; each deed is counted."""
    log, there = EventLog(), list[tuple[int, str]]()
    ours, theirs = dict[int, tuple[int, str]](), list[tuple[int, str]]()
    for number in range(chance.randint(1, 16)):
        deed = chance.choice(["send", "send", "get", "settle", "they send", "they take", "they hold", "they settle"])
        if deed == "send":
            log.record("published", "p", "hello", f"m{number}", f"m{number}")
        if deed in ("send", "they send"):
            there.append((number, f"m{number}"))
        elif deed == "they settle" and theirs:
            settled = theirs.pop(chance.randrange(len(theirs)))
            there = sorted([*there, settled]) if chance.random() < 0.5 else there
        elif deed == "settle" and ours:
            tag, held = ours.popitem()
            back = chance.random() < 0.5
            log.record("requeued" if back else "acked", "w", "hello", held[1], held[1], tag)
            there = sorted([*there, held]) if back else there
        elif there and deed == "get":
            ours[number] = there.pop(0)
            log.record("delivered", "w", "hello", ours[number][1], ours[number][1], number)
        elif there and deed in ("they take", "they hold"):
            left = there.pop(0)
            theirs += [left] if deed == "they hold" else []
        if "they" in deed or chance.random() < 0.3:
            log.record("counted", "broker", "hello", detail=Counted(len(there), len(ours) + len(theirs)))
            says_what_is_so(ledger_of(log), {task for _, task in there}, {task for _, task in theirs})


def says_what_is_so(ledger: Ledger, ready: set[str], with_others: set[str]) -> None:
    """Fail if a ledger says of a message what is not so, or does not count what is ready."""
    by_reason = {TAKEN: set[str](), ELSEWHERE: set[str]()}
    for message in ledger:
        by_reason.setdefault(message.reason, set()).add(message.task)
    waiting = {message.task for message in ledger if message.place == "waiting"}
    assert waiting <= ready
    assert len(waiting) + ledger.unseen("hello") == len(ready)
    assert ledger.held_elsewhere("hello") == len(with_others)
    assert not by_reason[TAKEN] & (ready | with_others)
    assert by_reason[ELSEWHERE] <= with_others


def send_by_turns(log: EventLog, *tasks: str) -> None:
    """Publish tasks, each by the client that its first letter names."""
    for task in tasks:
        log.record("published", task[0], "hello", task, task)


def test_the_order_of_several_clients_messages_in_a_queue_is_not_known() -> None:
    """Which are gone from its head, only deliveries tell: RabbitMQ may have had both of b's first."""
    log = EventLog()
    send_by_turns(log, "a1", "b1", "a2", "b2", "a3", "b3")
    log.record("counted", "broker", "hello", detail=Counted(4, 0))
    gone_or_there = dict.fromkeys(("a1", "a2", "b1", "b2"), "unknown")
    assert places_of(log) == gone_or_there | {"a3": "waiting", "b3": "waiting"}
    assert "2 of 4 such messages are gone" in ledger_of(log).missing("hello", 1)[0].reason
    assert ledger_of(log).unseen("hello") == 2
    log.record("counted", "broker", "hello", detail=Counted(6, 0))
    assert places_of(log) == gone_or_there | {"a3": "waiting", "b3": "waiting"}, "others sent some"
    for tag, task in enumerate(("a1", "a2"), 1):
        log.record("delivered", "w", "hello", task, task, tag)
    assert ledger_of(log).unseen("hello") == 2
    assert Counter(places_of(log).values()) == {"in hand": 2, "unknown": 2, "waiting": 2}


@pytest.mark.parametrize("known_by", ["confirmed", "stopped", "stopped, and nobody answered"])
def test_what_was_there_before_another_client_sent_anything_goes_first(known_by: str) -> None:
    log = EventLog()
    send_by_turns(log, "a1", "a2")
    if known_by != "confirmed":
        log.record("stopped", "a", "hello")
    else:
        log.record("confirmed", "a", "hello", "a1", "a1", 1)
        log.record("confirmed", "a", "hello", "a2", "a2", 2)
    send_by_turns(log, "b1")
    if "nobody" in known_by:
        log.record("under way", "a", detail=UnderWay(("a1", "a2")))
        assert [message.arrived for message in ledger_of(log)] == [math.inf] * 3
        return
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"a1": "unknown", "a2": "waiting", "b1": "waiting"}


def test_under_auto_ack_what_is_gone_was_sent_and_not_read_or_never_arrived() -> None:
    for auto_ack, unknown in ((True, {"a2", "a4"}), (False, {"a4"})):
        log = EventLog()
        log.record("connected", "w", "hello", detail=ConsumeOptions(auto_ack=auto_ack))
        send_by_turns(log, "a1", "a2", "a3", "a4")
        log.record("delivered", "w", "hello", "a1", "a1", 1)
        log.record("under way", "a", detail=UnderWay(("a3", "a4")))
        log.record("counted", "broker", "hello", detail=Counted(2, 0 if auto_ack else 1))
        assert {task for task, place in places_of(log).items() if place == "unknown"} == unknown


@settings(max_examples=examples(200), deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_what_waits_by_the_log_is_there_whatever_the_queue_s_order_was(chance: Random, auto_ack: bool) -> None:
    """Each client's messages are in their order, some at the tail never arrived, and some were taken at the head."""
    log = EventLog()
    log.record("connected", "w", "hello", detail=ConsumeOptions(auto_ack=auto_ack))
    sent = [[f"{client}{number}" for number in range(chance.randint(0, 5))] for client in "abc"]
    send_by_turns(log, *by_turns(chance, sent))
    under_way = [tasks[chance.randint(0, len(tasks)) :] for tasks in sent if chance.random() < 0.3]
    lost = {task for tasks in under_way for task in tasks[chance.randint(0, len(tasks)) :]}
    there = [task for task in by_turns(chance, sent) if task not in lost]
    held = []
    for tag in range(1, chance.randint(0, len(there)) + 1):
        task = there.pop(0)
        log.record("delivered", "w", "hello", task, task, tag)
        if auto_ack or chance.random() < 0.5:
            log.record("finished" if auto_ack else "acked", "w", "hello", task, task, tag)
        else:
            held.append((task, tag))
    if auto_ack or not under_way:
        there = there[chance.randint(0, 3) :]
    for task, tag in held:
        log.record("requeued", "w", "hello", task, task, tag)
    for tasks in under_way:
        log.record("under way", "a", detail=UnderWay(tuple(tasks)))
    log.record("counted", "broker", "hello", detail=Counted(len(there) + len(held), 0))
    ledger = ledger_of(log)
    waiting = {message.task for message in ledger if message.place == "waiting"}
    assert waiting <= {*there, *(task for task, _ in held)}
    assert len(waiting) + ledger.unseen("hello") == len(there) + len(held)


def by_turns(chance: Random, sent: list[list[str]]) -> list[str]:
    """Mix what several clients sent, each client's in its order."""
    left = [list(tasks) for tasks in sent]
    return [chance.choice([tasks for tasks in left if tasks]).pop(0) for _ in range(sum(map(len, sent)))]


def test_what_was_in_hand_may_not_have_been_at_the_head_when_others_took() -> None:
    """a1 came back when a2 was taken already, or was taken itself later: the count is the same."""
    log = EventLog()
    send_by_turns(log, "a1", "a2", "a3")
    log.record("delivered", "w", "hello", "a1", "a1", 1)
    log.record("requeued", "w", "hello", "a1", "a1", 1)
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"a1": "unknown", "a2": "unknown", "a3": "waiting"}


def test_what_a_dead_client_still_holds_for_rabbitmq_waits_again_beside_an_ack_in_doubt() -> None:
    log = EventLog()
    send_by_turns(log, "a1", "a2", "a3")
    for tag, kinds in enumerate(("delivered acked unknown", "delivered requeued"), 1):
        for kind in kinds.split():
            log.record(kind, "w", "hello", f"a{tag}", f"a{tag}", tag, detail="doubt" if kind == "unknown" else "")
    log.record("counted", "broker", "hello", detail=Counted(1, 1))
    assert places_of(log) == {"a1": "unknown", "a2": "unknown", "a3": "waiting"}
    log.record("counted", "broker", "hello", detail=Counted(2, 0))
    assert places_of(log) == {"a1": "unknown", "a2": "waiting", "a3": "waiting"}


def test_what_others_hold_was_at_the_head_though_something_was_under_way() -> None:
    log = EventLog()
    send_by_turns(log, "a1", "a2", "a3")
    log.record("under way", "a", detail=UnderWay(("a2", "a3")))
    log.record("counted", "broker", "hello", detail=Counted(2, 1))
    assert places_of(log) == {"a1": "unknown", "a2": "waiting", "a3": "waiting"}


def held_up_ack() -> EventLog:
    log = published()
    log.record("blocked", "w", "hello", detail="memory")
    consume(log, "delivered started acked")
    log.record("unknown", "w", "hello", "m", "T", 1, detail=UNREAD)
    consume(log, "finished")
    return log


def test_an_ack_that_an_alarm_holds_up_counts_once_the_broker_reads_again() -> None:
    for told in ("unblocked", "alarm over", "counts"):
        log = held_up_ack()
        assert places_of(log) == {"T": "unknown"}
        assert ledger_of(log).workers()["w"].done == 0
        if told == "unblocked":
            log.record("unblocked", "w", "hello")
        elif told == "alarm over":
            alarm(log, BrokerChange.UNBLOCKED)
        else:
            log.record("counted", "broker", "hello", detail=Counted(0, 0))
        assert places_of(log) == {"T": "done"}
        assert ledger_of(log).workers()["w"].done == 1
        assert ledger_of(log).in_doubt("hello") == 0


def test_what_is_handed_back_during_an_alarm_waits_once_the_broker_reads_of_it_or_the_connection_ends() -> None:
    for kind in ("unblocked", "disconnected"):
        log = published()
        log.record("blocked", "w", "hello", detail="memory")
        consume(log, "delivered")
        log.record("nacked", "w", "hello", "m", "T", 1, detail=Handback.REQUEUE)
        log.record("unknown", "w", "hello", "m", "T", 1, detail=UNREAD)
        assert [(each.place, each.reason) for each in ledger_of(log)] == [("unknown", UNREAD)]
        log.record(kind, "w", "hello")
        assert places_of(log) == {"T": "waiting"}
        assert ledger_of(log).pending("hello") == 1


def test_an_ack_that_an_alarm_held_up_stays_unknown_when_its_connection_ends() -> None:
    for kind, tag in (("killed", None), ("unknown", 1)):  # a worker's end, and that of a connection of the notebook's
        log = held_up_ack()
        log.record(kind, "w", "hello", None if tag is None else "m", "T", tag, detail="the end")
        log.record("unblocked", "w", "hello")
        alarm(log, BrokerChange.UNBLOCKED)
        assert places_of(log) == {"T": "unknown"}
        assert next(iter(ledger_of(log))).reason != UNREAD


def test_of_several_acks_that_may_not_have_arrived_the_last_are_the_first_to_be_missed() -> None:
    log = published()
    log.record("published", "p", "hello", "m2", "T2")
    consume(log, "delivered acked", mark="m")
    log.record("delivered", "w", "hello", "m2", "T2", 2)
    log.record("acked", "w", "hello", "m2", "T2", 2)
    for mark, task, tag in (("m", "T", 1), ("m2", "T2", 2)):
        log.record("unknown", "w", "hello", mark, task, tag)
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    assert places_of(log) == {"T": "unknown", "T2": "waiting"}


def test_nack_and_reject_say_what_becomes_of_the_message() -> None:
    for kind in ("nacked", "rejected"):
        for detail, place in ((Handback.REQUEUE, "waiting"), (Handback.DISCARD, "discarded")):
            log = published()
            consume(log, "delivered started")
            log.record(kind, "w", "hello", "m", "T", 1, detail=detail)
            assert places_of(log) == {"T": place}


def test_a_message_can_go_back_to_its_publisher() -> None:
    for kind, place in (("returned", "returned"), ("refused", "refused")):
        log = published()
        log.record(kind, "p", "hello", "m", "T")
        assert places_of(log) == {"T": place}
        assert ledger_of(log).pending("hello") == 0


def test_a_message_from_outside_appears_with_its_delivery() -> None:
    log = EventLog()
    log.record("delivered", "w", "hello", "x", "T", 1)
    log.record("delivered", "w", "hello", None, "U", 2)
    log.record("requeued", "w", "hello", None, "U", 2)
    log.record("delivered", "v", "hello", None, "U", 1, True)
    ledger = ledger_of(log)
    assert len(ledger) == 2
    assert (ledger.pending("hello"), ledger.in_hand("w"), ledger.in_hand("v")) == (0, 1, 1)


def test_what_several_read_from_a_stream_is_one_message() -> None:
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=QueueOptions(durable=True, type="stream"))
    log.record("published", "p", "hello", "m", "T")
    for worker in ("v", "w"):
        consume(log, "delivered started acked finished", worker)
    consume(log, "delivered", "v", tag=2)
    assert [(message.place, message.deliveries) for message in ledger_of(log)] == [("in hand", 3)]


def test_what_the_notebook_fetches_itself_needs_no_callback() -> None:
    log = published()
    log.record("delivered", "notebook", "hello", "m", "T", 1, detail=FetchOptions(auto_ack=True))
    log.record("published", "p", "hello", "m2", "T2")
    log.record("delivered", "notebook", "hello", "m2", "T2", 2)
    ledger = ledger_of(log)
    assert places_of(log) == {"T": "done", "T2": "in hand"}
    assert ledger.queues()["hello"] == LogCounts(0, 1)
    log.record("acked", "notebook", "hello", "m2", "T2", 2)
    ledger.catch_up(log)
    assert ledger.workers()["notebook"] == WorkerCounts(delivered=2, in_hand=0, unfinished=0, done=2)


def test_messages_that_share_an_id_are_counted_apart() -> None:
    log = published()
    log.record("published", "p", "hello", "m", "T")
    assert ledger_of(log).pending("hello") == 2
    consume(log, "delivered acked")
    consume(log, "delivered", tag=2)
    ledger = ledger_of(log)
    assert (ledger.pending("hello"), ledger.in_hand("w"), ledger.places()["done"]) == (0, 1, 1)


def test_purging_discards_what_waits_and_leaves_what_is_in_hand() -> None:
    log = published()
    consume(log, "delivered")
    log.record("published", "p", "hello", "m2", "T2")
    log.record("published", "p", "other", "m3", "T3")
    log.record("purged", "lesson", "hello", detail=1)
    assert places_of(log) == {"T": "in hand", "T2": "discarded", "T3": "waiting"}
    assert ledger_of(log).published_to("hello") == 2
    log.record("purged", "lesson", "hello", detail=3)
    assert ledger_of(log).published_to("hello") == 5, "others had sent three more"


def test_a_broker_that_stops_takes_transient_queues_with_it() -> None:
    log = EventLog()
    log.record("declared", "lesson", "hello", detail=QueueOptions())
    log.record("declared", "lesson", "task_queue", detail=QueueOptions(durable=True))
    for queue in ("hello", "task_queue"):
        log.record("published", "p", queue, queue, queue)
        log.record("published", "p", queue, f"{queue}2", f"{queue}2")
        log.record("delivered", "w", queue, f"{queue}2", f"{queue}2", len(queue))
    log.record("broker", "lesson", detail=BrokerChange.RESTARTING)
    for queue in ("hello", "task_queue"):
        log.record("requeued", "w", queue, f"{queue}2", f"{queue}2", len(queue))
    assert places_of(log) == {
        "hello": "lost",
        "hello2": "lost",
        "task_queue": "waiting",
        "task_queue2": "waiting",
    }
    log.record("declared", "lesson", "hello", detail=QueueOptions())
    log.record("published", "p", "hello", "new", "new")
    assert places_of(log)["new"] == "waiting"


def test_a_goodbye_looks_at_what_its_client_sent_alone() -> None:
    ledger = Ledger()

    def seconds(kind: str, clients: Iterable[str]) -> float:
        began = time.process_time()
        ledger.update((0.0, kind, client, "hello", str(at), "T", None, False, "") for at, client in enumerate(clients))
        return time.process_time() - began

    publishing = seconds("published", ["p"] * 20_000)
    assert seconds("stopped", [f"worker-{number}" for number in range(200)]) < publishing


def test_the_head_of_many_messages_put_back_is_sorted_once() -> None:
    ledger = Ledger()
    for kind in ("published", "delivered", "requeued"):
        names = [(str(number), f"task {number}") for number in range(50_000)]
        ledger.update((0.0, kind, "w", "hello", name, task, int(name), False, "") for name, task in names[::-1])

    def look() -> tuple[float, list[str]]:
        began = time.perf_counter()
        head = [message.task for message in ledger.waiting("hello", 3)]
        return time.perf_counter() - began, head

    first, head = look()
    assert head == ["task 49999", "task 49998", "task 49997"]  # published first
    ledger.update([(0.0, "delivered", "w", "hello", "49998", "task 49998", 50_000, True, "")])
    again = [look() for _ in range(20)]
    assert {tuple(head) for _, head in again} == {("task 49999", "task 49997", "task 49996")}
    assert min(seconds for seconds, _ in again) < first / 10
    ledger.update([(0.0, "requeued", "w", "hello", "49998", "task 49998", 50_000, True, "")])
    assert look()[1] == head


def test_a_queue_in_which_nothing_expires_is_not_searched_for_what_has() -> None:
    def look_seconds(count: int, options: PublishOptions) -> float:
        ledger = Ledger()
        quorum = QueueOptions(durable=True, type="quorum")
        ledger.update([(0.0, "declared", "w", "hello", None, "", None, False, quorum)])
        names = map(str, range(count))
        ledger.update((0.0, "published", "p", "hello", name, name, None, False, options) for name in names)
        began = time.thread_time()
        assert not ledger.mixed_up("hello", count, 1.0)
        return time.thread_time() - began

    assert look_seconds(20_000, PublishOptions()) < look_seconds(20_000, PublishOptions(ttl_seconds=60.0)) / 10


def assert_counts_agree(ledger: Ledger) -> None:
    at = Counter((message.place, message.queue) for message in ledger)
    held = Counter(message.worker for message in ledger if message.place == "in hand")
    for queue, counts in ledger.queues().items():
        assert counts.ready == ledger.pending(queue) == at["waiting", queue]
        assert 0 <= counts.unacknowledged <= at["in hand", queue]
    for worker, counts in ledger.workers().items():
        assert counts.in_hand == ledger.in_hand(worker) == held[worker]
        assert 0 <= counts.unfinished <= counts.delivered
    assert sum(ledger.places().values()) == len(ledger) == sum(at.values())
    assert set(ledger.places()) == set(PLACES)


rows = st.lists(
    st.tuples(
        st.just(0.0),
        st.sampled_from(sorted(KINDS)),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["hello", "task_queue"]),
        st.sampled_from([None, "1", "2", "3"]),
        st.sampled_from(["x", "y"]),
        st.sampled_from([None, 1, 2]),
        st.booleans(),
        st.sampled_from(
            [
                "",
                Handback.REQUEUE,
                Handback.DISCARD,
                ConsumeOptions(auto_ack=True),
                ConsumeOptions(prefetch_count=1),
                BrokerChange.DOWN,
                BrokerChange.UP,
                PublishOptions(),
                QueueOptions(),
            ]
        ),
    ),
    max_size=60,
)


@settings(max_examples=examples(300))
@given(rows, st.data())
def test_counts_agree_whatever_a_log_says_and_in_whatever_pieces_it_comes(
    rows: list[tuple[float, str, str, str, str | None, str, int | None, bool, Detail]], data: st.DataObject
) -> None:
    whole, pieces = Ledger(), Ledger()
    whole.update(rows)
    messages, position = 0, 0
    while position < len(rows):
        step = data.draw(st.integers(1, 10))
        pieces.update(rows[position : position + step])
        position += step
        assert_counts_agree(pieces)
        assert len(pieces) >= messages, "no message disappears"
        messages = len(pieces)
    assert pieces.queues() == whole.queues()
    assert pieces.workers() == whole.workers()
    assert list(map(repr, pieces)) == list(map(repr, whole))


def restarted(persistent: bool = False, queue: QueueOptions = DURABLE) -> EventLog:
    """A log in which the broker was restarted with a message that waits, and one at a worker."""
    log = EventLog()
    log.record("declared", "notebook", "hello", detail=queue)
    log.record("connected", "w", "hello", detail=ConsumeOptions(prefetch_count=1))
    for name in ("held", "waits"):
        log.record("published", "p", "hello", name, name, detail=PublishOptions(persistent))
    consume(log, "delivered started", mark="held")
    log.record("broker", "lesson", detail=BrokerChange.RESTARTING)
    log.record("disconnected", "w", "hello")
    return log


def test_a_transient_message_does_not_outlive_a_restart_in_a_durable_classic_queue() -> None:
    for noticed in (True, False):
        log = restarted()
        if noticed:
            consume(log, "requeued", mark="held")
        log.record("broker", "lesson", detail=BrokerChange.UP)
        consume(log, "requeued", mark="held")
        ledger = ledger_of(log)
        assert ledger.places()["lost"] == 2
        assert ledger.queues()["hello"] == LogCounts(0, 0)


def test_what_is_kept_outlives_a_restart() -> None:
    for persistent, queue in ((True, DURABLE), (False, QueueOptions(durable=True, type="quorum"))):
        log = restarted(persistent, queue)
        consume(log, "requeued", mark="held")
        log.record("broker", "lesson", detail=BrokerChange.UP)
        assert ledger_of(log).queues()["hello"] == LogCounts(2, 0)


def test_what_is_published_to_the_restarted_broker_is_not_lost() -> None:
    log = restarted()
    log.record("connected", "w", "hello", detail=ConsumeOptions(prefetch_count=1))
    log.record("published", "p", "hello", "new", "new", detail=PublishOptions())
    log.record("disconnected", "v", "hello")  # somebody who notices late
    log.record("broker", "lesson", detail=BrokerChange.UP)
    assert [message.task for message in ledger_of(log) if message.place == "waiting"] == ["new"]


def test_who_is_cut_off_again_was_back_at_the_broker_that_went() -> None:
    """Its connection had been cut a moment before, for another reason."""
    log = restarted()
    log.record("connected", "w", "hello", detail=ConsumeOptions(prefetch_count=1))
    log.record("published", "p", "hello", "late", "late", detail=PublishOptions())
    log.record("confirmed", "p", "hello", "late", "late")
    for client in ("v", "w"):
        log.record("disconnected", client, "hello")
    log.record("broker", "lesson", detail=BrokerChange.UP)
    assert places_of(log) == {"held": "lost", "waits": "lost", "late": "unknown"}
    log.record("counted", "broker", "hello", detail=Counted(0, 0))
    assert places_of(log) == dict.fromkeys(["held", "waits", "late"], "lost")


def test_what_was_sent_between_a_clients_return_and_the_brokers_is_unknown_until_counts_tell() -> None:
    """Of several the last are there, if any: they arrive in their order."""
    for there, places in ((0, ["lost", "lost"]), (1, ["lost", "waiting"]), (2, ["waiting", "waiting"])):
        log = restarted()
        send(log, "new", "newer", options=PublishOptions())  # by somebody who was not cut off
        log.record("disconnected", "v", "hello")
        log.record("broker", "lesson", detail=BrokerChange.UP)
        assert [places_of(log)[task] for task in ("waits", "new", "newer")] == ["lost", "unknown", "unknown"]
        log.record("counted", "broker", "hello", detail=Counted(there, 0))
        assert [places_of(log)[task] for task in ("new", "newer")] == places


def test_what_a_restart_did_not_take_after_all_is_the_same_message_once_it_is_delivered() -> None:
    """Its sender was cut off twice: when the broker went, and from the next one, of which nothing tells."""
    log = restarted()
    log.record("connected", "w", "hello", detail=ConsumeOptions(prefetch_count=1))
    log.record("published", "p", "hello", "new", "new", detail=PublishOptions())
    log.record("disconnected", "w", "hello")
    log.record("broker", "lesson", detail=BrokerChange.UP)
    log.record("counted", "broker", "hello", detail=Counted(1, 0))
    log.record("delivered", "w", "hello", "new", "new", 9)
    ledger = ledger_of(log)
    assert [message.place for message in ledger] == ["lost", "lost", "in hand"]
    assert ledger.unseen("hello") == 0


def test_a_transient_queue_that_was_still_used_while_the_broker_went_is_gone_afterwards() -> None:
    log = restarted(queue=QueueOptions())
    consume(log, "delivered", mark="waits", tag=2)  # in the moment between the request and the deed
    log.record("published", "p", "hello", "late", "late", detail=PublishOptions())
    consume(log, "requeued", mark="held")
    log.record("broker", "lesson", detail=BrokerChange.UP)
    ledger = ledger_of(log)
    assert len(ledger) == 3
    assert ledger.places()["lost"] == 3
    assert ledger.absent("hello")
    assert ledger.queues()["hello"] == LogCounts(0, 0)


def test_a_transient_queue_that_was_declared_again_is_there() -> None:
    log = restarted(queue=QueueOptions())
    log.record("declared", "notebook", "hello", detail=QueueOptions())
    log.record("published", "p", "hello", "new", "new", detail=PublishOptions())
    log.record("broker", "lesson", detail=BrokerChange.UP)
    assert [message.task for message in ledger_of(log) if message.place == "waiting"] == ["new"]


class BrokerAndWorkers(RuleBasedStateMachine):
    """A tiny broker that keeps its own account; the ledger must come to the same."""

    @initialize(auto_ack=st.booleans())
    def begin(self, auto_ack: bool) -> None:
        self.auto_ack = {"a": auto_ack, "b": False}
        self.log, self.ledger = EventLog(), Ledger()
        self.waiting: list[str] = []
        self.held: dict[str, dict[int, str]] = {"a": {}, "b": {}}
        self.ended: dict[str, str] = {}
        self.tags = 0
        self.count = 0
        for worker, auto in self.auto_ack.items():
            detail = ConsumeOptions(auto_ack=True) if auto else ConsumeOptions()
            self.log.record("connected", worker, "hello", detail=detail)

    def say(self, kind: str, worker: str, tag: int, message: str, detail: Detail = "") -> None:
        self.log.record(kind, worker, "hello", message, f"Task {message}", tag, detail=detail)

    @rule()
    def publish(self) -> None:
        self.count += 1
        self.waiting.append(str(self.count))
        self.log.record("published", "p", "hello", str(self.count), f"Task {self.count}")

    @precondition(lambda self: self.waiting)
    @rule(worker=st.sampled_from(["a", "b"]))
    def deliver(self, worker: str) -> None:
        self.tags += 1
        message = self.waiting.pop(0)
        self.held[worker][self.tags] = message
        self.say("delivered", worker, self.tags, message)

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([name for name, held in self.held.items() if held]))
        tag = data.draw(st.sampled_from(sorted(self.held[worker])))
        message = self.held[worker].pop(tag)
        self.say("started", worker, tag, message)
        if self.auto_ack[worker]:
            end = data.draw(st.sampled_from(["finished", "failed"]))
            self.ended[message] = "done" if end == "finished" else "lost"
            self.say(end, worker, tag, message)
            return
        end = data.draw(st.sampled_from(["acked", "nacked", "rejected"]))
        detail = data.draw(st.sampled_from(Handback)) if end != "acked" else ""
        if detail is Handback.REQUEUE:
            self.waiting.append(message)
        else:
            self.ended[message] = "discarded" if detail else "done"
        kinds = data.draw(st.permutations([end, "finished"]))
        for kind in kinds:
            self.say(kind, worker, tag, message, detail if kind == end else "")

    @rule(worker=st.sampled_from(["a", "b"]))
    def kill(self, worker: str) -> None:
        self.log.record("killed", worker)
        for tag, message in self.held[worker].items():
            self.say("lost" if self.auto_ack[worker] else "requeued", worker, tag, message)
            if self.auto_ack[worker]:
                self.ended[message] = "lost"
            else:
                self.waiting.append(message)
        self.held[worker].clear()

    @invariant()
    def the_ledger_agrees(self) -> None:
        self.ledger.catch_up(self.log)
        assert_counts_agree(self.ledger)
        expected = dict.fromkeys(self.waiting, "waiting") | self.ended
        expected |= {message: "in hand" for held in self.held.values() for message in held.values()}
        assert {message.mark: message.place for message in self.ledger} == expected
        manual = sum(len(held) for worker, held in self.held.items() if not self.auto_ack[worker])
        assert self.ledger.queues().get("hello", LogCounts(0, 0)) == LogCounts(len(self.waiting), manual)
        for worker, held in self.held.items():
            assert self.ledger.in_hand(worker) == self.ledger.unfinished(worker) == len(held)


BrokerAndWorkers.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
TestBrokerAndWorkers = BrokerAndWorkers.TestCase
