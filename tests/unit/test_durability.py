from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from pika.spec import BasicProperties

from tests.chapters import PREDICTIONS, check
from workq_helpers.errors import BrokerNotOursError, CheckFailedError, WaitTimeoutError
from workq_helpers.lessons.durability import check as check_after_outage
from workq_helpers.lessons.durability import checks
from workq_helpers.lessons.durability import survivors as survivors_module
from workq_helpers.lessons.durability.survivors import Sent, Waiting, sent_to, survivors
from workq_helpers.log.details import BrokerChange, CloseReason, PublishOptions, QueueOptions
from workq_helpers.log.events import EventLog
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.rabbitmq.management import QueueCounts
from workq_helpers.teaching.check import NotChecked
from workq_helpers.teaching.outage import Outage, crash, restart
from workq_helpers.teaching.prediction import Seen

pytestmark = pytest.mark.pinned  # of the course alone

DURABLE = QueueOptions(durable=True)


class Kitchen:
    """A lesson's log and what the broker counts afterwards."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.counts: dict[str, QueueCounts] = {}
        self.numbers = iter(range(10_000))

    def declare(self, queue: str, detail: QueueOptions = DURABLE) -> Kitchen:
        self.log.record("declared", "notebook", queue, detail=detail)
        return self

    def send(self, queue: str, *, transient: int = 0, persistent: int = 0, confirmed: int = 0) -> Kitchen:
        for kept in [False] * transient + [True] * persistent:
            number = next(self.numbers)
            self.log.record("published", "notebook", queue, f"id-{number}", "Soup..", detail=PublishOptions(kept))
            if number < confirmed:
                self.log.record("confirmed", "notebook", queue, f"id-{number}", "Soup..")
        return self

    def outage(self, *changes: str) -> Kitchen:
        for change in changes or ("restarting", "up"):
            self.log.record("broker", "lesson", detail=BrokerChange(change))
        return self

    def left(self, **ready: int) -> Kitchen:
        self.counts = {
            queue: QueueCounts(number, 0, True, "quorum" if queue.startswith("quorum") else "classic")
            for queue, number in ready.items()
        }
        return self

    def queue_counts(self) -> Mapping[str, QueueCounts]:
        return self.counts


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivors_module, "_COUNTS_SECONDS", 0.0)


def two_queues() -> Kitchen:
    kitchen = Kitchen().declare("hello", QueueOptions()).declare("task_queue")
    return kitchen.send("hello", transient=5, persistent=5).send("task_queue", transient=5, persistent=5)


# -- what was sent ------------------------------------------------------------------------------------


def test_what_was_sent_is_counted_by_kind() -> None:
    kitchen = Kitchen().declare("task_queue").send("task_queue", transient=2, persistent=3, confirmed=1)
    assert sent_to(kitchen.log) == {"task_queue": Sent(DURABLE, 2, 3, 1)}


def test_a_message_that_was_published_again_counts_once() -> None:
    kitchen = Kitchen()
    for again in (False, True):
        kitchen.log.record("published", "publisher-1", "q", "id-1", "Soup..", detail=PublishOptions(True, again))
    assert sent_to(kitchen.log)["q"] == Sent(None, 0, 1, 0)


def test_a_look_at_the_counts_waits_until_they_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivors_module, "_COUNTS_SECONDS", 30.0)
    answers = iter([0, 0, 7, 8])
    counts = survivors_module.counts_with(lambda: {"q": QueueCounts(next(answers), 0, True, "quorum")}, {"q": 7})
    assert counts["q"].ready == 7


def test_survivors_are_a_row_a_queue() -> None:
    kitchen = Kitchen().declare("task_queue").send("task_queue", persistent=4, confirmed=3)
    kitchen.declare("gone", QueueOptions()).send("gone", transient=2).left(task_queue=2)
    table = survivors(kitchen)  # type: ignore[arg-type]
    assert table.reset_index().to_numpy().tolist() == [["task_queue", 4, 3, 2, 1], ["gone", 2, 0, 0, 0]]


# -- outages ------------------------------------------------------------------------------------------


def foreign(log: EventLog) -> Any:
    def refuse(_progress: object) -> None:
        raise BrokerNotOursError("not ours")

    endpoint = Endpoint("rabbit.example", 5672, "anna", "secret")
    broker = SimpleNamespace(restart=refuse, crash=refuse, ours=False, endpoint=endpoint)
    return SimpleNamespace(broker=broker, log=log)


@pytest.mark.parametrize("deed", [restart, crash])
def test_a_broker_of_others_is_left_alone_with_advice(deed: Any) -> None:
    outage = deed(foreign(EventLog()))
    assert not outage.happened
    assert "rabbit.example:5672 is not the course's own" in repr(outage)
    assert "lesson.broker.wait_for_restart()" in repr(outage)


@pytest.mark.parametrize(("deed", "done"), [(restart, "stopped"), (crash, "killed")])
def test_a_broker_of_ours_goes_and_comes_back(deed: Any, done: str) -> None:
    called = []
    lesson: Any = SimpleNamespace(broker=SimpleNamespace(ours=True, **{deed.__name__: called.append}))
    assert deed(lesson) == Outage(True, f"RabbitMQ was {done} and started again.")
    assert called


def test_each_step_of_an_outage_is_said_once_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    def deed(progress: Any) -> None:
        for step in ("RabbitMQ is killed.", "It is down.", "It is down.", "It takes connections again."):
            progress(step)

    crash(SimpleNamespace(broker=SimpleNamespace(ours=True, crash=deed)))  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "RabbitMQ is killed.",
        "RabbitMQ is killed. It is down.",
        "RabbitMQ is killed. It is down. It takes connections again.",
    ]


@pytest.mark.parametrize("deed", [restart, crash])
def test_of_what_was_done_by_hand_only_what_was_seen_is_said(deed: Any) -> None:
    lesson: Any = SimpleNamespace(broker=SimpleNamespace(ours=False, **{deed.__name__: lambda _progress: None}))
    assert deed(lesson) == Outage(True, "RabbitMQ went down and came back.")


@pytest.mark.parametrize("deed", [restart, crash])
def test_the_lesson_goes_on_where_nobody_restarts_it(deed: Any) -> None:
    def wait_in_vain(_progress: object) -> None:
        raise WaitTimeoutError("It was not restarted within 300 s.")

    lesson: Any = SimpleNamespace(broker=SimpleNamespace(ours=False, **{deed.__name__: wait_in_vain}))
    assert deed(lesson) == Outage(False, "It was not restarted within 300 s.")


def test_without_an_outage_the_lesson_goes_on_where_none_can_be_had() -> None:
    told = check_after_outage(foreign(two_queues().log), "restart")
    assert isinstance(told, NotChecked)
    assert repr(told) == "Not yet: RabbitMQ has not been restarted since the messages were sent. Restart it."


def test_where_one_can_be_had_a_failed_check_is_an_error() -> None:
    lesson = foreign(two_queues().log)
    lesson.broker.ours = True
    with pytest.raises(CheckFailedError, match="has not been restarted"):
        check_after_outage(lesson, "restart")


# -- checks -------------------------------------------------------------------------------------------


def test_the_two_by_two_table_in_a_sentence() -> None:
    kitchen = two_queues().outage().left(task_queue=5)
    assert check(kitchen, "restart").saw == (
        "task_queue came back with its 5 persistent messages and without its 5 transient ones; hello, which was not "
        "durable, is gone with all 10."
    )


def test_a_broker_that_denies_transient_queues_passes_too() -> None:
    kitchen = Kitchen().declare("task_queue").send("task_queue", transient=5, persistent=5).send("hello", transient=1)
    told = check(kitchen.outage("down", "up").left(task_queue=5), "restart").saw
    assert told.endswith("a queue that is not durable was not declared, so none was lost.")


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen(), "No message was sent"),
        (two_queues(), "has not been restarted"),
        (Kitchen().declare("task_queue").outage().send("task_queue", persistent=1), "No message was sent before"),
        (two_queues().outage("restarting"), "is not back"),
        (Kitchen().declare("task_queue").send("task_queue", transient=5).outage(), "No persistent message"),
        (Kitchen().declare("task_queue").send("task_queue", persistent=5).outage(), "No transient message"),
        (two_queues().outage().left(task_queue=3), "and holds 3 now"),
        (two_queues().outage().left(task_queue=10), "and holds 10 now"),
        (two_queues().outage(), "and holds 0 now"),
        (two_queues().outage().left(task_queue=5, hello=0), "hello is there"),
    ],
)
def test_what_is_missing_for_the_restart(kitchen: Kitchen, message: str) -> None:
    with pytest.raises(CheckFailedError, match=message):
        check(kitchen, "restart")


def test_no_confirmed_message_is_missing() -> None:
    kitchen = Kitchen().declare("a").send("a", persistent=5, confirmed=4).outage("crashing", "up").left(a=4)
    assert check(kitchen, "confirms").saw == (
        "RabbitMQ had confirmed 4 messages in a when it went down, and none of them is missing."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen().send("a", persistent=5, confirmed=5), "has not been restarted"),
        (Kitchen().send("a", persistent=5).outage(), "confirmed nothing"),
        (Kitchen().send("a", persistent=5, confirmed=5).outage().left(a=4), "Of 5 confirmed messages a holds 4"),
        (Kitchen().send("a", persistent=5, confirmed=5).outage(), "a holds 0"),
    ],
)
def test_what_is_missing_for_the_confirms(kitchen: Kitchen, message: str) -> None:
    with pytest.raises(CheckFailedError, match=message):
        check(kitchen, "confirms")


def test_a_log_alone_is_not_enough() -> None:
    with pytest.raises(CheckFailedError, match="only the broker can tell"):
        check(two_queues().outage().log, "restart")


# -- predictions --------------------------------------------------------------------------------------


def observed(name: str, kitchen: Kitchen) -> Seen:
    return PREDICTIONS[name].observe(kitchen)  # type: ignore[arg-type]


MISMATCH = CloseReason(406, "PRECONDITION_FAILED - inequivalent arg 'durable'")


def test_a_queue_that_is_declared_otherwise_stays_as_it_was() -> None:
    kitchen = Kitchen().declare("hello", QueueOptions())
    with pytest.raises(CheckFailedError, match="in one way only"):
        observed("declared otherwise", kitchen)
    kitchen.log.record("channel closed", "notebook", detail=MISMATCH)
    assert observed("declared otherwise", kitchen).choice == 0
    # It is deleted afterwards, and then declared anew.
    assert observed("declared otherwise", kitchen.declare("hello")).choice == 0


def test_a_queue_that_took_the_second_declaration_is_told() -> None:
    assert observed("declared otherwise", Kitchen().declare("hello", QueueOptions()).declare("hello")).choice == 1


def test_where_transient_queues_are_denied_no_old_queue_is_in_the_way() -> None:
    with pytest.raises(CheckFailedError, match="durable from the start"):
        observed("declared otherwise", Kitchen().declare("hello"))


@pytest.mark.parametrize(("kind", "choice"), [("confirmed", 0), ("refused", 1), ("channel closed", 2), ("", None)])
def test_what_is_sent_to_no_queue_is_answered(kind: str, choice: int | None) -> None:
    kitchen = Kitchen().declare("task_queue").send("task_queue", persistent=1)
    with pytest.raises(CheckFailedError, match="Send one to a queue that is not"):
        observed("no such queue", kitchen)
    kitchen.send("attic", persistent=1)
    if kind:
        kitchen.log.record(kind, "notebook", "attic", "id-1", "Soup..")
    assert observed("no such queue", kitchen).choice == choice


@pytest.mark.parametrize(("left", "choice"), [({"hello": 5}, 0), ({"hello": 0}, 1), ({}, 2), ({"hello": 3}, None)])
def test_what_a_restart_left_of_a_transient_queue(left: dict[str, int], choice: int | None) -> None:
    kitchen = Kitchen().declare("hello", QueueOptions()).send("hello", transient=5).outage().left(**left)
    assert observed("restart", kitchen).choice == choice


def test_where_transient_queues_are_denied_there_is_nothing_to_compare() -> None:
    with pytest.raises(CheckFailedError, match="refuses queues that are not durable"):
        observed("restart", Kitchen().send("hello", transient=5).outage())


@pytest.mark.parametrize(("left", "choice"), [([None] * 5 + [2] * 5, 0), ([2] * 5, 1), ([], 2), ([None] * 5, None)])
def test_what_a_restart_left_of_both_kinds(
    monkeypatch: pytest.MonkeyPatch, left: list[int | None], choice: int | None
) -> None:
    found = [Waiting(BasicProperties(delivery_mode=mode), b"") for mode in left]
    monkeypatch.setattr(checks, "waiting", lambda _lesson, _queue: found)
    assert observed("two by two", two_queues().outage().left(task_queue=len(left))).choice == choice


@pytest.mark.parametrize(("left", "choice"), [(50, 0), (0, 1), (1, 2), (49, 2)])
def test_what_a_crash_left(left: int, choice: int) -> None:
    kitchen = Kitchen().declare("task_queue").send("task_queue", persistent=50).outage("crashing", "up")
    seen = observed("crash", kitchen.left(task_queue=left))
    assert seen == Seen(choice, f"This time {left} of 50 persistent messages are left.")


@pytest.mark.parametrize(("left", "choice"), [(50, 0), (49, 1), (10, 2)])
def test_what_became_of_the_confirmed(left: int, choice: int) -> None:
    kitchen = Kitchen().declare("a").send("a", persistent=50, confirmed=50).outage("crashing", "up").left(a=left)
    assert observed("confirms", kitchen).choice == choice
