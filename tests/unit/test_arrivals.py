"""What the broker's statistics tell beyond the log: others publish, and what waits may be gone."""

from __future__ import annotations

from workq_helpers.log.arrivals import Arrivals
from workq_helpers.log.events import EventLog
from workq_helpers.log.ledger import Ledger


class Scenario:
    """A log, and statistics that are set by hand."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.ledger = Ledger()
        self.published: dict[str, int] = {}
        self.asked = 0
        self.arrivals = Arrivals(self._ask)

    def _ask(self) -> dict[str, int]:
        self.asked += 1
        return dict(self.published)

    def send(self, *tasks: str, told: int) -> None:
        for task in tasks:
            self.log.record("published", "p", "hello", task, task)
        self.published["hello"] = told

    def beyond(self) -> int:
        self.ledger.catch_up(self.log)
        return self.arrivals.beyond(self.ledger, ["hello"]).get("hello", 0)


def test_statistics_that_come_late_or_not_at_all_tell_nothing() -> None:
    scene = Scenario()
    for told in (0, 1, 2):
        scene.send("a", told=told)
        assert scene.beyond() == 0


def test_what_came_and_went_while_nothing_waited_concerns_nothing_that_came_later() -> None:
    scene = Scenario()
    scene.send(told=5)
    assert scene.beyond() == 0
    scene.send("a", told=6)
    assert scene.beyond() == 0
    scene.send("b", told=8)
    assert scene.beyond() == 1


def test_who_looks_anew_is_told_what_has_come_since_though_the_log_is_the_same() -> None:
    scene = Scenario()
    scene.send("a", told=1)
    assert scene.beyond() == 0
    scene.send(told=2)
    assert scene.beyond() == 0
    scene.arrivals.ask_anew()
    assert scene.beyond() == 1


def test_a_new_log_knows_nothing_of_what_was_published_before() -> None:
    scene = Scenario()
    scene.send("a", "b", told=2)
    assert scene.beyond() == 0
    scene.arrivals.begin_again(scene.ledger)
    scene.log.clear()
    scene.ledger = Ledger()
    scene.send("c", told=3)
    assert scene.beyond() == 0
    scene.send("d", told=5)
    assert scene.beyond() == 1


def test_while_the_log_rests_the_broker_is_asked_seldom() -> None:
    scene = Scenario()
    scene.send("a", told=1)
    for _ in range(13):
        scene.beyond()
    assert scene.asked == 3
    scene.published["hello"] = 2
    assert 1 in [scene.beyond() for _ in range(7)]
