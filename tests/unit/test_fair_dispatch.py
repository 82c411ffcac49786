"""What the lesson "Fair dispatch" checks and predicts, on logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chapters import HandMadeLog
from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.fair_dispatch import CHAPTER
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.teaching.estimate import Counted

pytestmark = pytest.mark.pinned  # of the course alone

ESTIMATES = {each.name: each for each in CHAPTER.estimates}
ORDERS = ("Roast 1....", "Tea 2.", "Roast 3....", "Tea 4.")


class Kitchen(HandMadeLog):
    """Writes a log."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[Any] = []
        self._tags: dict[str, int] = {}

    def come(self, *names: str, prefetch_count: int = 0, auto_ack: bool = False) -> Kitchen:
        how = ConsumeOptions(auto_ack=True) if auto_ack else ConsumeOptions(prefetch_count=prefetch_count)
        for name in names:
            self.log.record("connected", name, "hello", detail=how)
        return self

    def send(self, *tasks: str, kind: str = "") -> Kitchen:
        for task in tasks:
            self.log.record("published", "notebook", "hello", task, task)
            if kind:
                self.log.record(kind, "notebook", "hello", task, task)
        return self

    def deliver(self, worker: str, *tasks: str, queue: str = "hello") -> Kitchen:
        for task in tasks:
            self._tags[worker] = self._tags.get(worker, 0) + 1
            self.log.record("delivered", worker, queue, task, task, self._tags[worker])
        return self

    def do(self, worker: str, *tasks: str, queue: str = "hello") -> Kitchen:
        for task in tasks:
            self.deliver(worker, task, queue=queue)
            for kind in ("started", "acked", "finished"):
                self.log.record(kind, worker, queue, task, task, self._tags[worker])
        return self


def two(prefetch_count: int = 0, auto_ack: bool = False) -> Kitchen:
    return Kitchen().come("worker-1", "worker-2", prefetch_count=prefetch_count, auto_ack=auto_ack)


def in_turn(kitchen: Kitchen) -> Kitchen:
    return kitchen.send(*ORDERS).do("worker-1", *ORDERS[::2]).do("worker-2", *ORDERS[1::2])


def by_need(kitchen: Kitchen) -> Kitchen:
    return kitchen.send(*ORDERS).do("worker-1", ORDERS[0], ORDERS[3]).do("worker-2", ORDERS[1], ORDERS[2])


# -- blind dispatch


def test_blind_dispatch_is_told_in_dots() -> None:
    saw = in_turn(two()).says("blind dispatch")
    assert saw == (
        "4 tasks went out in turn, 2 to each worker. But of the dots in them worker-1 got 8 and worker-2 got 2."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen(), "No task was sent"),
        (Kitchen().send("Tea."), "No worker consumes yet"),
        (Kitchen().come("worker-1").send("Tea."), "Only worker-1 was started"),
        (in_turn(two(prefetch_count=1)), "worker-1 has prefetch_count=1"),
        (two().send("Tea."), "1 task of 1 not done"),
        (by_need(two()), "Each worker got 5 dots"),
    ],
    ids=["nothing", "nobody", "alone", "limited", "undone", "even"],
)
def test_what_blind_dispatch_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("blind dispatch")


# -- fair dispatch


def test_fair_dispatch_is_told_by_who_did_the_heavy_ones() -> None:
    saw = by_need(two(prefetch_count=1)).says("fair dispatch")
    assert "worker-1 and worker-2 shared the 2 heavy ones, and all 4 tasks were done once." in saw


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (by_need(two()), "worker-1 has no prefetch limit"),
        (by_need(two(prefetch_count=2)), "worker-1 has prefetch_count=2"),
        (by_need(two(auto_ack=True)), "a prefetch count limits nothing"),
        (in_turn(two(prefetch_count=1)), "worker-1 did every task of 4 dots"),
    ],
    ids=["no limit", "two", "auto ack", "in turn"],
)
def test_what_fair_dispatch_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("fair dispatch")


# -- the price


TINY = [str(number) for number in range(10)]


