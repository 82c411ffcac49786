"""The stage on a real broker, from a command as the browser sends it to the frame that the browser gets."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from workq_helpers import Broker, Lesson, print_work_and_ack
from workq_helpers.log.events import EventLog
from workq_helpers.stage import Stage, saving
from workq_helpers.stage.broker_counts import BrokerWatch
from workq_helpers.stage.frame import Frame, WorkerCard
from workq_helpers.stage.playhead import Playhead
from workq_helpers.stage.scene import Scene
from workq_helpers.stage.widget import StageWidget

pytestmark = pytest.mark.once  # what it knows of RabbitMQ comes through a lesson, and a browser looks on every version


class Browser:
    """Stands in for one: takes frames and answers, and sends commands."""

    def __init__(self, lesson: Lesson, poll_for: Callable[..., None]) -> None:
        self.stage = lesson.stage
        self._widget = self.stage._widget
        self.frames: list[Frame] = []
        self.writers: set[int] = set()
        self.answers: dict[object, dict[str, Any]] = {}
        self.taken: list[object] = []
        self._poll_for = poll_for
        self._sent = 0
        self._widget.observe(self._take_frame, "frame")
        self._send, self._widget.send = self._widget.send, self._take_answer

    def _take_frame(self, change: Any) -> None:
        self.writers.add(threading.get_ident())
        self.frames.append(json.loads(json.dumps(change.new)))

    def _take_answer(self, content: dict[str, Any]) -> None:
        if content.get("taken"):
            self.taken.append(content["id"])
        else:
            self.answers[content["id"]] = content

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def do(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        return self.ask({"do": name, **arguments})

    def explain(self, name: str, **arguments: Any) -> str:
        return str(self.ask({"explain": {"do": name, **arguments}})["code"])

    def ask(self, content: dict[str, Any]) -> dict[str, Any]:
        self._sent += 1
        number = self._sent
        self._widget._handle_custom_msg({"id": number, **content}, [])
        self._poll_for(lambda: number in self.answers)
        return self.answers[number]

    def sees(self, condition: Callable[[Frame], object]) -> None:
        """Wait until a frame has shown something."""
        self._poll_for(lambda: any(condition(frame) for frame in list(self.frames)))

    def shows(self, condition: Callable[[Frame], object]) -> None:
        """Wait until the latest frame shows something."""
        self._poll_for(lambda: self.frames and condition(self.frame))

    def leave(self) -> None:
        self._widget.unobserve(self._take_frame, "frame")
        self._widget.send = self._send


@pytest.fixture
def browser(lesson: Lesson, poll_for: Callable[..., None]) -> Iterator[Browser]:
    browser = Browser(lesson, poll_for)
    yield browser
    browser.leave()


def worker_of(frame: Frame, name: str) -> WorkerCard | None:
    return next((worker for worker in frame["workers"] if worker["name"] == name), None)


def done(frame: Frame) -> int:
    return int(frame["ends"]["done"]["count"])


def test_a_task_goes_from_the_text_box_to_done(lesson: Lesson, browser: Browser) -> None:
    assert browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=1)["ok"]
    assert browser.do("send", queue="hello", task="Hello" + 30 * ".", persistent=True)["ok"]
    browser.sees(lambda frame: any(worker["state"] == "busy" for worker in frame["workers"]))
    browser.shows(lambda frame: done(frame) == 1)
    worker = worker_of(browser.frame, "worker-1")
    assert worker is not None
    assert worker["console"] == [" [*] Waiting for messages.", f" [x] Received Hello{30 * '.'}", " [x] Done"]
    assert browser.frame["ends"]["done"]["recent"][0]["persistent"] is True
    browser.shows(lambda frame: frame["queues"][0]["ready"] == {"broker": 0, "log": 0})
    browser.shows(lambda frame: frame["queues"][0]["unacknowledged"] == {"broker": 0, "log": 0})


def test_a_command_is_taken_at_once_and_answered_when_it_is_done(
    lesson: Lesson, browser: Browser, monkeypatch: pytest.MonkeyPatch, poll_for: Callable[..., None]
) -> None:
    go_on, start_worker = threading.Event(), lesson.start_worker

    def slow(*arguments: Any, **options: Any) -> Any:
        assert go_on.wait(30)
        return start_worker(*arguments, **options)

    monkeypatch.setattr(lesson, "start_worker", slow)
    command = {"id": "slow", "do": "add_worker", "queue": "hello", "auto_ack": False, "prefetch_count": 1}
    browser._widget._handle_custom_msg(command, [])
    poll_for(lambda: browser.taken == ["slow"])
    assert browser.answers == {}
    go_on.set()
    poll_for(lambda: browser.answers.get("slow", {}).get("ok"))


def test_what_waited_longer_than_its_experiment_is_dropped_with_a_sentence(
    lesson: Lesson, browser: Browser, poll_for: Callable[..., None]
) -> None:
    cells = browser.stage._cells
    cells._begin()
    browser.shows(lambda frame: frame["during"])
    pressed = browser.frame["during"]
    command = {"do": "send", "queue": "hello", "task": "t", "during": pressed}
    assert browser.ask(command)["ok"]
    cells._end()
    assert browser.ask(command)["ok"]  # it waited for the cell, and nothing has begun since
    browser.shows(lambda frame: frame["during"] == "")
    cells._begin()
    answer = browser.ask(command)
    assert (answer["ok"], "another experiment has begun" in answer["text"]) == (False, True)
    browser.shows(lambda frame: frame["notices"] and frame["notices"][-1]["text"] == answer["text"])
    browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 2)
    # In a subshell nothing waits for a cell: a frame has come late, that is all.
    number = "from a subshell"
    subshell = threading.Thread(target=browser._widget._handle_custom_msg, args=({"id": number, **command}, []))
    subshell.start()
    poll_for(lambda: browser.answers.get(number, {}).get("ok"))
    subshell.join()
    cells._end()
    lesson.start_over()
    assert browser.ask({**command, "during": f"{cells.begun}.0"})["ok"] is False


def test_one_thread_alone_writes_frames_and_they_are_few(lesson: Lesson, browser: Browser) -> None:
    browser.do("add_worker", queue="hello", auto_ack=True, prefetch_count=0)
    browser.do("many", queue="hello", count=3000, dots=0, rate=0)
    browser.shows(lambda frame: done(frame) == 3000)
    assert len(browser.writers) == 1
    assert len(browser.frames) < 1500
    numbers = [frame["number"] for frame in browser.frames]
    assert numbers == sorted(set(numbers))


def test_what_waits_with_no_worker_is_counted_by_log_and_broker(lesson: Lesson, browser: Browser) -> None:
    browser.do("five", queue="hello")
    browser.shows(lambda frame: frame["queues"][0]["ready"] == {"broker": 5, "log": 5})
    assert len(browser.frame["queues"][0]["waiting"]) == 5
    browser.do("purge", queue="hello")
    browser.shows(lambda frame: frame["queues"][0]["ready"] == {"broker": 0, "log": 0})
    assert "5 messages were taken out of hello." in browser.frame["notices"][-1]["text"]
    assert browser.frame["ends"]["discarded"]["count"] == 5


def test_a_run_is_saved_beside_the_notebook_and_the_stage_says_where_or_why_not(
    lesson: Lesson, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    lesson.start_worker(print_work_and_ack, queue="hello")
    browser.do("send", queue="hello", task="Soup.")
    browser.shows(lambda frame: done(frame) == 1)
    assert browser.do("save_run")["ok"]
    [file] = folder.iterdir()
    assert [row["fate"] for row in saving.load(file).file["tasks"]] == ["done"]
    told = f"The run is in the file {file.name}, in the folder ~/notebooks."
    browser.shows(lambda frame: frame["notices"] and frame["notices"][-1]["text"].startswith(told))
    assert browser.frame["python"][-1]["code"] == f'lesson.save_run("{file.name}")'
    file.unlink()
    folder.rmdir()
    refused = browser.do("save_run")
    assert refused["ok"] is False
    assert refused["text"].startswith(f"{file.name} can't be written: ")
    browser.shows(
        lambda frame: frame["notices"][-1] == {**frame["notices"][-1], "level": "error", "text": refused["text"]}
    )


def test_tasks_sent_one_after_another_stay_in_order(lesson: Lesson, browser: Browser) -> None:
    for number in range(6):
        browser._widget._handle_custom_msg({"id": -number, "do": "send", "queue": "hello", "task": f"t{number}"}, [])
    browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 6)
    assert [chip["task"] for chip in browser.frame["queues"][0]["waiting"]] == [f"t{number}" for number in range(6)]


def test_a_worker_is_frozen_thawed_killed_and_its_task_redelivered(lesson: Lesson, browser: Browser) -> None:
    browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=1)
    browser.do("send", queue="hello", task="slow" + "." * 50)
    browser.shows(lambda frame: frame["workers"][0]["state"] == "busy")
    browser.do("freeze", worker="worker-1")
    browser.shows(lambda frame: frame["workers"][0]["state"] == "frozen")
    assert browser.frame["workers"][0]["busy_with"]["running"] is False
    browser.do("thaw", worker="worker-1")
    browser.shows(lambda frame: frame["workers"][0]["state"] == "busy")
    browser.do("kill", worker="worker-1")
    browser.shows(lambda frame: frame["workers"][0]["state"] == "killed")
    browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 1)
    browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=1)
    browser.shows(lambda frame: done(frame) == 1)
    chip = browser.frame["ends"]["done"]["recent"][0]
    assert (chip["redelivered"], chip["worked"]) == (True, 2)


def test_a_stopped_worker_finishes_its_task(lesson: Lesson, browser: Browser) -> None:
    browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=1)
    browser.do("send", queue="hello", task="t.....")
    browser.sees(lambda frame: any(worker["state"] == "busy" for worker in frame["workers"]))
    assert browser.do("stop", worker="worker-1")["ok"]
    browser.shows(lambda frame: frame["workers"][0]["state"] == "stopped" and done(frame) == 1)


def test_a_queue_is_declared_from_the_stage_and_until_then_nothing_can_be_sent(
    broker: Broker, poll_for: Callable[..., None]
) -> None:
    with Lesson("nothing-declared", broker) as lesson:
        browser = Browser(lesson, poll_for)
        browser.shows(lambda frame: "send" in frame["actions"])
        assert "Declare a queue first" in browser.frame["actions"]["send"]["why"]
        assert browser.do("declare", queue="fresh", durable=True)["ok"]
        browser.shows(lambda frame: frame["queue"] == "fresh" and not frame["actions"])
        assert browser.frame["queues"][0]["durability"] == "durable"
        browser.leave()


def test_a_stage_keeps_nothing_of_a_lesson_that_is_closed(broker: Broker) -> None:
    lesson = Lesson("let-go", broker)
    stage = lesson.stage
    kept = weakref.ref(lesson), weakref.ref(lesson.log)
    lesson.close()
    del lesson
    gc.collect()
    assert [each() for each in kept] == [None, None]
    assert "is closed" in stage._widget.frame["closed"]
    with Lesson("let-go", broker) as again:
        assert again.stage is stage


def test_what_is_said_again_stands_once(lesson: Lesson, browser: Browser) -> None:
    texts = [browser.do("replay", experiment="poison")["text"] for _ in range(3)]
    assert "There is nothing to replay of 'poison'" in texts[0]
    assert texts == [texts[0]] * 3
    texts.append(browser.do("replay", experiment="another")["text"])
    browser.shows(lambda frame: [notice["text"] for notice in frame["notices"]] == texts[2:])


def test_nonsense_is_answered_with_a_sentence_and_changes_nothing(lesson: Lesson, browser: Browser) -> None:
    for command in ({"do": "kill", "worker": "nobody"}, {"do": "explode"}, {"do": "send", "queue": ""}):
        answer = browser.ask(command)
        assert answer["ok"] is False
        assert answer["text"]
    assert browser.do("add_worker", queue="not there", auto_ack=False, prefetch_count=1)["ok"] is False
    browser.shows(lambda frame: frame["notices"] and "not there" in frame["notices"][-1]["text"])
    assert lesson.workers == []
    browser._widget._handle_custom_msg("no command at all", [])
    assert browser.do("live")["ok"]


def test_every_control_tells_its_call_and_the_calls_made_are_kept(lesson: Lesson, browser: Browser) -> None:
    assert browser.explain("purge", queue="hello") == 'lesson.purge("hello")'
    browser.do("send", queue="hello", task="x")
    for _ in range(12):
        browser.do("pause")
    browser.shows(lambda frame: len(frame["python"]) == 10)
    assert browser.frame["python"][-1]["code"] == "lesson.stage.pause()"


def test_a_kill_is_told_marked_and_found_again(lesson: Lesson, browser: Browser) -> None:
    lesson.start_worker(print_work_and_ack, queue="hello", prefetch_count=3)
    lesson.start_publisher(["Stew" + 600 * ".", "Soup."], queue="hello").wait(10)
    browser.shows(lambda frame: frame["workers"][0]["slots"] and frame["workers"][0]["busy_with"] is not None)
    lesson.kill("worker-1")
    browser.shows(lambda frame: "went back to hello" in frame["story"][-1]["text"])
    [mark] = browser.frame["playback"]["marks"]
    assert mark["mark"] == "kill"
    assert mark["text"] == "worker-1 was killed: Stew and Soup went back to hello"
    said = lesson.stage.at(mark["seconds"])
    assert mark["text"] in said
    browser.shows(lambda frame: frame["playback"]["mode"] == "paused")
    assert [chip["back_from"] for chip in browser.frame["queues"][0]["waiting"]] == ["worker-1", "worker-1"]
    assert "nothing had happened yet" in lesson.stage.at(0)
    lesson.stage.live()


def test_exchanges_and_dead_letter_routes_are_drawn_as_soon_as_there_are_any(lesson: Lesson, browser: Browser) -> None:
    browser.shows(lambda frame: any(queue["ready"]["broker"] is not None for queue in frame["queues"]))
    assert (browser.frame["exchanges"], browser.frame["dead_letters"]) == ([], [])
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.exchange_declare("kitchen", "topic")
        channel.queue_bind("hello", "kitchen", "order.*")
        channel.queue_declare("again", durable=True, arguments={"x-dead-letter-exchange": "kitchen"})
    browser.shows(
        lambda frame: bool(frame["exchanges"] and frame["exchanges"][0]["bindings"] and frame["dead_letters"])
    )
    [kitchen] = browser.frame["exchanges"]
    assert (kitchen["name"], kitchen["type"]) == ("kitchen", "topic")
    assert kitchen["bindings"] == [{"destination": "hello", "kind": "queue", "routing_key": "order.*"}]
    assert browser.frame["dead_letters"] == [{"queue": "again", "exchange": "kitchen", "routing_key": ""}]


def test_the_picture_can_be_held_stepped_and_replayed_while_rabbitmq_goes_on(lesson: Lesson, browser: Browser) -> None:
    browser.do("five", queue="hello")
    browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 5)
    browser.do("pause")
    browser.shows(lambda frame: frame["playback"]["mode"] == "paused")
    held = browser.frame
    browser.do("send", queue="hello", task="later")
    browser.shows(lambda frame: frame["playback"]["events"] > held["playback"]["events"])
    assert browser.frame["queues"][0]["ready"]["log"] == 5
    assert "RabbitMQ goes on" in browser.frame["playback"]["caption"]
    browser.do("step", by=1)
    browser.do("step", by=-1)
    browser.shows(lambda frame: frame["playback"]["event"] == held["playback"]["event"])
    browser.do("seek", seconds=0)
    browser.shows(lambda frame: frame["playback"]["event"] == 0 and not any(q["ready"]["log"] for q in frame["queues"]))
    browser.do("play")
    browser.shows(lambda frame: frame["playback"]["mode"] == "live")
    browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 6)


def test_starting_over_leaves_the_queues_and_nothing_in_them(lesson: Lesson, browser: Browser) -> None:
    browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=2)
    browser.do("many", queue="hello", count=10, dots=50, rate=0)
    browser.shows(lambda frame: frame["queues"][0]["unacknowledged"]["log"] == 2)
    assert browser.do("start_over")["ok"]
    browser.shows(lambda frame: frame["workers"] == [] and frame["queues"][0]["ready"] == {"broker": 0, "log": 0})
    assert [queue["name"] for queue in browser.frame["queues"]] == ["hello"]
    assert (browser.frame["queues"][0]["durability"], done(browser.frame)) == ("durable", 0)
    browser.do("add_worker", queue="hello", auto_ack=False, prefetch_count=1)
    browser.do("send", queue="hello", task="after.")
    browser.shows(lambda frame: done(frame) == 1)
    assert worker_of(browser.frame, "worker-1") is not None


def test_a_lesson_opened_again_goes_on_in_the_views_of_the_first(broker: Broker, poll_for: Callable[..., None]) -> None:
    first = Lesson("again", broker)
    browser = Browser(first, poll_for)
    with Lesson("again", broker) as second:
        assert second.stage is browser.stage
        with second.connect() as connection:
            connection.channel().queue_declare("second", durable=True)
        browser.shows(lambda frame: not frame["closed"] and frame["queue"] == "second")
        first.close()
        assert browser.do("send", queue="second", task="x")["ok"]
        browser.shows(lambda frame: frame["queues"][0]["ready"]["log"] == 1)
    browser.shows(lambda frame: frame["closed"])
    assert "again" in browser.frame["closed"]
    assert browser.do("send", queue="second", task="x")["ok"] is False
    browser.leave()


@pytest.mark.parametrize("runs", [25, pytest.param(100, marks=pytest.mark.nightly)])
def test_many_runs_of_the_first_cell_leave_nothing(broker: Broker, poll_for: Callable[..., None], runs: int) -> None:
    threads, sockets, hosts = threading.active_count(), count_sockets(broker), len(broker.virtual_hosts())
    objects: list[Counter[str]] = []
    for number in range(1, runs + 1):
        lesson = Lesson("many-runs", broker)
        assert lesson.stage is lesson.stage
        if number in (10, runs):
            # The stage's two, of the last lesson, and one that watches the broker for all of them.
            poll_for(lambda: threading.active_count() <= threads + 3)
            objects.append(count_objects())
    assert objects[0] == objects[1]
    assert objects[0]["Stage"] >= 1
    assert len(broker.virtual_hosts()) <= hosts + 1
    lesson.close()
    poll_for(lambda: threading.active_count() <= threads and count_sockets(broker) <= sockets)


def count_objects() -> Counter[str]:
    """Count what a lesson with a stage is made of, as far as anything still holds it."""
    gc.collect()
    parts = (BrokerWatch, EventLog, Lesson, Playhead, Scene, Stage, StageWidget)
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in parts)


def count_sockets(broker: Broker) -> int:
    """Count this process's sockets, without the few that stay open to the management API to be used again."""
    management = urlsplit(broker.endpoint.management_url or "").port
    return sum(not (to := socket.raddr) or to.port != management for socket in psutil.Process().net_connections())


def test_the_broker_goes_and_comes_back_on_the_stage(restartable: Broker, poll_for: Callable[..., None]) -> None:
    with Lesson("restarted-on-stage", restartable) as lesson:
        browser = Browser(lesson, poll_for)
        browser.do("declare", queue="kept", durable=True)
        browser.shows(lambda frame: frame["queues"])
        restartable.restart()  # a crash may take a queue that was declared a moment ago
        browser.do("send", queue="kept", task="persistent", persistent=True, confirm=True)
        browser.shows(lambda frame: frame["queues"] and frame["queues"][0]["ready"]["broker"] == 1)
        browser.frames.clear()
        assert browser.do("crash")["ok"]
        browser.sees(lambda frame: frame["broker"]["state"] in ("stopping", "down"))
        browser.shows(lambda frame: frame["broker"]["state"] == "up")
        browser.shows(lambda frame: frame["queues"][0]["ready"] == {"broker": 1, "log": 1})
        browser.leave()
