"""The broker's state is everybody's: what happens to it is an event in each lesson, whoever made it happen."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from workq_helpers import Broker, Lesson
from workq_helpers import broker as brokers
from workq_helpers.log.details import BrokerChange

#: Another notebook: it opens a lesson, does what it is told, and says what its lesson saw.
_NOTEBOOK = """
import signal, sys
from workq_helpers import Lesson

def nothing(*_):
    pass

with Lesson("another") as lesson:
    print("open", flush=True)
    for line in sys.stdin:
        print("doing", flush=True)
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            exec(line)
            signal.signal(signal.SIGINT, nothing)  # as in Jupyter, where it ends a cell and nothing else
            print("done", flush=True)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, nothing)
            print("interrupted", flush=True)
"""


@pytest.fixture
def notebook() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _NOTEBOOK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        heard(process, "open")
        yield process
        assert process.stdin
        process.stdin.close()
        process.wait(60)


def heard(notebook: subprocess.Popen[str], *words: str) -> str:
    """Return the first of some words that a notebook says."""
    assert notebook.stdout
    return next(line.strip() for line in notebook.stdout if line.strip() in words)


def tell(notebook: subprocess.Popen[str], line: str) -> None:
    assert notebook.stdin
    notebook.stdin.write(f"{line}\n")
    notebook.stdin.flush()
    heard(notebook, "doing")


def changes(lesson: Lesson) -> list[str]:
    return [str(event.detail) for event in lesson.log if event.kind == "broker"]


@pytest.mark.once
@pytest.mark.usefixtures("restartable")
def test_a_restart_by_another_notebook_is_an_event_here_and_what_it_cost_is_accounted_for(
    lesson: Lesson, notebook: subprocess.Popen[str], poll_for: Callable[..., None]
) -> None:
    lesson.start_publisher(["one", "two"], "hello").wait()
    lesson.start_publisher(["three"], "hello", persistent=True, confirm=True).wait()
    tell(notebook, "lesson.broker.restart(); assert [str(e.detail) for e in lesson.log if e.kind == 'broker'] == "
                   "['restarting', 'up']")  # fmt: skip
    assert heard(notebook, "done") == "done"
    poll_for(lambda: changes(lesson) == ["down", "up"])
    places = {str(row.task): str(row.fate) for row in lesson.tasks().itertuples()}
    assert places == {"one": "lost", "two": "lost", "three": "waiting"}
    assert lesson.queue_counts()["hello"].ready == 1


@pytest.mark.once
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("restartable")
@pytest.mark.parametrize(
    "moment",
    [
        "when it has gone down",
        pytest.param("at once", marks=pytest.mark.nightly),
        pytest.param("when it is nearly back", marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_restart_ends_in_a_state_that_was_looked_at(
    lesson: Lesson, notebook: subprocess.Popen[str], moment: str, poll_for: Callable[..., None]
) -> None:
    tell(notebook, "lesson.broker.restart()")
    if moment != "at once":
        poll_for(lambda: "down" in changes(lesson))
    if moment == "when it is nearly back":
        poll_for(lambda: "up" in changes(lesson), 90)
    notebook.send_signal(signal.SIGINT)
    assert heard(notebook, "interrupted", "done")
    # Interrupted early, it was not even begun: then nothing is told, and it is up.
    tell(notebook, "told = lambda: ['up', *(e.detail for e in lesson.log if e.kind == 'broker')][-1]")
    assert heard(notebook, "done") == "done"
    tell(notebook, "lesson.log.wait_for(lambda: told() == 'up', 60)")
    assert heard(notebook, "done") == "done"
    tell(notebook, "print('up' if told() == 'up' else 'not', flush=True)")
    assert heard(notebook, "up", "not") == "up"
    poll_for(lambda: changes(lesson) in ([], ["down", "up"]))
    assert lesson.queue_counts()


@pytest.mark.once
def test_a_server_that_was_killed_is_an_event_and_is_started_again_for_who_waits(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    port = restartable.endpoint.port
    if restartable.source == "docker":
        command = ["docker", "ps", "--quiet", "--filter", f"publish={port}"]
        container = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["docker", "kill", container], capture_output=True, check=True)
    else:
        next(each for each in psutil.process_iter() if port in ports_of(each)).kill()
    poll_for(lambda: changes(lesson) == ["down", "up"], 100)
    assert "hello" in lesson.queue_counts()


def ports_of(process: psutil.Process) -> set[int]:
    with contextlib.suppress(psutil.Error):
        return {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    return set()


def test_an_alarm_is_an_event(restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]) -> None:
    restartable.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")
    try:
        poll_for(lambda: changes(lesson) == ["blocked"])
    finally:
        restartable.rabbitmqctl("set_vm_memory_high_watermark", "0.6")
    poll_for(lambda: changes(lesson) == ["blocked", "unblocked"])
    assert not any(BrokerChange(change).is_outage for change in changes(lesson))


@pytest.mark.once
def test_another_notebooks_lesson_hears_of_workq_broker_restart(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    with contextlib.closing(brokers.find_broker(lambda _: None)) as other:
        restarting = threading.Thread(target=other.crash)
        restarting.start()
        poll_for(lambda: changes(lesson) == ["down", "up"], 100)
        restarting.join()
