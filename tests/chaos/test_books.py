from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.books import Books, audit, most_unknown, name_of, told_by
from workq_helpers.log.events import EventLog
from workq_helpers.log.ledger import Ledger

ONE = ("q1", "p 1")


def books(
    places: dict[str, int], *, sent: int = 1, begun: int = 0, acked: int = 0, found: int = 0, in_flight: int = 0
) -> Books:
    counts = {"sent": sent, "begun": begun, "acked": acked, "found": found, "in_flight": in_flight}
    return Books(**{name: Counter({ONE: count}) for name, count in counts.items()}, told={ONE: Counter(places)})


@pytest.mark.parametrize(
    "well",
    [
        books({"waiting": 1}, found=1),
        books({"done": 1}, begun=1, acked=1),
        books({"unknown": 1}, found=1, in_flight=1),
        books({"unknown": 1}, in_flight=1),
        books({"unknown": 1, "waiting": 1}, found=2, in_flight=1),
        books({"lost": 1}, begun=1),
    ],
)
def test_what_fits_is_fine(well: Books) -> None:
    assert not list(audit(well, {}))


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (books({"waiting": 1}), "found 0 times, and the log says 1 waiting"),
        (books({"waiting": 1}, acked=1, found=2), "found 2 times"),
        (books({"done": 1}, found=1, acked=1), "found 1 times, and the log says 1 done"),
        (books({"lost": 1}, found=1), "found 1 times, and the log says 1 lost"),
        (books({"done": 1}), "done 0 times"),
        (books({"done": 2}, acked=1), "done 1 times"),
        (books({"waiting": 1}, sent=0, found=1), "sent by nobody"),
        (books({}, found=1), "the log says nothing"),
        (books({"unknown": 1}, begun=1, acked=1), "was in flight 0 times when something broke"),
        (books({"unknown": 2}, found=1, in_flight=1), "was in flight 1 times"),
    ],
)
def test_each_false_word_of_the_log_is_found(forged: Books, why: str) -> None:
    assert any(why in line for line in audit(forged, {}))


def test_with_auto_ack_done_is_what_a_callback_began_with() -> None:
    assert not list(audit(books({"done": 1}, begun=1), {"q1": True}))
    assert list(audit(books({"done": 1}, begun=1), {"q1": False}))


def test_what_was_sent_under_auto_ack_and_seen_by_nobody_may_be_unknown() -> None:
    assert not list(audit(books({"unknown": 1}), {"q1": True}))
    assert list(audit(books({"unknown": 1}, begun=1), {"q1": True}))
    assert most_unknown(books({"unknown": 1}), {"q1": True}) == 1
    assert most_unknown(books({"unknown": 1}), {"q1": False}) == 0


def test_what_the_broker_holds_for_who_reads_no_more_may_be_unknown() -> None:
    held = books({"unknown": 1})
    held.held["q1"] = 1
    assert not list(audit(held, {}))
    held.acked[ONE] = 1
    assert list(audit(held, {}))


def test_what_could_be_what_is_gone_may_be_unknown() -> None:
    """One is gone: at the head of a queue under auto-ack, or at its tail, and of which client nobody saw."""
    tasks = [("q1", f"{client} {number}") for client in "pr" for number in range(1, 5)]
    kept = Books(Counter(tasks), found=Counter(tasks[1:]), told={task: Counter(waiting=1) for task in tasks[1:]})
    kept.told[tasks[0]] = Counter(unknown=1)
    could_be = {name for _, name in tasks} - {"p 3", "r 2", "r 3"}
    for task in tasks:
        in_doubt = Books(kept.sent, found=kept.found, told=kept.told | {task: Counter(unknown=1)})
        assert (not list(audit(in_doubt, {"q1": True}))) == (task[1] in could_be)


def test_a_task_is_known_by_its_name_however_long_it_is() -> None:
    log = EventLog()
    log.record("published", "p", "q1", "m", "publisher-1 12...".ljust(59) + "…")
    ledger = Ledger()
    ledger.catch_up(log)
    assert told_by(ledger) == {("q1", "publisher-1 12"): {"waiting": 1}}
    assert name_of("p 3") == "p 3"
