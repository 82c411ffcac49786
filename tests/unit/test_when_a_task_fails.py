"""What the lesson "When a task fails" checks and predicts, on logs made by hand, and its tools."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chapters import HandMadeLog
from workq_helpers.errors import CheckFailedError, WaitTimeoutError
from workq_helpers.lessons.when_a_task_fails.accidents import Accident
from workq_helpers.lessons.when_a_task_fails.databases import Database
from workq_helpers.lessons.when_a_task_fails.delivered import delivery_rate, wait_for_deliveries
from workq_helpers.lessons.when_a_task_fails.parking import read_death
from workq_helpers.lessons.when_a_task_fails.retries import retry_table
from workq_helpers.log.details import ConsumeOptions, Handback, PublishOptions, QueueOptions

pytestmark = pytest.mark.pinned  # of the course alone


class Kitchen(HandMadeLog):
    """Writes a log; every worker consumes from "hello" unless told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._tags: dict[str, int] = {}

    def come(self, *names: str, queue: str = "hello", prefetch_count: int = 1) -> Kitchen:
        for name in names:
            self.log.record("connected", name, queue, detail=ConsumeOptions(prefetch_count=prefetch_count))
        return self

    def declare(self, queue: str, **options: Any) -> Kitchen:
        self.log.record("declared", "notebook", queue, detail=QueueOptions(durable=True, **options))
        return self

    def send(self, *tasks: str, queue: str = "hello", by: str = "notebook", ttl: float | None = None) -> Kitchen:
        for task in tasks:
            mark = f"{task} {len(self.log)}" if by != "notebook" else task
            self.log.record("published", by, queue, mark, task, detail=PublishOptions(ttl_seconds=ttl))
        return self

    def deliver(self, worker: str, task: str, *kinds: str, queue: str = "hello", detail: Any = "") -> Kitchen:
        self._tags[worker] = tag = self._tags.get(worker, 0) + 1
        for kind in ("delivered", *kinds):
            self.log.record(kind, worker, queue, task, task, tag, detail="" if kind == "delivered" else detail)
        return self

    def do(self, worker: str, *tasks: str, queue: str = "hello") -> Kitchen:
        for task in tasks:
            self.deliver(worker, task, "started", "acked", "finished", queue=queue)
        return self

    def hand_back(self, worker: str, task: str, times: int = 1, requeue: bool = True) -> Kitchen:
        for _ in range(times):
            how = Handback.REQUEUE if requeue else Handback.DISCARD
            self.deliver(worker, task, "rejected", detail=how)
        return self

    def die(self, task: str, reason: str, queue: str = "hello", to: str = "parked") -> Kitchen:
        """Have a dead letter fetched from where it went."""
        self.log.record("dead-lettered", "notebook", queue, task, task, detail=reason)
        return self.deliver("notebook", task, queue=to)


# -- the poison message


def poisoned(times: int) -> Kitchen:
    return Kitchen().come("worker-1").send("Dragon.", "Soup.", "Tea.").hand_back("worker-1", "Dragon.", times)


def test_a_poison_message_is_told_by_its_deliveries_and_by_who_never_came() -> None:
    saw = poisoned(101).says("poison loop")
    assert saw.startswith("'Dragon.' was delivered more than 100 times and is not done. 'Soup.' and 'Tea.' stood")
    assert poisoned(101).seen("poison")[0] == 1


def test_a_short_loop_is_none() -> None:
    assert "'Dragon.' was delivered 3 times" in poisoned(3).lacks("poison loop")
    with pytest.raises(CheckFailedError):
        poisoned(1).seen("poison")


def test_others_that_were_cooked_are_seen() -> None:
    kitchen = poisoned(101).do("worker-1", "Soup.", "Tea.")
    assert "start one cook who holds one" in kitchen.lacks("poison loop")
    assert kitchen.seen("poison")[0] == 0
    assert kitchen.hand_back("worker-1", "Dragon.", requeue=False).seen("poison")[0] == 2


# -- dead letters


def test_what_becomes_of_what_is_turned_away_is_recognized() -> None:
    kitchen = Kitchen().come("worker-1").declare("hello").send("Dragon.", "Soup.")
    with pytest.raises(CheckFailedError, match="Let a cook reject"):
        kitchen.do("worker-1", "Soup.").seen("turned away")
    kitchen.hand_back("worker-1", "Dragon.", requeue=False)
    assert kitchen.seen("turned away") == (0, "'Dragon.' is discarded.")
    assert kitchen.die("Dragon.", "rejected").seen("turned away")[0] != 0