def test_the_price_is_counted_in_empty_hands() -> None:
    kitchen = Kitchen().come("one", prefetch_count=1).send(*TINY).do("one", *TINY)
    assert "and another with a larger one" in kitchen.lacks("price of fairness")
    more = [f"more {task}" for task in TINY]
    kitchen.come("ten", prefetch_count=10).send(*more).deliver("ten", *more)
    for tag, task in enumerate(more, start=1):
        kitchen.log.record("acked", "ten", "hello", task, task, tag)
    saw = kitchen.says("price of fairness")
    assert "empty hands 9 times in 10 tasks: after every one but the last. With 10 that" in saw


def test_a_price_that_was_not_paid_is_told() -> None:
    more = [f"more {task}" for task in TINY]
    kitchen = Kitchen().come("one", prefetch_count=1).send(*TINY, *more).do("one", *TINY)
    kitchen.come("ten", prefetch_count=10).do("ten", *more)
    assert "With prefetch_count=10 the worker had empty hands 9 times" in kitchen.lacks("price of fairness")


# -- the queue's size


def growing(prefetch_count: int = 1, before: int = 3) -> Kitchen:
    kitchen = Kitchen().come("worker-1", prefetch_count=prefetch_count).send(*TINY[:before])
    return kitchen.come("worker-2", prefetch_count=prefetch_count).send(*TINY[before:]).do("worker-2", *TINY)


def test_a_queue_that_grew_and_was_emptied_is_told() -> None:
    saw = growing().says("growing queue")
    assert saw == (
        "The queue grew as long as worker-1 was alone. Then worker-2 came, and in the end it was empty: "
        "all 10 tasks are done."
    )


@pytest.mark.parametrize(
    ("kitchen", "message"),
    [
        (Kitchen().come("worker-1", prefetch_count=1).send("Tea."), "worker-1 is alone"),
        (growing(prefetch_count=0), "worker-1 takes all that comes"),
        (growing(before=1), "never longer than 1"),
        (growing().send("Late."), "1 task of 11 not done"),
    ],
    ids=["alone", "hoarder", "short", "undone"],
)
def test_what_a_growing_queue_lacks_is_named(kitchen: Kitchen, message: str) -> None:
    assert message in kitchen.lacks("growing queue")


def test_tasks_that_waited_too_long_are_named() -> None:
    kitchen = Kitchen().come("worker-1", prefetch_count=1).send("Roast......", "Tea 1.", "Tea 2.")
    kitchen.do("worker-1", "Roast......")
    assert "No message left its queue" in kitchen.lacks("stale tasks")
    kitchen.do("notebook", "Tea 1.", "Tea 2.", queue="leftovers")
    saw = kitchen.says("stale tasks")
    assert saw == "'Tea 1.' and 'Tea 2.' waited too long in 'hello' and went to 'leftovers'; no worker got them."
    assert "and an older one stayed" in kitchen.lacks("full rail")


def test_tasks_that_had_no_room_are_named() -> None:
    kitchen = Kitchen().send("1", "2", "3")
    assert "No message left its queue" in kitchen.lacks("full rail")
    kitchen.do("notebook", "1", queue="leftovers")
    assert kitchen.says("full rail") == "'1', the oldest, had to leave 'hello' and went to 'leftovers'; 2 stayed."
    assert "No task was sent" in Kitchen().lacks("full rail")


def test_refused_tasks_are_named() -> None:
    assert "No task was sent" in Kitchen().lacks("refused tasks")
    assert "not in confirm mode" in Kitchen().send("1").lacks("refused tasks")
    kitchen = Kitchen().send("1", "2", kind="confirmed")
    assert "RabbitMQ took every task" in kitchen.lacks("refused tasks")
    saw = kitchen.send("3", kind="refused").says("refused tasks")
    assert saw == "RabbitMQ confirmed 2 tasks and refused '3': the newest."


# -- predictions


def test_heavy_and_light_is_recognized_by_the_dots() -> None:
    assert in_turn(two()).seen("heavy and light") == (1, "worker-1 did 8 dots of work and worker-2 did 2 dots of work.")
    assert by_need(two()).seen("heavy and light")[0] == 0


def test_work_that_moved_over_is_recognized() -> None:
    kitchen = two().send(*ORDERS).deliver("worker-1", ORDERS[0])
    kitchen.log.record("requeued", "worker-1", "hello", ORDERS[0], ORDERS[0], 1)
    assert kitchen.do("worker-2", *ORDERS).seen("heavy and light")[0] == 2


