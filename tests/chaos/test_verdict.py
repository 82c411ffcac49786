from __future__ import annotations

from typing import Any

from tests.chaos.plan import Plan, QueuePlan
from tests.chaos.verdict import Counts, Seen, judge
from workq_helpers.log.details import ConsumeOptions, PublishOptions, QueueOptions
from workq_helpers.log.events import EventLog

SAFE = QueuePlan("q1", "classic", durable=True, auto_ack=False, persistent=True, confirm=True, heirs=True)


def plan_of(queue: QueuePlan = SAFE) -> Plan:
    return Plan(0, (queue,), (), (), ())


class Story:
    """A log told by hand, of the queue q1."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.quiet = 0
        self.tag = 0
        self.record("declared", "notebook", detail=QueueOptions(durable=True))
        self.record("connected", "w", detail=ConsumeOptions())

    def record(self, kinds: str, actor: str, mark: str | None = None, **more: Any) -> Story:
        if "delivered" in kinds and actor == "w":
            self.tag = more["delivery_tag"]
        for kind in kinds.split(", "):
            self.log.record(kind, actor, "q1", mark, "T" if mark else "", **more)
        return self

    def publish(self, mark: str) -> Story:
        return self.record("published", "p", mark, detail=PublishOptions(persistent=True)).record(
            "confirmed", "p", mark
        )

    def work(self, mark: str, **more: Any) -> Story:
        tag = self.tag + 1
        return self.record("delivered, started, acked, finished", "w", mark, delivery_tag=tag, **more)

    def rest(self) -> Story:
        self.quiet = len(self.log)
        return self

    def fetch(self, mark: str, **more: Any) -> Story:
        return self.record("delivered, acked", "notebook", mark, delivery_tag=1, **more)

    def seen(self, ready: int = 0, unacknowledged: int = 0, **more: Any) -> Seen:
        counts = {"q1": Counts(ready, unacknowledged)}
        return Seen(self.log.rows(), self.quiet or len(self.log), counts, publishers={"p": "finished"}, **more)


def test_a_run_in_which_all_was_done_is_well() -> None:
    story = Story().publish("a").publish("b").work("a").rest().fetch("b")
    assert judge(plan_of(), story.seen(ready=1)) == []


def test_a_redelivery_with_its_flag_is_well() -> None:
    story = Story().publish("a").record("delivered, requeued", "w", "a", delivery_tag=1).work("a", redelivered=True)
    assert judge(plan_of(), story.seen()) == []


def test_a_lost_confirmed_message_is_found() -> None:
    [_, lost] = judge(plan_of(), Story().publish("a").seen())
    assert lost == "q1: message a is not in the queue, and by the log is waiting"
    assert "q1: message a was confirmed, and is lost" in judge(plan_of(), Story().publish("a").seen())


def test_a_message_whose_dropped_ack_was_its_last_word_is_lost() -> None:
    story = Story().publish("a").work("a").record("ack dropped, requeued", "w", "a", delivery_tag=1)
    assert "q1: message a was confirmed, and is lost" in judge(plan_of(), story.seen())


def test_a_report_that_comes_after_the_redelivery_takes_nothing_back() -> None:
    story = Story().publish("a").record("delivered", "v", "a", delivery_tag=7).work("a", redelivered=True)
    assert judge(plan_of(), story.record("requeued", "v", "a", delivery_tag=7).seen()) == []


def test_a_delivery_that_is_told_after_the_redelivery_takes_nothing_back() -> None:
    story = Story().publish("a").record("delivered", "w", "a", delivery_tag=1, redelivered=True)
    story.record("delivered, requeued", "v", "a", delivery_tag=7).record(
        "started, acked, finished", "w", "a", delivery_tag=1
    )
    assert judge(plan_of(), story.seen()) == []


def test_an_invented_message_is_found() -> None:
    wrong = judge(plan_of(), Story().publish("a").work("a").work("b").seen())
    assert wrong == ["q1: message b was delivered and never published"]


def test_a_redelivery_without_its_flag_is_found() -> None:
    story = Story().publish("a").record("delivered, requeued", "w", "a", delivery_tag=1).work("a")
    [wrong] = judge(plan_of(), story.seen())
    assert wrong == "q1: message a was published 1 times and delivered 2 times without the flag of a redelivery"


def test_a_message_that_finished_without_its_confirm_is_found() -> None:
    story = Story().record("published", "p", "a", detail=PublishOptions(persistent=True)).work("a")
    assert judge(plan_of(), story.seen()) == ["q1: message a was never confirmed, and p finished"]


def test_counts_that_differ_are_found() -> None:
    story = Story().publish("a").rest().fetch("a")
    assert judge(plan_of(), story.seen(ready=2)) == [
        "q1: the broker counted Counts(ready=2, unacknowledged=0), and 1 messages were fetched"
    ]
    assert judge(plan_of(), story.seen(unacknowledged=1)) == [
        "q1: unacknowledged: 1 by the broker, 0 by the log",
    ]


def test_an_ack_may_be_lost_with_its_connection_and_only_then() -> None:
    story = Story().publish("a").work("a")
    politely = Story().publish("a").work("a").record("stopped", "w")
    killed = story.record("killed", "w").rest().fetch("a", redelivered=True)
    assert judge(plan_of(), killed.seen(ready=1)) == []
    politely.rest().fetch("a", redelivered=True)
    assert judge(plan_of(), politely.seen(ready=1)) == ["q1: message a is in the queue, and by the log is done"]


def test_losses_of_auto_ack_are_those_that_the_log_names_as_long_as_no_connection_breaks() -> None:
    queue = QueuePlan("q1", "classic", durable=True, auto_ack=True, persistent=False, confirm=False, heirs=True)

    def story() -> Story:
        told = Story()
        told.record("connected", "w", detail=ConsumeOptions(auto_ack=True))
        return told.record("published", "p", "a", detail=PublishOptions()).record(
            "published", "p", "b", detail=PublishOptions()
        )

    named = story().record("delivered, lost", "w", "a", delivery_tag=1).record("stopped", "w").rest().fetch("b")
    assert judge(plan_of(queue), named.seen(ready=1)) == []
    unnamed = story().record("stopped", "w").rest().fetch("b")
    states = {"w": "stopped"}
    assert judge(plan_of(queue), unnamed.seen(ready=1, workers=states)) == [
        "q1: message a is not in the queue, and by the log is waiting"
    ]
    broken = story().record("killed", "w").rest().fetch("b")
    assert judge(plan_of(queue), broken.seen(ready=1, workers={"w": "killed"})) == []


def test_what_a_worker_still_does_while_another_stops_came_out_of_the_queue() -> None:
    story = Story().publish("a").record("delivered", "w", "a", delivery_tag=1).rest()
    story.record("connected", "v", detail=ConsumeOptions()).record("requeued", "w", "a", delivery_tag=1)
    story.record("delivered, started, acked, finished", "v", "a", delivery_tag=1, redelivered=True)
    assert judge(plan_of(), story.seen(unacknowledged=1)) == []


def test_a_delivery_that_the_log_left_out_is_found() -> None:
    story = Story().publish("a").record("delivered, started, acked, finished", "w", "a", delivery_tag=2)
    assert judge(plan_of(), story.seen()) == ["q1: w logged no delivery 1 of its connection, and then 2"]


def test_the_work_of_the_dead_is_found() -> None:
    story = Story().publish("a").record("killed", "w").work("a")
    assert [text for text in judge(plan_of(), story.seen()) if "was killed" in text] == [
        f"w was killed, and then the log says {kind} 'T'" for kind in ("delivered", "started", "acked", "finished")
    ]


def test_what_was_on_its_way_to_the_dead_is_lost_and_no_work() -> None:
    queue = QueuePlan("q1", "classic", durable=True, auto_ack=True, persistent=False, confirm=False, heirs=True)
    story = (
        Story()
        .record("connected", "w", detail=ConsumeOptions(auto_ack=True))
        .record("published", "p", "a", detail=PublishOptions())
    )
    story.record("killed", "w").record("delivered, lost", "w", "a", delivery_tag=1)
    assert judge(plan_of(queue), story.seen(workers={"w": "killed"})) == []


def test_a_publisher_that_gave_up_is_found() -> None:
    story = Story().record("connected", "p").publish("a").work("a")
    seen = story.seen()
    seen.publishers["p"] = "crashed"
    assert judge(plan_of(), seen) == ["p ended as crashed, not finished"]


def test_what_stays_and_what_went_wrong_on_the_way_is_told() -> None:
    seen = Story().seen(leaks=["left behind: threads x"], troubles=["kill w: no"], left={"q1": Counts(1, 0)})
    assert judge(plan_of(), seen) == [
        "kill w: no", "left behind: threads x", "q1: could not be drained: Counts(ready=1, unacknowledged=0)"
    ]  # fmt: skip