def test_what_comes_when_a_queue_is_bound_at_last_is_recognized() -> None:
    kitchen = Kitchen().come("worker-1").send("Dragon 1.", "Dragon 2.")
    for task in ("Dragon 1.", "Dragon 2."):
        kitchen.hand_back("worker-1", task, requeue=False)
    with pytest.raises(CheckFailedError, match="bind the parking queue"):
        kitchen.seen("nothing bound")
    assert kitchen.die("Dragon 2.", "rejected").seen("nothing bound")[0] == 1
    assert kitchen.die("Dragon 1.", "rejected").seen("nothing bound")[0] == 2


def test_what_was_parked_and_put_back_is_told() -> None:
    kitchen = Kitchen().come("worker-1").send("Dragon.").hand_back("worker-1", "Dragon.", requeue=False)
    assert "No rejected order was seen in another queue" in kitchen.lacks("parked")
    kitchen.die("Dragon.", "rejected")
    assert "Now put it back into 'hello'" in kitchen.lacks("parked")
    assert kitchen.send("Dragon.", by="desk").do("worker-1", "Dragon.").says("parked").endswith("and it is done.")


@pytest.mark.parametrize(("times", "choice"), [(2, 0), (3, 1), (5, 2)])
def test_a_delivery_limit_is_told_by_how_often_it_came(times: int, choice: int) -> None:
    kitchen = Kitchen().declare("hello", type="quorum", delivery_limit=2).come("worker-1").send("Dragon.")
    kitchen.hand_back("worker-1", "Dragon.", times)
    assert "came back too often" in kitchen.lacks("delivery limit")
    kitchen.die("Dragon.", "delivery_limit")
    assert f"'Dragon.' was delivered {times} times" in kitchen.says("delivery limit")
    assert kitchen.seen("a limit of two")[0] == choice


def test_one_dead_letter_that_was_kept_and_one_that_was_lost() -> None:
    kitchen = Kitchen().come("worker-1").send("One", "Two")
    assert "Let a cook reject an order of each queue" in kitchen.lacks("kept dead letters")
    for task in ("One", "Two"):
        kitchen.hand_back("worker-1", task, requeue=False)
    assert "Of 2 rejected orders 0 came" in kitchen.lacks("kept dead letters")
    saw = kitchen.die("Two", "rejected").says("kept dead letters")
    assert saw == "'One' had nowhere to go and is lost. 'Two' was kept until there was a queue for it."


# -- trying again


def retried(at_once: int = 30, plates: tuple[str, ...] = ("at once", "cycle", "steps", "steps")) -> Kitchen:
    kitchen = Kitchen()
    for way, times in (("at once", at_once), ("cycle", 5), ("steps", 7)):
        kitchen.come(f"cook of {way}", queue=way).send("Fish", queue=way, by=way)
        for _ in range(times):
            kitchen.deliver(f"cook of {way}", "Fish", queue=way)
    for way in plates:
        kitchen.send(f"Fish, {way}", queue="plates", by="cook")
    return kitchen


def test_ways_to_try_again_are_told_by_their_deliveries_and_plates() -> None:
    assert retried().says("retries").endswith("Cooked twice: steps.")
    assert retried().seen("killed between two calls") == (2, "Of one order came 2 plates.")
    table = retry_table(list(retried().log))
    assert table.loc["at once"].to_list() == [30, 1, 0, 0]
    assert table.loc["steps"].to_list() == [7, 2, 0, 1]
    assert "delayed" not in table.index


def test_what_ways_to_try_again_lack_is_named() -> None:
    assert "Not every way was tried" in Kitchen().lacks("retries")
    assert "That is no great difference" in retried(at_once=8).lacks("retries")
    assert "By steps nothing was cooked" in retried(plates=("at once", "cycle")).lacks("retries")
    assert retried(plates=("at once", "steps")).seen("killed between two calls")[0] == 1
    with pytest.raises(CheckFailedError):
        Kitchen().seen("killed between two calls")


# -- a time to live for each


@pytest.mark.parametrize(("order", "choice"), [(("Slow", "Quick"), 1), (("Quick", "Slow"), 0)])
def test_the_head_of_the_line_is_told_by_the_order_of_arrival(order: tuple[str, str], choice: int) -> None:
    kitchen = Kitchen().come("worker-1", queue="parked").send("Slow", ttl=4.0).send("Quick", ttl=1.0)
    assert "in this order: nothing" in kitchen.lacks("head of line")
    for task in order:
        kitchen.do("worker-1", task, queue="parked")
    assert kitchen.seen("two times to live")[0] == choice
    if choice:
        assert kitchen.says("head of line").startswith("'Quick' might wait for the shorter time")
    else:
        assert "in this order: Quick and Slow" in kitchen.lacks("head of line")


def test_two_times_to_live_need_two() -> None:
    assert "the one that may wait longer first" in Kitchen().send("One", ttl=1.0).lacks("head of line")


