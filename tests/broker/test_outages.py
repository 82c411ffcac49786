"""The broker's state is everybody's: what happens to it is an event in each lesson, whoever made it happen."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.broker.course import admin
from tests.logs import fates
from workq_helpers import Broker, Lesson
from workq_helpers import broker as brokers
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.log.details import BrokerChange
from workq_helpers.log.fates import HELD_UP, UNREAD
from workq_helpers.rabbitmq.errors import ConnectionLostError

#: Another notebook: it opens a lesson, does what it is told, and says what its lesson saw.
_NOTEBOOK = """
import signal, sys
from workq_helpers import Lesson

def nothing(*_):
    pass

with Lesson("another") as lesson:
    print("open", flush=True)
    for line in sys.stdin:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            print("doing", flush=True)
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
    with lesson.connect() as connection:  # RabbitMQ 3.10 may have forgotten a queue that was only a moment old
        connection.channel().queue_declare(queue="hello", durable=True)
    assert "hello" in lesson.queue_counts()


def ports_of(process: psutil.Process) -> set[int]:
    with contextlib.suppress(psutil.Error):
        return {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    return set()


def test_an_alarm_is_an_event(restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]) -> None:
    with alarm(restartable, lesson, poll_for):
        assert changes(lesson) == ["blocked"]
    assert changes(lesson) == ["blocked", "unblocked"]
    assert not any(BrokerChange(change).is_outage for change in changes(lesson))


#: Raises an alarm until a parameter is set: another rabbitmqctl to end it would take a second of a processor.
_ALARM = """
{{ok, Usual}} = application:get_env(rabbit, vm_memory_high_watermark),
Set = fun vm_memory_monitor:set_vm_memory_high_watermark/1,
Set(0.00001),
spawn(fun Wait() ->
    timer:sleep(10),
    case rabbit_runtime_parameters:value_global('{over}') of not_found -> Wait(); _ -> Set(Usual) end
end),
ok.
"""


@contextlib.contextmanager
def alarm(broker: Broker, lesson: Lesson, poll_for: Callable[..., None]) -> Iterator[None]:
    """RabbitMQ takes no messages in this block, and the lesson has heard of it."""
    over = f"over-{secrets.token_hex(4)}"
    broker.rabbitmqctl("eval", _ALARM.format(over=over))
    try:
        poll_for(lambda: changes(lesson)[-1:] == ["blocked"])
        yield
    finally:
        admin(broker, "PUT", f"global-parameters/{over}", value=True)
    poll_for(lambda: changes(lesson)[-1:] == ["unblocked"])
    admin(broker, "DELETE", f"global-parameters/{over}")


def told_to_wait(lesson: Lesson, client: str) -> bool:
    return any(event.kind == "blocked" and event.actor == client for event in lesson.log)


