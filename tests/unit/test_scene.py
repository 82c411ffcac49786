"""The stage's picture is computed from the log alone: every message once, every count as the log has it."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.properties import examples
from workq_helpers.log.details import (
    BrokerChange,
    ClusterSeen,
    ConsumeOptions,
    Detail,
    Handback,
    NodeSeen,
    ProgramOptions,
    PublishOptions,
    QueueOptions,
)
from workq_helpers.log.events import KINDS, EventLog, Rows
from workq_helpers.log.ledger import ENDS
from workq_helpers.stage import scene as scene_module
from workq_helpers.stage.frame import Chip, Moment
from workq_helpers.stage.frame_pace import FramePace, frame_seconds
from workq_helpers.stage.scene import BrokerCounts, Scene

pytestmark = pytest.mark.pinned  # of the course alone

MANUAL = ConsumeOptions(prefetch_count=2)
UNSEEN = BrokerCounts()


def no_console(name: str, count: int, until_seconds: float) -> list[str]:
    return []


def picture_of(log: EventLog, answer: BrokerCounts = UNSEEN, seconds: float | None = None) -> Moment:
    scene = Scene(seconds_per_dot=1.0)
    scene.update(log.rows())
    return scene.picture(log.seconds() if seconds is None else seconds, answer, no_console)


def lesson_log(detail: Detail = MANUAL) -> EventLog:
    log = EventLog()
    log.record("declared", "lesson", "hello", detail=QueueOptions(durable=True))
    log.record("starting", "w", "hello", detail=detail)
    log.record("connected", "w", "hello", detail=detail)
    return log


KEPT = PublishOptions(persistent=True)


def publish(log: EventLog, *tasks: str, detail: PublishOptions = KEPT) -> None:
    for task in tasks:
        log.record("published", "p", "hello", f"id of {task}", task, detail=detail)


def consume(log: EventLog, kinds: str, task: str, tag: int = 1, worker: str = "w", redelivered: bool = False) -> None:
    for kind in kinds.split():
        log.record(kind, worker, "hello", f"id of {task}", task, tag, redelivered)


def tasks(chips: list[Chip]) -> list[str]:
    return [chip["task"] for chip in chips]


def test_nothing_has_happened() -> None:
    picture = picture_of(EventLog())
    assert (picture["queues"], picture["workers"], picture["broker_state"]) == ([], [], "up")
    assert picture["summary"] == "Nothing has happened yet."


def test_nodes_are_drawn_until_they_are_put_away() -> None:
    log = EventLog()
    log.record("cluster", "lesson", detail=ClusterSeen((NodeSeen("node-1", "up"),)))
    assert (picture := picture_of(log))["cluster"] is not None
    assert "node-1 is up" in picture["summary"]
    log.record("cluster", "lesson", detail=ClusterSeen(()))
    assert (picture := picture_of(log))["cluster"] is None
    assert picture["summary"] == "Nothing has happened yet."


def test_published_messages_wait_in_their_queue_in_order() -> None:
    log = lesson_log()
    publish(log, "a.", "b..")
    queue = picture_of(log)["queues"][0]
    assert (queue["name"], queue["durability"], queue["type"]) == ("hello", "durable", "classic")
    assert tasks(queue["waiting"]) == ["a.", "b.."]
    assert queue["waiting"][1] == {
        "key": 1, "task": "b..", "dots": 2, "persistent": True, "redelivered": False, "deliveries": 0, "worked": 0,
        "back_from": "",
    }  # fmt: skip
    assert queue["ready"] == {"broker": None, "log": 2}


def test_a_program_is_a_worker_of_which_only_the_connection_is_seen() -> None:
    log = EventLog()
    log.record("connected", "worker.py 1")  # it publishes, and then consumes
    log.record("connected", "worker.py 1", "hello", detail=ProgramOptions(prefetch_count=1, program="worker.py 1"))
    publish(log, "a.")
    consume(log, "delivered", "a.", worker="worker.py 1")
    picture = picture_of(log)
    (worker,) = picture["workers"]
    assert (worker["program"], worker["free"], worker["queue"]) == ("worker.py 1", 0, "hello")
    assert worker["state"] == "holding"  # whether it works, nobody sees
    assert [slot["phase"] for slot in worker["slots"]] == ["dispatched"]
    assert picture["publishers"]["active"] == []
    for kind, state in (("hung up", "disconnected"), ("killed", "killed")):
        log.record(kind, "worker.py 1", "hello")
        assert picture_of(log)["workers"][0]["state"] == state
    consume(log, "requeued", "a.", worker="worker.py 1")
    log.record("connected", "worker.py 1", "hello", detail=ProgramOptions(program="worker.py 1"))
    assert picture_of(log)["workers"][0]["state"] == "idle"


def test_a_program_that_publishes_is_seen_until_it_hangs_up() -> None:
    log = EventLog()
    log.record("connected", "new_task.py 1")
    assert [line["name"] for line in picture_of(log)["publishers"]["active"]] == ["new_task.py 1"]
    log.record("hung up", "new_task.py 1")
    assert picture_of(log)["publishers"]["active"] == []


def test_a_delivered_message_is_in_a_slot_and_then_worked_on() -> None:
    log = lesson_log()
    publish(log, "a.", "b..")
    consume(log, "delivered", "a.", 1)
    consume(log, "delivered", "b..", 2)
    consume(log, "started", "a.", 1)
    picture = picture_of(log)
    worker = picture["workers"][0]
    assert [(chip["task"], chip["phase"]) for chip in worker["slots"]] == [("a.", "working"), ("b..", "dispatched")]
    assert (worker["state"], worker["free"], worker["ack"], worker["prefetch_count"]) == ("busy", 0, "manual", 2)
    assert picture["queues"][0]["unacknowledged"]["log"] == 2


def test_work_runs_for_its_dots_and_not_while_frozen() -> None:
    log = lesson_log()
    publish(log, "a...")
    consume(log, "delivered started", "a...")
    started = log[-1].seconds
    busy_with = picture_of(log, seconds=started + 1.5)["workers"][0]["busy_with"]
    assert (busy_with["elapsed_seconds"], busy_with["work_seconds"], busy_with["running"]) == (1.5, 3.0, True)
    log.record("frozen", "w", "hello")
    frozen = log[-1].seconds
    picture = picture_of(log, seconds=frozen + 60)
    assert picture["workers"][0]["state"] == "frozen"
    assert picture["workers"][0]["busy_with"]["running"] is False
    assert picture["workers"][0]["busy_with"]["elapsed_seconds"] == pytest.approx(frozen - started, abs=0.002)


def test_a_worker_that_ended_says_what_it_dropped() -> None:
    log = lesson_log()
    publish(log, "a.", "b..", "c.")
    consume(log, "delivered", "a.", 1)
    consume(log, "delivered", "b..", 2)
    consume(log, "requeued", "a.", 1)  # handed back while it lives
    assert picture_of(log)["workers"][0]["dropped"] == ""
    log.record("killed", "w", "hello")
    consume(log, "requeued", "b..", 2)
    assert picture_of(log)["workers"][0]["dropped"] == "gave back b"
    consume(log, "lost", "c.", 3)
    assert picture_of(log)["workers"][0]["dropped"] == "gave back b; lost c"


def test_a_program_that_was_killed_says_what_it_dropped_when_its_connection_ended() -> None:
    log = EventLog()
    options = ProgramOptions(prefetch_count=1, program="worker.py 1")
    log.record("connected", "worker.py 1", "hello", detail=options)
    publish(log, "a.", "b.")
    consume(log, "delivered", "a.", worker="worker.py 1")
    log.record("hung up", "worker.py 1", "hello", detail="RabbitMQ hung up")
    consume(log, "requeued", "a.", worker="worker.py 1")
    assert picture_of(log)["workers"][0]["dropped"] == ""  # it may connect again
    log.record("connected", "worker.py 1", "hello", detail=options)
    consume(log, "delivered", "b.", worker="worker.py 1")
    log.record("hung up", "worker.py 1", "hello", detail="its program hung up")
    consume(log, "requeued", "b.", worker="worker.py 1")
    log.record("killed", "worker.py 1", "hello")
    assert picture_of(log)["workers"][0]["dropped"] == "gave back b"


def test_a_worker_that_is_stopped_gives_back_what_it_never_acknowledged() -> None:
    log = lesson_log()
    publish(log, "a.")
    consume(log, "delivered started finished", "a.")
    log.record("stopping", "w", "hello")
    consume(log, "requeued", "a.")  # its channel closes before it has stopped
    log.record("stopped", "w", "hello")
    assert picture_of(log)["workers"][0]["dropped"] == "gave back a"


def test_a_finished_task_whose_ack_was_forgotten_stays_in_its_slot() -> None:
    log = lesson_log()
    publish(log, "a.")
    consume(log, "delivered started finished", "a.")
    worker = picture_of(log)["workers"][0]
    assert [chip["phase"] for chip in worker["slots"]] == ["finished"]
    assert (worker["state"], worker["busy_with"], worker["done"]) == ("idle", None, 0)


def test_an_ack_before_the_work_settles_the_task_that_goes_on() -> None:
    log = lesson_log()
    publish(log, "a.")
    consume(log, "delivered started acked", "a.")
    picture = picture_of(log)
    assert picture["workers"][0]["slots"] == []
    assert picture["workers"][0]["busy_with"]["settled"] is True
    assert tasks(picture["ends"]["done"]["recent"]) == ["a."]


def test_a_kill_puts_manual_tasks_back_at_the_head_with_what_happened_to_them() -> None:
    log = lesson_log()
    publish(log, "a.", "b..", "c...")
    consume(log, "delivered started", "a.")
    log.record("killed", "w", "hello")
    consume(log, "requeued", "a.")
    picture = picture_of(log)
    assert picture["workers"][0]["state"] == "killed"
    assert tasks(picture["queues"][0]["waiting"]) == ["a.", "b..", "c..."]
    log.record("connected", "v", "hello", detail=MANUAL)
    consume(log, "delivered started", "a.", worker="v", redelivered=True)
    chip = picture_of(log)["workers"][1]["slots"][0]
    assert (chip["redelivered"], chip["deliveries"], chip["worked"]) == (True, 2, 2)


def test_auto_ack_tasks_of_a_killed_worker_are_lost_by_name() -> None:
    log = lesson_log(ConsumeOptions(auto_ack=True))
    publish(log, "a.", "b..")
    consume(log, "delivered started", "a.", 1)
    consume(log, "delivered", "b..", 2)
    worker = picture_of(log)["workers"][0]
    assert (worker["ack"], worker["free"], tasks(worker["slots"])) == ("auto", None, ["a.", "b.."])
    log.record("killed", "w", "hello")
    consume(log, "lost", "a.", 1)
    consume(log, "lost", "b..", 2)
    lost = picture_of(log)["ends"]["lost"]
    assert (lost["count"], sorted(tasks(lost["recent"]))) == (2, ["a.", "b.."])


def test_what_does_not_fit_is_counted() -> None:
    log = lesson_log()
    publish(log, *(f"task {number}" for number in range(1000)))
    for number in range(60):
        log.record("connected", f"w{number}", "hello", detail=MANUAL)
    picture = picture_of(log)
    queue = picture["queues"][0]
    assert (len(queue["waiting"]), queue["more"]) == (scene_module.MOST_WAITING, 1000 - scene_module.MOST_WAITING)
    assert (len(picture["workers"]), picture["more_workers"]) == (scene_module.MOST_WORKERS, 11)


def largest(letter: str) -> Moment:
    """A picture in which everything is full: queues, workers, their slots and consoles, and every end."""
    log = EventLog()
    body = letter * 30 + "." * 29
    for number in range(6):
        log.record("declared", "lesson", f"queue {number}", detail=QueueOptions(durable=True))
    for number in range(60):
        log.record("connected", f"worker-{number}", "hello", detail=ConsumeOptions(prefetch_count=20))
    ends = {"acked": "", "rejected": Handback.DISCARD, "lost": ""}
    ends |= {"returned": "", "refused": "", "dead-lettered": "", "unknown": ""}
    for number in range(2000):
        queue = "hello" if number < 1600 else f"queue {number % 6}"
        log.record(
            "published", "p", queue, str(number), f"{number:03}"[-3:] + body, detail=PublishOptions(persistent=True)
        )
        if number >= 1600:
            continue
        message = ("hello", str(number), f"{number:03}"[-3:] + body, number, True)
        kind = list(ends)[number % len(ends)]
        if number >= 800 or kind not in ("returned", "refused", "dead-lettered"):
            log.record("delivered", f"worker-{number % 60}", *message)
            log.record("started", f"worker-{number % 60}", *message)
        if number < 800:
            log.record(kind, f"worker-{number % 60}", *message, detail=ends[kind])
    scene = Scene(1.0)
    scene.update(log.rows())
    return scene.picture(9.0, UNSEEN, lambda name, count, until: [letter * 500] * count)


def test_the_largest_frame_goes_out_ten_times_a_second_and_no_text_makes_frames_too_much_for_jupyter() -> None:
    picture = largest("x")
    assert [len(worker["slots"]) for worker in picture["workers"]] == [scene_module.CROWD_SLOTS] * 50
    assert {len(worker["console"]) for worker in picture["workers"]} == {scene_module.CROWD_CONSOLE_LINES}
    assert picture["workers"][0]["more"] > 0
    assert all(end["recent"] and end["count"] > len(end["recent"]) for end in picture["ends"].values())
    assert len(picture["queues"]) == scene_module.MOST_QUEUES
    assert frame_seconds(picture) <= 1 / 8
    # ZMQChannelsWebsocketConnection.iopub_data_rate_limit is 1,000,000 bytes a second by default.
    for letter in ("x", "語", "🐇"):
        picture = largest(letter)
        assert len(json.dumps(picture, ensure_ascii=False).encode()) / frame_seconds(picture) < 900_000


def test_after_a_pause_three_frames_go_at_once_and_then_ten_a_second() -> None:
    frame, pace, now_seconds, gone = picture_of(EventLog()), FramePace(), 100.0, []
    for pause_seconds in (0.0, 5.0):
        now_seconds += pause_seconds
        for _ in range(12):
            now_seconds += pace.wait_seconds(now_seconds)
            gone.append(now_seconds)
            pace.sent(frame, now_seconds)
    for first, second, third, *others in (gone[:12], gone[12:]):
        assert first == second == third
        assert others == pytest.approx([first + number / 10 for number in range(1, 10)])


def test_what_comes_of_a_press_need_not_wait_for_the_frames_before_it() -> None:
    frame, pace = picture_of(EventLog()), FramePace()
    for _ in range(12):
        pace.sent(frame, 100.0)
    assert pace.wait_seconds(100.0) > 0.5
    pace.pressed(100.0)
    for _ in range(3):
        assert pace.wait_seconds(100.0) == 0
        pace.sent(frame, 100.0)
    assert pace.wait_seconds(100.0) == pytest.approx(0.1)


def resting(log: EventLog) -> list[str]:
    """Which queues rest, whether the rows come at once or one by one."""
    scene = Scene(1.0)
    for row in log.rows():
        scene.update(Rows.of([row]))
    shown = scene.picture(log.seconds(), UNSEEN, no_console)["resting"]
    assert shown == picture_of(log)["resting"]
    return shown


def test_a_queue_rests_once_another_one_is_declared_after_its_last_use() -> None:
    log = lesson_log()
    log.record("declared", "lesson", "parked", detail=QueueOptions())
    assert resting(log) == [], "neither was used"
    publish(log, "a.")
    log.record("declared", "lesson", "tasting", detail=QueueOptions())
    assert resting(log) == [], "a worker takes from it"
    log.record("stopped", "w", "hello")
    assert resting(log) == ["hello"]
    log.record("declared", "lesson", "hello", detail=QueueOptions(durable=True))
    assert resting(log) == [], "a cell that was run again turns to it"
    publish(log, "b.")
    for number in range(scene_module.MOST_QUEUES):
        log.record("declared", "lesson", f"more-{number}", detail=QueueOptions())
    assert resting(log) == [], "the ones in use have the room"
    assert [queue["name"] for queue in picture_of(log)["queues"]] == [
        "parked",
        "tasting",
        "more-0",
        "more-1",
        "more-2",
        "more-3",
    ]


def test_workers_that_ended_make_room_for_those_that_work() -> None:
    log = EventLog()
    for number in range(80):
        log.record("connected", f"w{number}", "hello", detail=MANUAL)
        if number < 50:
            log.record("stopped", f"w{number}", "hello")
    names = [worker["name"] for worker in picture_of(log)["workers"]]
    assert names == [f"w{number}" for number in range(30, 80)]


@pytest.mark.parametrize(
    ("told", "answer", "state"),
    [
        ("up", BrokerCounts(), "up"),
        ("up", BrokerCounts(0, False, 0), "down"),
        ("restarting", BrokerCounts(0, True, -1), "stopping"),
        ("restarting", BrokerCounts(9, False, 9), "down"),
        ("restarting", BrokerCounts(9, True, 9, {}, 5), "coming back"),
        ("restarting", BrokerCounts(9, True, 9, {}, -1), "stopping"),  # back from what was before
        ("restarting", BrokerCounts(9, False, -1), "stopping"),  # silent since before
        ("crashing", BrokerCounts(0, None, 0), "stopping"),
        ("stopping", BrokerCounts(0, True, 0), "stopping"),
        ("down", BrokerCounts(0, False, 0), "down"),
    ],
)
def test_the_broker_is_what_was_done_to_it_and_whether_it_answers(told: str, answer: BrokerCounts, state: str) -> None:
    log = EventLog()
    log.record("broker", "lesson", detail=BrokerChange(told))
    assert picture_of(log, answer)["broker_state"] == state


def test_a_broker_that_lets_clients_in_again_is_not_down_though_its_management_api_is() -> None:
    silent = BrokerCounts(2.0, False, 2.0)

    def state(*rows: tuple[float, str, str, Detail]) -> str:
        scene = Scene(1.0)
        told = [(seconds, kind, actor, "hello", None, "", None, False, detail) for seconds, kind, actor, detail in rows]
        scene.update(Rows.of(told))
        return str(scene.picture(9.0, silent, no_console)["broker_state"])

    told = (1.0, "broker", "lesson", BrokerChange.RESTARTING)
    cut_off = (1.5, "disconnected", "w", "")
    assert state(told, cut_off) == "down"
    assert state(told, cut_off, (1.9, "connected", "w", MANUAL)) == "down"  # before it fell silent
    back = (told, cut_off, (3.0, "connected", "w", MANUAL))
    assert state(*back) == "coming back"
    assert state(*back, (3.1, "disconnected", "w", "")) == "down"
    # Told again while its management API is not back yet from the time before.
    again = (4.0, "broker", "lesson", BrokerChange.RESTARTING)
    assert state(*back, again) == "stopping"
    assert state(*back, again, (4.1, "connected", "v", MANUAL)) == "stopping"
    assert state(*back, again, (4.2, "disconnected", "w", "")) == "down"
    # One that nothing was done to, and whose counts alone can't be had.
    assert state((1.0, "connected", "w", MANUAL)) == "down"
    assert state((3.0, "confirmed", "p", "")) == "up"
    assert state((3.0, "delivered", "w", ""), (3.1, "started", "w", "")) == "up"
    assert state((3.0, "delivered", "w", ""), (3.1, "disconnected", "w", "")) == "down"


def test_the_brokers_counts_stand_beside_the_logs() -> None:
    log = lesson_log()
    publish(log, "a.")
    picture = picture_of(log, BrokerCounts(1, True, 0, {"hello": (7, 3), "others": (1, 0)}))
    assert picture["queues"][0]["ready"] == {"broker": 7, "log": 1}
    assert picture["queues"][0]["unacknowledged"] == {"broker": 3, "log": 0}
    assert [queue["name"] for queue in picture["queues"]] == ["hello", "others"]


def test_publishers_count_and_those_at_work_are_named() -> None:
    log = EventLog()
    log.record("connected", "publisher-1", "hello")
    log.record("connected", "publisher-2", "hello")
    publish(log, "a.")
    log.record("published", "publisher-1", "hello", "x", "x")
    log.record("confirmed", "publisher-1", "hello", "x", "x")
    log.record("blocked", "publisher-1", "hello")
    log.record("stopped", "publisher-2", "hello")
    publishers = picture_of(log)["publishers"]
    assert (publishers["published"], publishers["confirmed"]) == (2, 1)
    assert publishers["active"] == [{"name": "publisher-1", "state": "blocked", "published": 1}]


def test_what_the_notebook_itself_has_fetched_is_shown_with_it() -> None:
    log = EventLog()
    publish(log, "a.")
    log.record("delivered", "notebook", "hello", "id of a.", "a.", 1)
    worker = picture_of(log)["workers"][0]
    assert (worker["name"], tasks(worker["slots"])) == ("notebook", ["a."])
    assert (worker["program"], worker["queue"], worker["free"]) == ("", "", 0)  # nothing to stop, and it takes no more


def test_dots_that_the_log_does_not_hold_are_not_guessed() -> None:
    log = lesson_log()
    long = "." * 59 + "…"
    publish(log, long)
    consume(log, "delivered started", long)
    assert picture_of(log)["workers"][0]["busy_with"]["work_seconds"] == 0


def test_consoles_are_asked_for_the_moment_that_is_shown() -> None:
    asked: list[tuple[str, float]] = []

    def console(name: str, count: int, until_seconds: float) -> list[str]:
        asked.append((name, until_seconds))
        return ["a line"]

    scene = Scene(1.0)
    scene.update(lesson_log().rows())
    assert scene.picture(4.5, BrokerCounts(), console)["workers"][0]["console"] == ["a line"]
    assert asked == [("w", 4.5)]


# -- any order of events ------------------------------------------------------------------------------

ACTORS = ["w1", "w2", "p1", "lesson"]
QUEUES = ["hello", "other", ""]
DETAILS = ["", MANUAL, ConsumeOptions(auto_ack=True), PublishOptions(True), PublishOptions(), QueueOptions(),
           QueueOptions(durable=True), *Handback, *BrokerChange]  # fmt: skip

EVENTS = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(ACTORS),
    st.sampled_from(QUEUES),
    st.sampled_from([None, "m1", "m2", "m3", "m4"]),
    st.sampled_from(["a.", "b.."]),
    st.sampled_from([None, 1, 2, 3]),
    st.booleans(),
    st.sampled_from(DETAILS),
)


def logged(events: list[tuple[Any, ...]]) -> EventLog:
    log = EventLog()
    for event in events:
        log.record(*event)
    return log


def where(picture: Moment) -> Counter[int]:
    """Return how often each message that is drawn stands somewhere."""
    chips = [chip for queue in picture["queues"] for chip in queue["waiting"]]
    chips += [chip for worker in picture["workers"] for chip in worker["slots"]]
    chips += [chip for end in picture["ends"].values() for chip in end["recent"]]
    return Counter(chip["key"] for chip in chips)


@settings(max_examples=examples(400))
@given(st.lists(EVENTS, max_size=60))
def test_no_message_is_in_two_places_and_none_disappears(events: list[tuple[Any, ...]]) -> None:
    log = logged(events)
    scene = Scene(1.0)
    scene.update(log.rows())
    picture = scene.picture(log.seconds(), BrokerCounts(), no_console)
    assert set(where(picture).values()) <= {1}
    ready = sum(queue["ready"]["log"] for queue in picture["queues"])
    in_hand = sum(len(worker["slots"]) + worker["more"] for worker in picture["workers"])
    ended = sum(picture["ends"][place]["count"] for place in ENDS)
    assert ready + in_hand + ended == len(scene.ledger)
    for queue in picture["queues"]:
        assert len(queue["waiting"]) + queue["more"] == queue["ready"]["log"]
        assert queue["unacknowledged"]["log"] >= 0
    places = Counter(message.place for message in scene.ledger)
    assert (ready, in_hand) == (places["waiting"], places["in hand"])
    assert {place: picture["ends"][place]["count"] for place in ENDS} == {place: places[place] for place in ENDS}
    json.dumps(picture)


@settings(max_examples=examples(100))
@given(st.lists(EVENTS, max_size=40), st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_the_picture_does_not_depend_on_how_the_rows_came(events: list[tuple[Any, ...]], steps: list[int]) -> None:
    log = logged(events)
    whole, pieces = Scene(1.0), Scene(1.0)
    whole.update(log.rows())
    for step in steps:
        pieces.update(log.rows(pieces.events, min(len(log), pieces.events + step)))
    pieces.update(log.rows(pieces.events))
    for answer in (BrokerCounts(), BrokerCounts(0, False, -1)):
        assert whole.picture(99.0, answer, no_console) == pieces.picture(99.0, answer, no_console)


class World(RuleBasedStateMachine):
    """A tiny RabbitMQ with workers that keeps its own account of everything; the picture must say the same.

    Two durable queues with a worker each: "auto" settles by being sent, "manual" by its acks.
    """

    WORKERS = {"manual": "hello", "auto": "other"}  # noqa: RUF012 - never changed
    QUEUES = ("hello", "other")

    def __init__(self) -> None:
        super().__init__()
        self.small = pytest.MonkeyPatch()  # so that not all of it fits
        self.small.setattr(scene_module, "MOST_WAITING", 3)
        self.small.setattr(scene_module, "MOST_SLOTS", 2)
        self.log, self.scene = EventLog(), Scene(1.0)
        self.seen: list[tuple[int, str]] = []
        self.waiting: dict[str, list[int]] = {queue: [] for queue in self.QUEUES}  # in the order of publishing
        self.held: dict[str, dict[int, tuple[int, str]]] = {worker: {} for worker in self.WORKERS}  # tag → what, phase
        self.settled_at_work: dict[str, tuple[int, int]] = {}  # acked before its callback returned: tag and what
        self.states = dict.fromkeys(self.WORKERS, "idle")
        self.done = dict.fromkeys(self.WORKERS, 0)
        self.ended: dict[str, list[int]] = {place: [] for place in ENDS}
        self.facts: list[dict[str, Any]] = []  # of each message
        self.queue_of: list[str] = []
        self.order: list[str] = []
        self.tags = 0
        for queue in self.QUEUES:
            self.log.record("declared", "lesson", queue, detail=QueueOptions(durable=True))
        for worker in self.WORKERS:
            self.connect(worker, "starting")
        for number in range(8):
            self.publish(self.QUEUES[number % 2], number % 3 == 0, 1)

    def connect(self, worker: str, *before: str) -> None:
        detail = ConsumeOptions(auto_ack=True) if worker == "auto" else MANUAL
        if before:  # another one takes the last place
            self.order = [name for name in self.order if name != worker] + [worker]
        for kind in (*before, "connected"):
            self.log.record(kind, worker, self.WORKERS[worker], detail=detail)
        self.states[worker] = "idle"

    def say(self, kind: str, worker: str, tag: int, what: int, detail: Detail = "") -> None:
        fact = self.facts[what]
        redelivered = fact["deliveries"] > 1
        self.log.record(kind, worker, self.WORKERS[worker], str(what), fact["task"], tag, redelivered, detail)

    def put_back(self, queue: str, what: int) -> None:
        bisect.insort(self.waiting[queue], what)

    def at_work(self, worker: str) -> int | None:
        """The tag of what is in the worker's callback, settled or not."""
        if worker in self.settled_at_work:
            return self.settled_at_work[worker][0]
        return next((tag for tag, (_, phase) in self.held[worker].items() if phase == "working"), None)

    # -- what happens

    @rule(worker=st.sampled_from(list(WORKERS)), steps=st.integers(1, 12))
    def go_on(self, worker: str, steps: int) -> None:
        """As it goes where nothing goes wrong: from chance alone little would come to its end."""
        for _ in range(steps):
            phases = [phase for _, phase in self.held[worker].values()]
            if worker == "manual" and "finished" in phases:
                self.settle_one(
                    next(tag for tag, (_, phase) in self.held[worker].items() if phase == "finished"), "acked"
                )
            elif self.at_work(worker) is not None:
                self.return_from_callback(worker, "finished")
            elif "dispatched" in phases:
                self.start(worker)
            else:
                self.deliver(worker)

    @rule(
        first=st.integers(3, 12),
        second=st.integers(3, 12),
        end=st.sampled_from(["acked", "nacked", "rejected"]),
        requeue=st.booleans(),
    )
    def a_while_passes(self, first: int, second: int, end: str, requeue: bool) -> None:
        for worker, steps in (("manual", first), ("auto", second)):
            self.publish(self.WORKERS[worker], True, 1)
            if self.states[worker] == "killed":
                self.start_another(worker)
            self.go_on(worker, steps)
        self.start("manual")
        if begun := [tag for tag, (_, phase) in self.held["manual"].items() if phase != "dispatched"]:
            self.settle_one(begun[0], end, requeue)

    @rule(queue=st.sampled_from(QUEUES), persistent=st.booleans(), dots=st.integers(0, 3))
    def publish(self, queue: str, persistent: bool, dots: int) -> None:
        what = len(self.facts)
        task = f"Task {what}" + dots * "."
        facts = {"key": what, "task": task, "dots": dots, "persistent": persistent}
        self.facts.append({**facts, "redelivered": False, "deliveries": 0, "worked": 0, "back_from": ""})
        self.queue_of.append(queue)
        self.waiting[queue].append(what)
        self.log.record("published", "publisher", queue, str(what), task, detail=PublishOptions(persistent))

    @rule(end=st.sampled_from(["returned", "refused"]), queue=st.sampled_from(QUEUES))
    def publish_in_vain(self, end: str, queue: str) -> None:
        self.publish(queue, True, 1)
        what = self.waiting[queue].pop()
        self.log.record(end, "publisher", queue, str(what), self.facts[what]["task"])
        self.ended[end].append(what)

    @rule(worker=st.sampled_from(list(WORKERS)))
    def deliver(self, worker: str) -> None:
        queue = self.WORKERS[worker]
        if not self.waiting[queue] or self.states[worker] == "killed":
            return
        what = self.waiting[queue].pop(0)
        self.tags += 1
        fact = self.facts[what]
        fact["redelivered"] = fact["deliveries"] > 0
        fact["deliveries"] += 1
        self.held[worker][self.tags] = (what, "dispatched")
        self.say("delivered", worker, self.tags, what)

    @rule(worker=st.sampled_from(list(WORKERS)))
    def start(self, worker: str) -> None:
        if self.at_work(worker) is not None:
            return
        for tag, (what, phase) in self.held[worker].items():
            if phase == "dispatched":
                self.held[worker][tag] = (what, "working")
                self.facts[what]["worked"] += 1
                self.say("started", worker, tag, what)
                return

    @rule(worker=st.sampled_from(list(WORKERS)), end=st.sampled_from(["finished", "failed"]))
    def return_from_callback(self, worker: str, end: str) -> None:
        if worker in self.settled_at_work:
            tag, what = self.settled_at_work.pop(worker)
            self.say(end, worker, tag, what)
            return
        tag_at_work = self.at_work(worker)
        if tag_at_work is None:
            return
        what, _ = self.held[worker][tag_at_work]
        self.say(end, worker, tag_at_work, what)
        if worker == "manual":
            self.held[worker][tag_at_work] = (what, "finished")  # no ack yet
            return
        del self.held[worker][tag_at_work]
        self.done[worker] += end == "finished"
        self.ended["done" if end == "finished" else "lost"].append(what)

    @rule(data=st.data(), end=st.sampled_from(["acked", "nacked", "rejected"]), requeue=st.booleans())
    def settle(self, data: st.DataObject, end: str, requeue: bool) -> None:
        self.start("manual")
        begun = [tag for tag, (_, phase) in self.held["manual"].items() if phase != "dispatched"]
        if begun:
            self.settle_one(data.draw(st.sampled_from(begun)), end, requeue)

    def settle_one(self, tag: int, end: str, requeue: bool = False) -> None:
        what, phase = self.held["manual"].pop(tag)
        if phase == "working":
            self.settled_at_work["manual"] = (tag, what)
        self.say(end, "manual", tag, what, "" if end == "acked" else Handback.REQUEUE if requeue else Handback.DISCARD)
        if end == "acked":
            self.done["manual"] += 1
            self.ended["done"].append(what)
        elif requeue:
            self.put_back("hello", what)
        else:
            self.ended["discarded"].append(what)

    @rule(data=st.data())
    def redeliver_what_was_acked_in_vain(self, data: st.DataObject) -> None:
        """The ack was sent, and did not get to the broker before the connection went."""
        acked = [what for what in self.ended["done"] if self.queue_of[what] == "hello"]
        if not acked or self.states["manual"] == "killed":
            return
        what = data.draw(st.sampled_from(acked))
        if ("manual", what) in [(worker, held) for worker, (_, held) in self.settled_at_work.items()]:
            return
        self.ended["done"].remove(what)
        self.waiting["hello"].insert(0, what)
        self.deliver("manual")

    def cut_off(self, worker: str) -> None:
        for tag, (what, _) in self.held[worker].items():
            self.say("lost" if worker == "auto" else "requeued", worker, tag, what)
            if worker == "auto":
                self.ended["lost"].append(what)
            else:
                self.put_back("hello", what)
        self.held[worker].clear()
        if worker in self.settled_at_work:  # a callback that outlives its connection
            tag, what = self.settled_at_work.pop(worker)
            self.say("finished", worker, tag, what)

    @rule(worker=st.sampled_from(list(WORKERS)))
    def kill(self, worker: str) -> None:
        if self.states[worker] != "killed":
            self.log.record("killed", worker, self.WORKERS[worker])
            self.states[worker] = "killed"
            self.cut_off(worker)

    @rule(worker=st.sampled_from(list(WORKERS)))
    def start_another(self, worker: str) -> None:
        if self.states[worker] == "killed":
            self.connect(worker, "starting")

    @rule(worker=st.sampled_from(list(WORKERS)))
    def freeze_or_thaw(self, worker: str) -> None:
        if self.states[worker] != "killed":
            freezes = self.states[worker] == "idle"
            self.states[worker] = "frozen" if freezes else "idle"
            self.log.record("frozen" if freezes else "thawed", worker, self.WORKERS[worker])

    @rule(queue=st.sampled_from(QUEUES), seldom=st.integers(0, 2))
    def purge(self, queue: str, seldom: int) -> None:
        if seldom:
            return
        self.log.record("purged", "lesson", queue)
        self.ended["discarded"] += self.waiting[queue]
        self.waiting[queue] = []

    @rule(seldom=st.integers(0, 2))
    def restart(self, seldom: int) -> None:
        if seldom:
            return
        self.log.record("broker", "lesson", detail=BrokerChange.RESTARTING)
        there = [worker for worker in self.WORKERS if self.states[worker] != "killed"]
        for worker in there:
            self.log.record("disconnected", worker, self.WORKERS[worker])
            if self.states[worker] == "frozen":
                self.log.record("thawed", worker, self.WORKERS[worker])
            self.cut_off(worker)
        self.log.record("broker", "lesson", detail=BrokerChange.UP)
        for queue in self.QUEUES:  # what was in memory alone is gone
            self.ended["lost"] += [what for what in self.waiting[queue] if not self.facts[what]["persistent"]]
            self.waiting[queue] = [what for what in self.waiting[queue] if self.facts[what]["persistent"]]
        for worker in there:
            self.connect(worker)

    # -- what must be seen

    @invariant()
    def the_picture_says_the_same(self) -> None:
        self.scene.update(self.log.rows(self.scene.events))
        picture = self.scene.picture(0.0, UNSEEN, no_console)
        self.seen.append((len(self.log), json.dumps(picture)))
        for shown in picture["queues"]:
            waiting = self.waiting[shown["name"]]
            worker = next(name for name, queue in self.WORKERS.items() if queue == shown["name"])
            facts = [self.facts[what] for what in waiting[: scene_module.MOST_WAITING]]
            assert shown["waiting"] == [{**fact, "back_from": worker if fact["deliveries"] else ""} for fact in facts]
            assert (shown["ready"]["log"], shown["more"]) == (len(waiting), len(waiting) - len(shown["waiting"]))
            assert shown["unacknowledged"]["log"] == (0 if worker == "auto" else len(self.held[worker]))
        assert [shown["name"] for shown in picture["queues"]] == list(self.QUEUES)
        assert [shown["name"] for shown in picture["workers"]] == self.order
        # What is over is forgotten: a lesson may see millions.
        assert len(self.scene.ledger._in_hand._deliveries) == sum(map(len, self.held.values())) + len(
            self.settled_at_work
        )
        for shown in picture["workers"]:
            name = shown["name"]
            held = [{**self.facts[what], "phase": phase} for what, phase in self.held[name].values()]
            assert shown["slots"] == held[: scene_module.MOST_SLOTS]
            assert (shown["more"], shown["done"]) == (len(held) - len(shown["slots"]), self.done[name])
            at_work = self.at_work(name)
            state = self.states[name]
            assert shown["state"] == ("busy" if state == "idle" and at_work is not None else state)
            assert (shown["busy_with"] is not None) == (at_work is not None)
            assert shown["ack"] == name
            if name == "manual" and state != "killed":
                assert shown["free"] == max(0, 2 - len(held))
        for place, ended in self.ended.items():
            assert picture["ends"][place]["count"] == len(ended)
            assert Counter(chip["key"] for chip in picture["ends"][place]["recent"]) <= Counter(ended)
            assert len(picture["ends"][place]["recent"]) >= min(len(ended), scene_module.MOST_ENDED)
            assert all(chip == self.facts[chip["key"]] for chip in picture["ends"][place]["recent"])
        assert set(where(picture).values()) <= {1}
        assert picture["publishers"]["published"] == len(self.facts) == len(self.scene.ledger)

    def teardown(self) -> None:
        """Rewound to any moment that was seen, the picture is what it was then."""
        try:
            for events, picture in self.seen[::7]:
                scene = Scene(1.0)
                scene.update(self.log.rows(0, events))
                assert json.dumps(scene.picture(0.0, UNSEEN, no_console)) == picture
        finally:
            self.small.undo()


World.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=40)
TestWorld = World.TestCase


def test_a_task_that_came_back_says_from_whom() -> None:
    log = lesson_log()
    publish(log, "a.", "b.")
    consume(log, "delivered started", "a.")
    log.record("killed", "w", "hello")
    consume(log, "requeued", "a.")
    assert [chip["back_from"] for chip in picture_of(log)["queues"][0]["waiting"]] == ["w", ""]
    consume(log, "delivered", "a.", worker="w2", redelivered=True)
    chips = [slot for card in picture_of(log)["workers"] for slot in card["slots"]]
    assert [(chip["back_from"], chip["redelivered"]) for chip in chips] == [("", True)]