# -- twice, and in two places


def test_an_order_that_came_twice_is_told() -> None:
    kitchen = Kitchen().come("worker-1").send("Soup.").deliver("worker-1", "Soup.")
    assert "No order was delivered twice" in kitchen.lacks("served once")
    kitchen.log.record("requeued", "worker-1", "hello", "Soup.", "Soup.", 1)
    kitchen.come("worker-2").deliver("worker-2", "Soup.")
    assert "'Soup.' is in hand" in kitchen.lacks("served once")
    kitchen.log.record("acked", "worker-2", "hello", "Soup.", "Soup.", 1)
    assert kitchen.says("served once") == "'Soup.' was delivered 2 times and acknowledged once."


def test_an_outbox_is_told_by_what_two_programs_sent() -> None:
    kitchen = Kitchen().send("Soup.", by="order_desk.py 1")
    assert "run it again" in kitchen.lacks("outbox")
    with pytest.raises(CheckFailedError):
        kitchen.seen("killed after the publish")
    kitchen.log.record("connected", "order_desk.py 2")
    assert "No order was sent twice" in kitchen.lacks("outbox")
    assert kitchen.seen("killed after the publish")[0] == 1
    kitchen.send("Soup.", by="order_desk.py 2")
    assert "'Soup.' was sent 2 times" in kitchen.says("outbox")
    assert kitchen.seen("killed after the publish")[0] == 2


# -- what is optional


def test_priorities_are_told_by_the_order_of_deliveries() -> None:
    kitchen = Kitchen().send("Tea 1.", "Tea 2.", "Guest.").come("worker-1")
    as_sent = kitchen.do("worker-1", "Tea 1.", "Tea 2.", "Guest.")
    assert "as they came" in as_sent.lacks("priorities")
    kitchen = Kitchen().send("Tea 1.", "Tea 2.", "Guest.").come("worker-1")
    assert "'Tea 1.', 'Guest.' and 'Tea 2.'" in kitchen.do("worker-1", "Tea 1.", "Guest.", "Tea 2.").says("priorities")


def test_one_active_consumer_is_told_by_who_got_what() -> None:
    kitchen = Kitchen().come("worker-1", "worker-2").send("1", "2", "3").do("worker-1", "1", "2")
    assert "kill the one who gets them" in kitchen.lacks("one active consumer")
    assert kitchen.do("worker-2", "3").says("one active consumer").endswith("3 in all.")
    kitchen.send("4").do("worker-1", "4")
    assert "kill the one who gets them" in kitchen.lacks("one active consumer")


# -- tools


def test_deliveries_are_waited_for_and_counted() -> None:
    kitchen = Kitchen().come("worker-1").send("Soup.").hand_back("worker-1", "Soup.", 3)
    wait_for_deliveries(kitchen, "hello", 3)  # type: ignore[arg-type]
    with pytest.raises(WaitTimeoutError, match="3 messages came from 'hello'"):
        wait_for_deliveries(kitchen, "hello", 4, timeout=0.0)  # type: ignore[arg-type]


def test_a_rate_counts_from_now_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workq_helpers.lessons.when_a_task_fails.delivered._TIMEOUT_SECONDS", 0.0)
    kitchen = Kitchen().come("worker-1").send("Soup.").hand_back("worker-1", "Soup.", 3)
    with pytest.raises(WaitTimeoutError, match="There were 0 deliveries"):
        delivery_rate(kitchen, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "death"),
    [
        (None, ("", "", 0)),
        ({"x-death": "odd"}, ("", "", 0)),
        (
            {"x-death": [{"reason": "rejected", "queue": "hello", "count": 2}, {"reason": "expired"}]},
            ("rejected", "hello", 2),
        ),
    ],
)
def test_the_last_death_is_read(headers: dict[str, Any] | None, death: tuple[str, str, int]) -> None:
    assert read_death(headers) == death


def test_a_database_commits_at_the_end_and_takes_back_what_failed() -> None:
    database = Database("plates (key TEXT PRIMARY KEY, plate TEXT)")
    with database.transaction() as connection:
        connection.execute("INSERT INTO plates VALUES ('a', 'Soup.')")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.executescript("BEGIN; INSERT INTO plates VALUES ('b', 'Tea.'); INSERT INTO plates VALUES ('a', '');")
    assert database.rows("plates").to_dict("list") == {"key": ["a"], "plate": ["Soup."]}


def test_an_accident_that_nobody_comes_to_is_told() -> None:
    accident = Accident(SimpleNamespace(workers=[]))  # type: ignore[arg-type]
    with pytest.raises(WaitTimeoutError, match="No worker came to this accident"):
        accident.strike(timeout=0.0)
