from __future__ import annotations

from tests.chaos.unseen import ASKED, CONSUMERS, OBSERVER, Unseen
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import Event, EventLog


class Story:
    """A log told by hand, of one auto-ack queue."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.tags: dict[str, int] = {}

    def begin(self, *workers: str) -> Story:
        for worker in workers:
            self.tags[worker] = 0
            self.log.record("connected", worker, "q", detail=ConsumeOptions(auto_ack=True))
        return self

    def publish(self, *messages: str, publisher: str = "p") -> Story:
        for message in messages:
            self.log.record("published", publisher, "q", message)
        return self

    def deliver(self, worker: str, *messages: str) -> Story:
        for message in messages:
            self.tags[worker] += 1
            self.log.record("delivered", worker, "q", message, delivery_tag=self.tags[worker])
        return self

    def tell(self, kind: str, actor: str) -> Story:
        self.log.record(kind, actor, "q")
        return self

    def count(self, consumers: int) -> Story:
        self.tell(ASKED, OBSERVER).log.record(CONSUMERS, OBSERVER, "q", detail=consumers)
        return self

    def unseen(self) -> list[str | None]:
        return sorted(Unseen([Event._make(row) for row in self.log.rows()]).messages(), key=str)


def dead() -> Story:
    """w dies; by then it had got b, and v lives on."""
    return Story().begin("v", "w").publish("a", "b", "c").deliver("w", "a", "b").tell("killed", "w")


def test_the_dead_may_have_missed_only_what_came_after_the_last_message_they_got() -> None:
    assert dead().publish("d").unseen() == ["c", "d"]


def test_another_publisher_has_another_order_and_so_has_its_next_connection() -> None:
    story = Story().begin("w").publish("x", publisher="o").publish("a").deliver("w", "a").tell("killed", "w")
    assert story.unseen() == ["x"]
    story = Story().begin("w").publish("a").tell("connected", "p").publish("b").deliver("w", "b").tell("killed", "w")
    assert story.unseen() == ["a"]


def test_nothing_is_sent_to_the_dead_once_the_broker_counts_the_living_alone() -> None:
    assert dead().count(1).publish("d").deliver("v", "d").unseen() == ["c"]


def test_a_broker_that_counts_the_dead_too_has_not_noticed() -> None:
    assert dead().count(2).publish("d").count(1).publish("e").deliver("v", "e").unseen() == ["c", "d"]


def test_a_count_proves_nothing_if_one_of_the_living_may_have_been_gone_for_the_broker() -> None:
    assert dead().count(1).publish("d").tell("disconnected", "v").unseen() == ["a", "b", "c", "d"]
    assert dead().count(1).publish("d").tell("stopped", "v").unseen() == ["c"]


def test_a_count_proves_nothing_if_somebody_came_or_went_meanwhile() -> None:
    story = dead().tell(ASKED, OBSERVER).begin("u")
    story.log.record(CONSUMERS, OBSERVER, "q", detail=2)
    story.publish("d", "e").deliver("u", "d").deliver("v", "e")
    assert story.unseen() == ["c", "d", "e"]


def test_who_ends_politely_misses_nothing() -> None:
    assert Story().begin("w").publish("a").tell("stopped", "w").unseen() == []
    assert Story().begin("w").publish("a").tell("disconnected", "w").tell("stopped", "w").unseen() == ["a"]


def test_what_was_published_twice_or_is_redelivered_says_nothing_of_the_order() -> None:
    assert Story().begin("w").publish("a", "b", "b").deliver("w", "b").tell("killed", "w").unseen() == ["a", "b"]
    story = Story().begin("w").publish("a", "b")
    story.log.record("delivered", "w", "q", "b", delivery_tag=1, redelivered=True)
    assert story.tell("killed", "w").unseen() == ["a", "b"]


def test_deliveries_of_a_connection_are_counted_from_one() -> None:
    story = Story().begin("w").publish("a", "b").deliver("w", "a").begin("w").deliver("w", "b")
    assert not list(Unseen([Event._make(row) for row in story.log.rows()]).gaps())
    story.tags["w"] = 4
    story.deliver("w", "b")
    [gap] = Unseen([Event._make(row) for row in story.log.rows()]).gaps()
    assert gap == "w logged no delivery 2 of its connection, and then 5"