def test_one_at_a_time_is_recognized_by_who_did_the_roasts() -> None:
    assert by_need(two(prefetch_count=1)).seen("one at a time")[0] == 1
    assert in_turn(two(prefetch_count=1)).seen("one at a time")[0] == 0
    alone = two(prefetch_count=1).send(*ORDERS).do("worker-1", *ORDERS)
    assert alone.seen("one at a time")[0] is None


@pytest.mark.parametrize(("made", "choice"), [(0, 0), (3, 1), (1, 2), (2, None)])
def test_stale_tea_is_recognized_by_what_the_cook_made(made: int, choice: int | None) -> None:
    teas = ("Tea 1.", "Tea 2.", "Tea 3.")
    kitchen = Kitchen().come("worker-1").send("Roast......", *teas).do("worker-1", "Roast......", *teas[:made])
    kitchen.do("notebook", *teas[made:], queue="leftovers")
    assert kitchen.seen("stale tea")[0] == choice


@pytest.mark.parametrize(("made", "choice"), [(0, 0), (3, 1), (1, 2), (2, None)])
def test_teas_of_the_second_evening_are_recognized_by_how_many_were_made(made: int, choice: int | None) -> None:
    teas = ("Tea 1.", "Tea 2.", "Tea 3.")
    for limit in (1, 0):
        kitchen = Kitchen().come("worker-1", prefetch_count=limit).send("Roast......", *teas)
        kitchen.do("worker-1", "Roast......", *teas[:made]).do("notebook", *teas[made:], queue="leftovers")
        if limit:
            assert kitchen.seen("stale tea again")[0] == choice
        else:
            with pytest.raises(CheckFailedError, match="prefetch_count=1"):
                kitchen.seen("stale tea again")


def counted(name: str, kitchen: Kitchen) -> Counted:
    return ESTIMATES[name].observe(kitchen)  # type: ignore[arg-type]


def test_who_waits_is_counted_when_the_twelfth_guest_comes() -> None:
    plates = [str(number) for number in range(1, 15)]
    kitchen = Kitchen().come("worker-1", prefetch_count=1).send(*plates[:7]).do("worker-1", *plates[:3])
    with pytest.raises(CheckFailedError, match="7 guests have come"):
        counted("twelve guests", kitchen)
    kitchen.send(*plates[7:12]).do("worker-1", "4").send(*plates[12:])
    assert counted("twelve guests", kitchen) == (
        9,
        "When the last of 12 guests came, 9 tasks had not been delivered.",
    )


def test_a_hundred_at_a_time_is_held_against_one() -> None:
    kitchen = Kitchen().come("worker-1", prefetch_count=1).send("1", "2", "3").do("worker-1", "1", "2", "3")
    with pytest.raises(CheckFailedError, match="1 and 100"):
        counted("a hundred at a time", kitchen)
    kitchen.come("worker-2", prefetch_count=100).send("4", "5").do("worker-2", "4", "5")
    assert counted("a hundred at a time", kitchen).number > 0


@pytest.mark.parametrize("refused", [0, 3])
def test_refused_offers_are_counted(refused: int) -> None:
    kitchen = Kitchen().send(*(str(number) for number in range(8 - refused)), kind="confirmed")
    kitchen.send(*(f"late {number}" for number in range(refused)), kind="refused")
    assert counted("eight offers", kitchen).number == refused


def test_offers_without_confirms_are_no_offers() -> None:
    with pytest.raises(CheckFailedError, match="in confirm mode"):
        counted("eight offers", Kitchen().send(*"12345678"))


@pytest.mark.parametrize(
    ("done", "choice"), [(("1", "2"), 0), (("2", "3"), 1), (("1", "2", "3"), 2), (("1", "3"), None)]
)
def test_a_full_rail_is_recognized_by_what_is_left(done: tuple[str, ...], choice: int | None) -> None:
    assert Kitchen().send("1", "2", "3").come("worker-1").do("worker-1", *done).seen("full rail")[0] == choice


@pytest.mark.parametrize("name", ["heavy and light", "one at a time", "stale tea", "stale tea again", "full rail"])
def test_an_experiment_under_way_is_not_judged(name: str) -> None:
    kitchen = two(prefetch_count=1).send(*ORDERS).deliver("worker-1", ORDERS[0])
    with pytest.raises(CheckFailedError):
        kitchen.seen(name)
