from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.chapters import CHECKS, check
from tests.properties import examples
from workq_helpers.errors import CheckFailedError, InvalidArgumentError
from workq_helpers.lessons.round_robin import CHAPTER
from workq_helpers.log.details import CloseReason, ConsumeOptions, Counted, Detail, Handback, Mistake, QueueOptions
from workq_helpers.log.events import KINDS, EventLog
from workq_helpers.rabbitmq.management import QueueCounts

pytestmark = pytest.mark.pinned  # of the course alone

ALL = ("delivered", "started", "acked", "finished")


MANUAL = ConsumeOptions()


class Story:
    """Writes a log as publishers and workers would."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.tags: dict[str, int] = {}

    def workers(self, *names: str, detail: ConsumeOptions = MANUAL) -> Story:
        for name in names:
            self.log.record("connected", name, "hello", detail=detail)
        return self

    def send(self, *numbers: int) -> Story:
        for number in numbers:
            self.log.record("published", "publisher-1", "hello", f"id-{number}", f"Task {number}.")
        return self

    def give(self, worker: str, *numbers: int, kinds: Sequence[str] = ALL) -> Story:
        for number in numbers:
            self.tags[worker] = self.tags.get(worker, 0) + 1
            for kind in kinds:
                self.log.record(kind, worker, "hello", f"id-{number}", f"Task {number}.", self.tags[worker])
        return self

    def end(self, worker: str, kind: str = "killed") -> Story:
        self.log.record(kind, worker, "hello")
        return self

    def auto(self, *names: str) -> Story:
        return self.workers(*names, detail=ConsumeOptions(auto_ack=True))

    def settle(self, worker: str, number: int, kind: str, detail: Detail = "", tag: int | None = None) -> Story:
        tag = self.tags.get(worker, 0) if tag is None else tag
        self.log.record(kind, worker, "hello", f"id-{number}", f"Task {number}.", tag, detail=detail)
        return self


def two() -> Story:
    return Story().workers("worker-1", "worker-2").send(1, 2, 3, 4, 5)


def test_a_round_robin_is_told_in_a_sentence() -> None:
    # A worker reports its deliveries when it gets to it, so their order in the log is not the dispatch's.
    result = check(two().give("worker-2", 2, 4).give("worker-1", 1, 3, 5).log, "round robin")
    assert result.name == "round robin"
    expected = "5 tasks went round worker-1 and worker-2 in turn, 3 and 2, and every one was done once."
    assert result.saw == expected
    assert repr(result) == f"✔ round robin: {expected}"


def test_a_round_robin_may_begin_with_any_worker() -> None:
    assert check(two().give("worker-1", 2, 4).give("worker-2", 1, 3, 5).log, "round robin")


def test_a_check_takes_a_lesson_too() -> None:
    log = two().give("worker-2", 2, 4).give("worker-1", 1, 3, 5).log
    assert check(SimpleNamespace(log=log), "round robin") == check(log, "round robin")


def test_one_message_is_told_in_a_sentence() -> None:
    log = EventLog()
    log.record("published", "notebook", "hello", "m", "Hello World!")
    log.record("delivered", "notebook", "hello", "m", "Hello World!", 1)
    log.record("acked", "notebook", "hello", "m", "Hello World!", 1)
    saw = "'Hello World!' went through the queue 'hello', was delivered once and is done."
    assert check(log, "one message").saw == saw


def late() -> Story:
    return Story().workers("worker-1").send(1, 2, 3).workers("worker-2")


def test_a_late_worker_gets_only_what_comes_later() -> None:
    # Whether worker-1 reports its deliveries before or after worker-2 comes, the broker's dispatch is the same.
    before = Story().workers("worker-1").send(1, 2, 3).give("worker-1", 1, 2, 3).workers("worker-2")
    for story in (before, late().give("worker-1", 1, 2, 3)):
        log = story.send(4, 5).give("worker-1", 4).give("worker-2", 5).log
        assert check(log, "backlog").saw == (
            "3 tasks had been sent before worker-2 came, and were dispatched to worker-1: it got none of them. "
            "Of the 2 sent later it did 1."
        )


def test_a_late_worker_helps_with_what_waits_in_the_queue() -> None:
    story = Story().workers("worker-1", detail=ConsumeOptions(prefetch_count=1)).send(1, 2, 3, 4).give("worker-1", 1)
    log = story.workers("worker-2", detail=ConsumeOptions(prefetch_count=1)).give("worker-2", 2, 4)
    assert check(log.give("worker-1", 3).log, "backlog").saw == (
        "4 tasks had been sent before worker-2 came; it did 2 that still waited in the queue, "
        "and none that had been dispatched to worker-1."
    )


HELD = ("delivered", "started")


def auto_killed() -> Story:
    story = Story().auto("worker-1", "worker-2").send(1, 2, 3).give("worker-1", 1, 3, kinds=["delivered"])
    return story.give("worker-2", 2).settle("worker-1", 1, "lost", tag=1).settle("worker-1", 3, "lost", tag=2)


def killed_at_work() -> Story:
    story = Story().workers("worker-1", "worker-2").send(1, 2).give("worker-1", 1, kinds=HELD).give("worker-2", 2)
    return story.settle("worker-1", 1, "requeued").end("worker-1")


def forgotten() -> Story:
    return Story().workers("worker-1").send(1, 2).give("worker-1", 1, 2, kinds=("delivered", "started", "finished"))


def went_home() -> Story:
    story = forgotten().settle("worker-1", 1, "requeued", tag=1).settle("worker-1", 2, "requeued", tag=2)
    return story.end("worker-1", "stopped").workers("worker-2")


SEEN = {
    "auto ack": (
        auto_killed().end("worker-1"),
        "worker-1 was killed, and 'Task 1.' and 'Task 3.' are gone: RabbitMQ had counted them as done on sending. "
        "The other 1 of 3 tasks is done.",
    ),
    "manual ack": (
        killed_at_work().give("worker-2", 1),
        "worker-1 was killed; what it had not acknowledged was delivered again, to worker-2, and marked as "
        "redelivered. All 2 tasks are done, and none is lost.",
    ),
    "forgotten ack": (
        went_home().give("worker-2", 1, 2),
        "worker-1 finished 2 tasks and acknowledged none. When it left, all 2 came back, and worker-2 did them once "
        "more.",
    ),
    "wrong ack": (
        two().give("worker-1", 1, 2, 3, 4, 5).settle("worker-1", 5, "acked", Mistake.UNKNOWN_DELIVERY_TAG, tag=9),
        "worker-1 acknowledged what the channel did not know as its own; RabbitMQ closed the channel each time. "
        "All 5 tasks are done after all.",
    ),
    "nack and reject": (
        Story()
        .workers("worker-1")
        .send(1, 2)
        .give("worker-1", 1, kinds=HELD)
        .settle("worker-1", 1, "nacked", Handback.REQUEUE)
        .give("worker-1", 2, kinds=HELD)
        .settle("worker-1", 2, "rejected", Handback.DISCARD)
        .give("worker-1", 1),
        "'Task 1.' went back to the queue and was done later; 'Task 2.' was turned away; 1 done.",
    ),
}


@pytest.mark.parametrize(("name", "story", "saw"), [(name, *told) for name, told in SEEN.items()], ids=list(SEEN))
def test_what_was_seen_is_told(name: str, story: Story, saw: str) -> None:
    assert check(story.log, name).saw == saw


@pytest.mark.parametrize(
    ("kind", "detail", "saw"),
    [
        (
            "channel closed",
            CloseReason(406, "PRECONDITION_FAILED - delivery acknowledgement timed out"),
            "RabbitMQ closed worker-1's channel",
        ),
        ("cancelled", "by the broker", "RabbitMQ canceled worker-1's consumer"),
    ],
)
def test_the_ack_timeout_is_seen_as_each_version_shows_it(kind: str, detail: Detail, saw: str) -> None:
    story = Story().workers("worker-1").send(1).give("worker-1", 1, kinds=HELD)
    story.log.record(kind, "worker-1", "hello", detail=detail)
    assert check(story.log, "ack timeout").saw.startswith(saw)


def test_the_brokers_counts_are_told_where_they_can_be_had() -> None:
    counts = QueueCounts(ready=0, unacknowledged=2, durable=True, type="classic")
    lesson = SimpleNamespace(log=forgotten().log, queue_counts=lambda: {"hello": counts})
    with pytest.raises(CheckFailedError, match=r"acknowledged none \(the broker counts 0 ready and 2 unacknowledged\)"):
        check(lesson, "forgotten ack")


def test_what_has_passed_is_remembered() -> None:
    check(two().give("worker-2", 2, 4).give("worker-1", 1, 3, 5).log, "round robin")
    assert "round robin" in CHAPTER.passed
    before = CHAPTER.passed
    with pytest.raises(CheckFailedError):
        check(EventLog(), "one message")
    assert CHAPTER.passed == before


WRONG = {
    "auto ack without a kill": ("auto ack", auto_killed(), "worker-1 was not killed"),
    "auto ack with manual workers": ("auto ack", killed_at_work(), "No worker has auto_ack=True"),
    "auto ack, killed too late": (
        "auto ack",
        Story().auto("worker-1").send(1).give("worker-1", 1).end("worker-1"),
        "nothing was lost: it had finished all it got",
    ),
    "auto ack, still going on": ("auto ack", auto_killed().send(4).end("worker-1"), "'Task 4.' is still waiting"),
    "manual ack with auto workers": ("manual ack", auto_killed().end("worker-1"), "No worker has auto_ack=False"),
    "manual ack, killed while idle": (
        "manual ack",
        Story().workers("worker-1").send(1).give("worker-1", 1).end("worker-1"),
        "with nothing unacknowledged, so nothing came back",
    ),
    "manual ack, nobody left": ("manual ack", killed_at_work(), "'Task 1.' is still waiting"),
    "manual ack, thrown away": (
        "manual ack",
        killed_at_work().give("worker-2", 1, kinds=HELD).settle("worker-2", 1, "rejected", Handback.DISCARD),
        "'Task 1.' is discarded. Does the callback acknowledge",
    ),
    "nothing forgotten": (
        "forgotten ack",
        two().give("worker-1", 1, 3, 5).give("worker-2", 2, 4),
        "Every worker acknowledged something",
    ),
    "forgotten, still there": ("forgotten ack", forgotten(), "finished 2 tasks and acknowledged none. Stop it"),
    "forgotten, nobody came": ("forgotten ack", went_home(), "'Task 1.' is waiting again. Start a worker"),
    "no wrong ack": ("wrong ack", two().give("worker-1", 1), "Every acknowledgment named a delivery"),
    "wrong ack, task left": (
        "wrong ack",
        Story().send(1).settle("notebook", 1, "acked", Mistake.UNKNOWN_DELIVERY_TAG, tag=9),
        "'Task 1.' is waiting: its channel died",
    ),
    "nothing handed back": ("nack and reject", two().give("worker-1", 1, 2, 3, 4, 5), "Nothing was handed back"),
    "nothing turned away": (
        "nack and reject",
        Story()
        .workers("worker-1")
        .send(1)
        .give("worker-1", 1, kinds=HELD)
        .settle("worker-1", 1, "nacked", Handback.REQUEUE)
        .give("worker-1", 1),
        "Nothing was turned away",
    ),
    "patient": ("ack timeout", two(), "RabbitMQ has not lost its patience"),
    "nothing sent": ("round robin", Story().workers("worker-1", "worker-2"), "No task was sent"),
    "no worker": ("round robin", Story().send(1, 2), "No worker consumes yet"),
    "one worker": (
        "round robin",
        Story().workers("worker-1").send(1, 2).give("worker-1", 1, 2),
        "had worker-1 alone. Did you start the second worker before sending",
    ),
    "second worker late": (
        "round robin",
        late().give("worker-1", 1, 2, 3),
        "worker-2 came after the first task was sent. Did you start the second worker before sending",
    ),
    "third worker late": (
        "round robin",
        two().workers("worker-3").give("worker-1", 1, 4).give("worker-2", 2, 5).give("worker-3", 3),
        "worker-3 got a task too, and was not there when the first one was sent",
    ),
    "too few tasks": (
        "round robin",
        Story().workers("worker-1", "worker-2").send(1).give("worker-1", 1),
        "1 task can't go round 2 workers",
    ),
    "out of turn": (
        "round robin",
        two().give("worker-1", 1, 2, 5).give("worker-2", 3, 4),
        "'Task 2.' went to worker-1, though it was worker-2's turn. Send all tasks from one publisher",
    ),
    "limited prefetch": (
        "round robin",
        Story()
        .workers("worker-1", "worker-2", detail=ConsumeOptions(prefetch_count=1))
        .send(1, 2, 3)
        .give("worker-1", 1)
        .give("worker-2", 2, 3),
        "worker-1 has prefetch_count=1",
    ),
    "not done": (
        "round robin",
        two().give("worker-1", 1, 3, 5).give("worker-2", 2, 4, kinds=("delivered", "started")),
        "2 tasks of 5 not done; 'Task 2.' is in hand. Wait with lesson.wait_until_idle",
    ),
    "not delivered": (
        "round robin",
        two().give("worker-1", 1, 3, 5).give("worker-2", 2),
        "1 task of 5 not done; 'Task 4.' is waiting",
    ),
    "delivered twice": (
        "round robin",
        two().give("worker-1", 1, 3, 5).give("worker-2", 2, 4, kinds=("delivered", "requeued")).give("worker-1", 2, 4),
        "was delivered 2 times. Was a worker killed",
    ),
    "killed meanwhile": (
        "round robin",
        Story().workers("worker-1", "worker-2").send(1, 2).end("worker-2").send(3).give("worker-1", 1, 2, 3),
        "worker-2 was killed before all tasks were sent",
    ),
    "only one for the backlog": (
        "backlog",
        Story().workers("worker-1").send(1).give("worker-1", 1),
        "Only worker-1 was started",
    ),
    "nobody for the backlog": ("backlog", Story().send(1), "No worker consumes yet"),
    "no backlog": ("backlog", two().give("worker-1", 1, 3, 5), "No task had been sent when worker-2"),
    "no work for the newcomer": (
        "backlog",
        Story().workers("worker-1").send(1, 2).give("worker-1", 1, 2).workers("worker-2"),
        "worker-2 got nothing",
    ),
    "the newcomer got a requeued one": (
        "backlog",
        Story()
        .workers("worker-1")
        .send(1)
        .give("worker-1", 1, kinds=("delivered", "requeued"))
        .workers("worker-2")
        .give("worker-2", 1),
        "worker-2 got 'Task 1.', which had been dispatched to worker-1 and came back",
    ),
    "no message": ("one message", Story(), "No message was published"),
    "a message that waits": ("one message", Story().send(1), "still waits in the queue 'hello'"),
    "a message without an ack": (
        "one message",
        Story().send(1).give("notebook", 1, kinds=["delivered"]),
        "delivered to notebook and is not acknowledged. Did you call basic_ack",
    ),
}


def test_a_worker_ends_by_a_wrong_acknowledgment_and_a_notebook_does_not() -> None:
    story = two().give("worker-1", 1, 2, 3, 4, 5)
    for actor in ("worker-1", "notebook"):
        story.settle(actor, 1, "acked", Mistake.UNKNOWN_DELIVERY_TAG)
        story.log.record("channel closed", actor, "hello", detail=CloseReason(406, "PRECONDITION_FAILED"))
    said = check(story.log, "wrong ack").saw
    assert said.startswith("notebook and worker-1 acknowledged what the channel did not know as its own")
    assert "each time. worker-1 ended by it." in said


@pytest.mark.parametrize(("name", "story", "message"), WRONG.values(), ids=WRONG)
def test_what_is_missing_is_diagnosed(name: str, story: Story, message: str) -> None:
    with pytest.raises(CheckFailedError) as caught:
        check(story.log, name)
    assert message in str(caught.value)


def test_an_unknown_check_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        CHAPTER.check(EventLog(), "robin")
    assert "'robin' in the lesson 'Round robin'" in str(caught.value)
    assert all(name in str(caught.value) for name in CHAPTER.checks)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(sorted(CHECKS)),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(KINDS)),
            st.sampled_from(["worker-1", "worker-2"]),
            st.just("hello"),
            st.sampled_from([None, "1", "2", "3"]),
            st.sampled_from(["x", "y"]),
            st.sampled_from([None, 1, 2]),
            st.booleans(),
            st.sampled_from(["", Handback.REQUEUE, ConsumeOptions(auto_ack=True), ConsumeOptions(prefetch_count=1)]),
        ),
        max_size=40,
    ),
)
def test_no_log_breaks_a_check(
    name: str, records: list[tuple[str, str, str, str | None, str, int | None, bool, Detail]]
) -> None:
    log = EventLog()
    for record in records:
        log.record(*record)
    try:
        said = check(log, name).saw
    except CheckFailedError as error:
        said = str(error)
    assert said.endswith((".", "?"))


@settings(max_examples=examples(60))
@given(st.integers(2, 6), st.integers(1, 30), st.data())
def test_one_task_out_of_turn_is_enough_to_fail(workers: int, tasks: int, data: st.DataObject) -> None:
    tasks += workers
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    turns = [names[number % workers] for number in range(tasks)]

    def played(turns: list[str]) -> EventLog:
        story = Story().workers(*names).send(*range(tasks))
        for name in names:
            story.give(name, *(number for number, worker in enumerate(turns) if worker == name))
        return story.log

    assert check(played(turns), "round robin")
    wrong = data.draw(st.integers(1, tasks - 1))
    turns[wrong] = data.draw(st.sampled_from([name for name in names if name != turns[wrong]]))
    with pytest.raises(CheckFailedError, match="turn"):
        check(played(turns), "round robin")


def test_a_misspelled_queue_is_named_with_the_broker_as_the_witness() -> None:
    log = two().log
    log.record("declared", "notebook", "hello", detail=QueueOptions(durable=True))
    log.record("published", "publisher-1", "helo", "id-6", "Task 6.")
    log.record("counted", "broker", "helo", detail=Counted(present=False))
    with pytest.raises(
        CheckFailedError, match=r"'Task 6.' went nowhere: there is no queue 'helo'; did you mean 'hello'"
    ):
        check(log, "fair dispatch")
