"""The stage's picture is computed from the log alone: every message once, every count as the log has it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from workq_helpers.events import KINDS, EventLog
from workq_helpers.ledger import ENDS
from workq_helpers.stage import scene as scene_module
from workq_helpers.stage.scene import Picture, Scene, Sighting

MANUAL = "manual ack, prefetch 2"
UNSEEN = Sighting()


def no_console(name: str, count: int, until_seconds: float) -> list[str]:
    return []


def picture_of(log: EventLog, sighting: Sighting = UNSEEN, seconds: float | None = None) -> Picture:
    scene = Scene(seconds_per_dot=1.0)
    scene.update(log.rows())
    return scene.picture(log.seconds() if seconds is None else seconds, sighting, no_console)


def lesson_log(detail: str = MANUAL) -> EventLog:
    log = EventLog()
    log.record("declared", "lesson", "hello", detail="durable classic")
    log.record("starting", "w", "hello", detail=detail)
    log.record("connected", "w", "hello", detail=detail)
    return log


def publish(log: EventLog, *tasks: str, detail: str = "persistent") -> None:
    for task in tasks:
        log.record("published", "p", "hello", f"id of {task}", task, detail=detail)


def consume(log: EventLog, kinds: str, task: str, tag: int = 1, worker: str = "w", redelivered: bool = False) -> None:
    for kind in kinds.split():
        log.record(kind, worker, "hello", f"id of {task}", task, tag, redelivered)


def tasks(chips: list[Picture]) -> list[str]:
    return [chip["task"] for chip in chips]


def test_nothing_has_happened() -> None:
    picture = picture_of(EventLog())
    assert (picture["queues"], picture["workers"], picture["broker_state"]) == ([], [], "up")
    assert picture["summary"] == "Nothing has happened yet."


def test_published_messages_wait_in_their_queue_in_order() -> None:
    log = lesson_log()
    publish(log, "a.", "b..")
    queue = picture_of(log)["queues"][0]
    assert (queue["name"], queue["durability"], queue["type"]) == ("hello", "durable", "classic")
    assert tasks(queue["waiting"]) == ["a.", "b.."]
    assert queue["waiting"][1] == {
        "key": 1, "task": "b..", "dots": 2, "persistent": True, "redelivered": False, "deliveries": 0, "worked": 0
    }  # fmt: skip
    assert queue["ready"] == {"broker": None, "log": 2}


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
    log = lesson_log("auto_ack")
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


def test_the_largest_frame_stays_below_jupyters_limit_at_ten_a_second() -> None:
    log = EventLog()
    publish(log, *(f"{number:03}" + "." * 57 for number in range(900)))
    for number in range(800):
        worker = f"worker-{number % 60}"
        if number < 60:
            log.record("connected", worker, "hello", detail="manual ack, prefetch 20")
        consume(log, "delivered started", f"{number:03}" + "." * 57, number, worker)
    for number in range(6):
        log.record("declared", "lesson", f"queue {number}", detail="durable classic")
    scene = Scene(1.0)
    scene.update(log.rows())
    picture = scene.picture(9.0, UNSEEN, lambda name, count, until: ["x" * 160] * count)
    assert [len(worker["slots"]) for worker in picture["workers"]] == [scene_module.FEW_SLOTS] * 50
    assert picture["workers"][0]["more"] == 14 - scene_module.FEW_SLOTS
    # ZMQChannelsWebsocketConnection.iopub_data_rate_limit is 1,000,000 bytes a second by default.
    assert 10 * len(json.dumps(picture)) < 900_000


def test_workers_that_ended_make_room_for_those_that_work() -> None:
    log = EventLog()
    for number in range(80):
        log.record("connected", f"w{number}", "hello", detail=MANUAL)
        if number < 50:
            log.record("stopped", f"w{number}", "hello")
    names = [worker["name"] for worker in picture_of(log)["workers"]]
    assert names == [f"w{number}" for number in range(30, 80)]


@pytest.mark.parametrize(
    ("told", "sighting", "state"),
    [
        ("up", Sighting(), "up"),
        ("up", Sighting(0, False, 0), "down"),
        ("restarting", Sighting(0, True, -1), "stopping"),
        ("restarting", Sighting(9, False, 9), "down"),
        ("restarting", Sighting(9, True, 9), "coming back"),
        ("crashing", Sighting(0, None, 0), "stopping"),
        ("stopping", Sighting(0, True, 0), "stopping"),
        ("down", Sighting(0, False, 0), "down"),
    ],
)
def test_the_broker_is_what_was_done_to_it_and_whether_it_answers(told: str, sighting: Sighting, state: str) -> None:
    log = EventLog()
    log.record("broker", "lesson", detail=told)
    assert picture_of(log, sighting)["broker_state"] == state


def test_the_brokers_counts_stand_beside_the_logs() -> None:
    log = lesson_log()
    publish(log, "a.")
    picture = picture_of(log, Sighting(1, True, 0, {"hello": (7, 3), "others": (1, 0)}))
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
    assert scene.picture(4.5, Sighting(), console)["workers"][0]["console"] == ["a line"]
    assert asked == [("w", 4.5)]


# -- any order of events ------------------------------------------------------------------------------

ACTORS = ["w1", "w2", "p1", "lesson"]
QUEUES = ["hello", "other", ""]
DETAILS = ["", MANUAL, "auto_ack", "persistent", "transient", "transient classic", "durable classic", "requeue",
           "discard", "restarting", "up", "down"]  # fmt: skip

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


def where(picture: Picture) -> Counter[int]:
    """Return how often each message that is drawn stands somewhere."""
    chips = [chip for queue in picture["queues"] for chip in queue["waiting"]]
    chips += [chip for worker in picture["workers"] for chip in worker["slots"]]
    chips += [chip for end in picture["ends"].values() for chip in end["recent"]]
    return Counter(chip["key"] for chip in chips)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_no_message_is_in_two_places_and_none_disappears(events: list[tuple[Any, ...]]) -> None:
    log = logged(events)
    scene = Scene(1.0)
    scene.update(log.rows())
    picture = scene.picture(log.seconds(), Sighting(), no_console)
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


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=40), st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_the_picture_does_not_depend_on_how_the_rows_came(events: list[tuple[Any, ...]], steps: list[int]) -> None:
    log = logged(events)
    whole, pieces = Scene(1.0), Scene(1.0)
    whole.update(log.rows())
    for step in steps:
        pieces.update(log.rows(pieces.events, min(len(log), pieces.events + step)))
    pieces.update(log.rows(pieces.events))
    assert whole.picture(99.0, Sighting(), no_console) == pieces.picture(99.0, Sighting(), no_console)
