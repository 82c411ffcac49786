from __future__ import annotations

from tests.chaos.kernel import _INSIDE, Journal, _tell_of_the_death
from tests.chaos.plan import Moment
from workq_helpers.log.details import BrokerChange, ConsumeOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.ledger import Ledger


def test_a_death_is_told_for_those_who_could_not() -> None:
    log = EventLog()
    log.record("connected", "manual", "q1", detail=ConsumeOptions(prefetch_count=2))
    log.record("connected", "auto", "q2", detail=ConsumeOptions(auto_ack=True))
    log.record("connected", "p", "q1")
    log.record("delivered", "manual", "q1", "a", "A", 1)
    log.record("delivered", "auto", "q2", "b", "B", 1)
    log.record("delivered", "manual", "q1", "c", "C", 2)
    log.record("acked", "manual", "q1", "c", "C", 2)
    log.record("delivered", _INSIDE, "q3", "d", "D", 1)
    log.record("acked", _INSIDE, "q3", "d", "D", 1)
    ledger = Ledger()
    ledger.catch_up(log)
    told = len(log)
    _tell_of_the_death(log, ledger)
    assert [event[1:5] for event in log[told:]] == [
        ("killed", "manual", "q1", None),
        ("killed", "auto", "q2", None),
        ("killed", "p", "q1", None),
        ("killed", _INSIDE, "q3", None),
        ("requeued", "manual", "q1", "a"),
        ("lost", "auto", "q2", "b"),
    ]


def test_a_restart_whose_end_the_dead_did_not_hear_is_completed_or_never_was() -> None:
    for done, expected in ((2, ["restarting", "up", "restarting", "up"]), (1, ["restarting", "up"])):
        journal = Journal()
        for change in ("restarting", "up", "restarting"):
            journal.log.record("broker", "lesson", detail=BrokerChange(change))
        journal.tell_how_the_last_restart_ended(done)
        assert [event.detail for event in journal.log] == expected


def test_its_moment_comes_with_the_events_or_with_the_end() -> None:
    journal = Journal()
    assert not journal.reached(Moment("acked", 1))
    journal.log.record("acked", "w")
    assert journal.reached(Moment("acked", 1))
    assert not journal.reached(Moment("acked", 2))
    journal.over = True
    assert journal.reached(Moment("acked", 2))
