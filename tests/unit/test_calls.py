"""Every control of the stage is a Python call: the one that is run is the one that is shown."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workq_helpers.errors import InvalidArgumentError, RunFileError, UnknownWorkerError
from workq_helpers.stage.calls import FIVE_TASKS, Saving, call_for

pytestmark = pytest.mark.pinned  # of the course alone


class FakeLesson:
    """Keeps what was called on it, under its dotted name."""

    def __init__(self, *workers: SimpleNamespace) -> None:
        self.name = "round-robin"
        self.workers = list(workers)
        self.programs = [SimpleNamespace(name="worker.py 1")]
        self.called: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.nodes = SimpleNamespace(kill=self._keep("nodes.kill"), start=self._keep("nodes.start"))
        self.broker = SimpleNamespace(restart=self._keep("broker.restart"), crash=self._keep("broker.crash"))
        self.stage = SimpleNamespace(
            **{name: self._keep(f"stage.{name}") for name in ("pause", "play", "replay", "live", "seek", "step")}
        )

    def _keep(self, name: str) -> Any:
        return lambda *arguments, **keywords: self.called.append((name, arguments, keywords))

    def __getattr__(self, name: str) -> Any:
        return self._keep(name)

    def worker(self, name: str) -> SimpleNamespace:
        if name != "worker-1":
            raise UnknownWorkerError(f"There is no worker named {name!r}")
        return SimpleNamespace(name=name)


COMMANDS: list[tuple[dict[str, Any], str]] = [
    ({"do": "send", "queue": "hello", "task": "Hello..."}, 'lesson.start_publisher("Hello...", queue="hello")'),
    (
        {"do": "send", "queue": "hello", "task": 'say "hi"', "persistent": True, "confirm": True},
        'lesson.start_publisher(\'say "hi"\', queue="hello", persistent=True, confirm=True)',
    ),
    (
        {"do": "five", "queue": "task_queue"},
        'lesson.start_publisher(["First message.", "Second message..", "Third message...", "Fourth message....", '
        '"Fifth message....."], queue="task_queue")',
    ),
    ({"do": "stop", "worker": "worker-1"}, 'lesson.stop("worker-1")'),
    ({"do": "kill", "worker": "worker-1"}, 'lesson.kill("worker-1")'),
    ({"do": "stop", "worker": "worker.py 1"}, 'lesson.stop("worker.py 1")'),
    ({"do": "kill", "worker": "worker.py 1"}, 'lesson.kill("worker.py 1")'),
    ({"do": "freeze", "worker": "worker-1"}, 'lesson.freeze("worker-1")'),
    ({"do": "thaw", "worker": "worker-1"}, 'lesson.thaw("worker-1")'),
    ({"do": "kill_node", "node": "node-1"}, 'lesson.nodes.kill("node-1")'),
    ({"do": "start_node", "node": "node-1"}, 'lesson.nodes.start("node-1")'),
    ({"do": "restart"}, "lesson.broker.restart()"),
    ({"do": "crash"}, "lesson.broker.crash()"),
    ({"do": "purge", "queue": "hello"}, 'lesson.purge("hello")'),
    ({"do": "start_over"}, "lesson.start_over()"),
    ({"do": "save_run"}, 'lesson.save_run("round-robin-run.html")'),
    ({"do": "pause"}, "lesson.stage.pause()"),
    ({"do": "play"}, "lesson.stage.play()"),
    ({"do": "play", "speed": 0.25}, "lesson.stage.play(speed=0.25)"),
    ({"do": "replay", "experiment": "five orders"}, 'lesson.stage.replay("five orders")'),
    ({"do": "live"}, "lesson.stage.live()"),
    ({"do": "seek", "seconds": 12.34567}, "lesson.stage.seek(12.346)"),
    ({"do": "step", "by": -1}, "lesson.stage.step(-1)"),
]


@pytest.mark.parametrize(("command", "code"), COMMANDS, ids=[code for _, code in COMMANDS])
def test_what_is_shown_is_what_is_run(
    command: dict[str, Any], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown, typed = FakeLesson(), FakeLesson()
    call = call_for(command, shown)  # type: ignore[arg-type]
    assert call.code == code
    call.run(shown)  # type: ignore[arg-type]
    eval(code, {"lesson": typed})  # noqa: S307 - what a learner would do with it
    assert shown.called == typed.called


def test_many_tasks_are_numbered_and_made_anew_for_each_run() -> None:
    command = {"do": "many", "queue": "hello", "count": 3, "dots": 2, "rate": 50}
    lesson = FakeLesson()
    call = call_for(command, lesson)  # type: ignore[arg-type]
    assert call.code == 'lesson.start_publisher((f"Task {n}.." for n in range(1, 4)), queue="hello", rate=50)'
    for _ in range(2):
        call.run(lesson)  # type: ignore[arg-type]
    for _, arguments, keywords in lesson.called:
        assert list(arguments[0]) == ["Task 1..", "Task 2..", "Task 3.."]
        assert keywords == {"queue": "hello", "rate": 50}
    assert len(lesson.called) == 2


def test_a_worker_is_started_with_the_courses_callback_where_there_is_no_other() -> None:
    manual = call_for({"do": "add_worker", "queue": "hello", "prefetch_count": 1}, FakeLesson())  # type: ignore[arg-type]
    assert manual.code == (
        "from workq_helpers import print_work_and_ack\n"
        'lesson.start_worker(print_work_and_ack, queue="hello", prefetch_count=1)'
    )
    auto = call_for({"do": "add_worker", "queue": "hello", "auto_ack": True, "prefetch_count": 0}, FakeLesson())  # type: ignore[arg-type]
    assert auto.code == (
        'from workq_helpers import print_and_work\nlesson.start_worker(print_and_work, queue="hello", auto_ack=True)'
    )


def test_a_worker_does_what_the_lessons_latest_like_it_does() -> None:
    def mine(ch: Any, method: Any, properties: Any, body: bytes) -> None: ...
    def other(ch: Any, method: Any, properties: Any, body: bytes) -> None: ...

    lesson = FakeLesson(
        SimpleNamespace(queue="hello", auto_ack=False, callback=mine),
        SimpleNamespace(queue="hello", auto_ack=True, callback=other),
        SimpleNamespace(queue="elsewhere", auto_ack=False, callback=other),
        SimpleNamespace(queue="hello", auto_ack=False, callback=lambda *_: None),  # has no name to show
    )
    call = call_for({"do": "add_worker", "queue": "hello", "prefetch_count": 0}, lesson)  # type: ignore[arg-type]
    assert call.code == 'lesson.start_worker(mine, queue="hello")'
    call.run(lesson)  # type: ignore[arg-type]
    assert lesson.called == [("start_worker", (mine,), {"queue": "hello"})]


def test_a_queue_is_declared_in_plain_pika() -> None:
    call = call_for({"do": "declare", "queue": "hello", "durable": True}, FakeLesson())  # type: ignore[arg-type]
    ast.parse(call.code)
    assert 'queue_declare(queue="hello", durable=True)' in call.code
    plain = call_for({"do": "declare", "queue": "hello"}, FakeLesson())  # type: ignore[arg-type]
    assert 'queue_declare(queue="hello")' in plain.code


def test_a_run_that_was_saved_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("round-robin-run.html", "round-robin-run-2.html", "round-robin-run-3.html"):
        call = call_for({"do": "save_run"}, FakeLesson())  # type: ignore[arg-type]
        assert call.code == f'lesson.save_run("{name}")'
        Path(name).symlink_to("what is not there")


def test_runs_that_are_saved_at_once_have_a_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pressed = [call_for({"do": "save_run"}, FakeLesson()) for _ in range(40)]  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda call: call.claimed(), cast("list[Saving]", pressed)))
    names = {call.name for call in claimed}
    assert len(names) == 40
    assert names == {file.name for file in tmp_path.iterdir()}


def test_nothing_is_left_of_a_run_that_could_not_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsaved(FakeLesson):
        def save_run(self, _name: str) -> None:
            raise RunFileError("the disk is full")

    monkeypatch.chdir(tmp_path)
    lesson = Unsaved()
    call = cast("Saving", call_for({"do": "save_run"}, lesson)).claimed()  # type: ignore[arg-type]
    with pytest.raises(RunFileError):
        call.run(lesson)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lesson", "file"),
    [
        ("../../etc/passwd", "etc-passwd-run.html"),
        ('Käse & "Brot"', "Käse-Brot-run.html"),
        ("???", "lesson-run.html"),
        ("a" * 500, f"{'a' * 60}-run.html"),
    ],
)
def test_whatever_a_lesson_is_called_its_run_has_a_file_beside_the_notebook(lesson: str, file: str) -> None:
    named = FakeLesson()
    named.name = lesson
    assert call_for({"do": "save_run"}, named).code == f'lesson.save_run("{file}")'  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "saying"),
    [
        ({"do": "explode"}, "explode"),
        ({}, "None"),
        ({"do": "send", "task": "x"}, "queue is None"),
        ({"do": "send", "task": "x", "queue": "  "}, "queue is '  '"),
        ({"do": "many", "queue": "q", "count": 0, "dots": 1, "rate": 0}, "count is 0"),
        ({"do": "many", "queue": "q", "count": True, "dots": 1, "rate": 0}, "count is True"),
        ({"do": "many", "queue": "q", "count": 10**9, "dots": 1, "rate": 0}, "1,000,000"),
        ({"do": "many", "queue": "q", "count": 5, "dots": -1, "rate": 0}, "dots is -1"),
        ({"do": "many", "queue": "q", "count": 5, "dots": 1, "rate": "fast"}, "rate is 'fast'"),
        ({"do": "many", "queue": "q", "count": 5, "dots": 1, "rate": float("nan")}, "rate is nan"),
        ({"do": "add_worker", "queue": "q", "prefetch_count": 65_536}, "prefetch_count is 65536"),
        ({"do": "add_worker", "queue": "q", "prefetch_count": None}, "prefetch_count is None"),
        ({"do": "seek", "seconds": -1}, "seconds is -1"),
        ({"do": "step", "by": 7}, "step by 7"),
    ],
)
def test_nonsense_gets_a_sentence(command: dict[str, Any], saying: str) -> None:
    with pytest.raises(InvalidArgumentError, match=saying):
        call_for(command, FakeLesson())  # type: ignore[arg-type]


def test_a_worker_that_there_is_not_gets_a_sentence() -> None:
    with pytest.raises(UnknownWorkerError, match="worker-9"):
        call_for({"do": "kill", "worker": "worker-9"}, FakeLesson())  # type: ignore[arg-type]


def test_the_five_tasks_have_one_to_five_dots() -> None:
    assert [task.count(".") for task in FIVE_TASKS] == [1, 2, 3, 4, 5]