def test_what_is_published_during_an_alarm_is_not_said_to_be_in_its_queue(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.basic_publish("", "hello", b"before")
        channel.queue_declare("hello", passive=True)
        with alarm(restartable, lesson, poll_for):
            for task in (b"during", b"later"):
                channel.basic_publish("", "hello", task)
            poll_for(lambda: connection.process_data_events(0.1) or told_to_wait(lesson, "notebook"))
            for _ in range(2):
                assert fates(lesson) == {"before": "waiting", "during": "unknown", "later": "unknown"}
                assert lesson.take_stock()
            assert {message.reason for message in lesson.ledger() if message.place == "unknown"} == {HELD_UP}
            with pytest.raises(WaitTimeoutError, match=r"takes no messages.* 2 that were published are on their way"):
                lesson.wait_until_idle(1)
        assert fates(lesson) == dict.fromkeys(["before", "during", "later"], "waiting")
        assert lesson.take_stock()
        assert fates(lesson) == dict.fromkeys(["before", "during", "later"], "waiting")
        assert [message.task for message in lesson.ledger().waiting("hello", 3)] == ["before", "during", "later"]


@pytest.mark.pinned
def test_a_publisher_with_confirms_waits_for_the_end_of_an_alarm(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    with alarm(restartable, lesson, poll_for):
        publisher = lesson.start_publisher(["a", "b"], "hello", confirm=True)
        poll_for(lambda: publisher.state == "blocked")
        assert "waiting" not in fates(lesson).values()
    publisher.wait(60)
    assert fates(lesson) == {"a": "waiting", "b": "waiting"}
    assert lesson.take_stock()
    assert lesson.ledger().unseen("hello") == 0


@pytest.mark.pinned
def test_a_worker_that_an_alarm_holds_up_can_be_killed_and_knows_nothing_of_its_acks(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    begin = threading.Event()

    def hand_on(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        begin.wait(60)
        ch.basic_publish("", "next", body)
        ch.basic_ack(method.delivery_tag)

    with lesson.connect() as connection:
        connection.channel().queue_declare("next")
    lesson.start_publisher(["a"], "hello").wait()
    worker = lesson.start_worker(hand_on, "hello")
    poll_for(lambda: worker.state == "busy")
    with alarm(restartable, lesson, poll_for):
        begin.set()
        poll_for(lambda: told_to_wait(lesson, worker.name) and worker.state == "idle")
        assert {message.reason for message in lesson.ledger() if message.queue == "hello"} == {UNREAD}
        worker.kill()
        assert worker.state == "killed"
        assert {(message.queue, message.place) for message in lesson.ledger()} == {
            ("hello", "unknown"), ("next", "unknown")
        }  # fmt: skip
    # RabbitMQ reads on to the end of what was sent, or the message without its ack, or nothing: its counts tell.
    poll_for(lambda: lesson.take_stock() and sum(counts.ready for counts in lesson.queue_counts().values()) in {1, 2})
    ledger = lesson.ledger()
    for name, counts in lesson.queue_counts().items():
        assert ledger.pending(name) + ledger.unseen(name) == counts.ready


def test_an_ack_that_an_alarm_holds_up_is_not_said_to_have_arrived(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    """RabbitMQ stops reading at the first message that it is sent meanwhile; who only acknowledges is read."""

    def place(task: str) -> str:
        return next(message.place for message in lesson.ledger() if (message.task, message.queue) == (task, "hello"))

    with lesson.connect() as connection, lesson.connect() as silent:
        channel, listener = connection.channel(), silent.channel()
        for task in (b"read", b"with a result", b"later", b"handed back", b"of who only listens"):
            channel.basic_publish("", "hello", task)
        tags = [channel.basic_get("hello")[0].delivery_tag for _ in range(4)]
        tag_of_who_listens = listener.basic_get("hello")[0].delivery_tag
        with alarm(restartable, lesson, poll_for):
            channel.basic_ack(tags[0])
            channel.queue_declare("hello", passive=True)
            channel.basic_publish("", "next", b"result")
            channel.basic_ack(tags[1])
            poll_for(lambda: connection.process_data_events(0.1) or told_to_wait(lesson, "notebook"))
            channel.basic_nack(tags[2], requeue=False)
            channel.basic_nack(tags[3])
            listener.basic_ack(tag_of_who_listens)
            silent.process_data_events(0)
            poll_for(lambda: lesson.queue_counts()["hello"].unacknowledged == 3)
            held_up = ("with a result", "later", "handed back")
            for _ in range(2):
                assert [place("read"), *map(place, held_up)] == ["done", "unknown", "unknown", "unknown"]
                assert lesson.take_stock()
            assert {each.reason for each in lesson.ledger() if each.task in held_up} == {UNREAD}
        assert [*map(place, held_up), place("of who only listens")] == ["done", "discarded", "waiting", "done"]
        channel.queue_declare("hello", passive=True)
        assert lesson.take_stock()
        assert lesson.queue_counts()["hello"][:2] == (1, 0)


@pytest.mark.pinned
def test_what_an_alarm_holds_up_ends_with_a_sentence(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    with alarm(restartable, lesson, poll_for):
        connection = lesson.connect(blocked_connection_timeout=1)
        connection.channel().basic_publish("", "hello", b"T")
        with pytest.raises(ConnectionLostError, match="blocks publishers for want of memory or disk"):
            connection.close()
        assert fates(lesson) == {"T": "unknown"}
        with Lesson("held-up", restartable) as other:
            other.connect().channel().basic_publish("", "nowhere", b"T")
        assert fates(lesson) == {"T": "unknown"}, "the other lesson was closed while the alarm went on"


@pytest.mark.once
def test_another_notebooks_lesson_hears_of_workq_broker_restart(
    restartable: Broker, lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    with contextlib.closing(brokers.find_broker(lambda _: None)) as other:
        restarting = threading.Thread(target=other.crash)
        restarting.start()
        poll_for(lambda: changes(lesson) == ["down", "up"], 100)
        restarting.join()
