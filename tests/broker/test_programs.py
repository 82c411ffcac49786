"""The two programs of lesson 5 as processes, and what holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workq_helpers import Broker, Lesson
from workq_helpers.clients.program import Program, source
from workq_helpers.errors import InvalidArgumentError, WaitTimeoutError
from workq_helpers.lessons.fair_dispatch.queue_watch import wait_until_ready
from workq_helpers.rabbitmq.url import address_of

pytestmark = pytest.mark.once  # the notebooks start them on every version

PROGRAMS = Path(__file__).parents[2] / "notebooks" / "programs"
NEW_TASK, WORKER = PROGRAMS / "new_task.py", PROGRAMS / "worker.py"

#: So much work that it does not end by itself while a test looks at it.
ENDLESS = "Endless" + "." * 1_000


def send(lesson: Lesson, *words: str) -> Program:
    program = lesson.start_program(NEW_TASK, *words)
    program.wait()
    return program


def unacknowledged(lesson: Lesson) -> int:
    return lesson.queue_counts()["task_queue"].unacknowledged


# -- new_task.py


def test_a_task_is_sent_persistent_to_a_durable_queue(lesson: Lesson) -> None:
    program = send(lesson, "First", "message.")
    assert program.console.lines == [" [x] Sent First message."]
    assert (program.status, program.state) == (0, "ended with status 0")
    assert lesson.queue_counts()["task_queue"].durable
    with lesson.connect() as connection:
        _, properties, body = connection.channel().basic_get("task_queue", auto_ack=True)
    assert (body, properties.delivery_mode) == (b"First message.", 2)


def test_each_task_has_an_id_of_its_own(lesson: Lesson) -> None:
    for _ in range(2):
        send(lesson, "Tea.")
    with lesson.connect() as connection:
        channel = connection.channel()
        ids = [channel.basic_get(queue="task_queue", auto_ack=True)[1].message_id for _ in range(2)]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_both_programs_declare_the_queue_as_they_are_told(lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER, "--queue-type", "quorum")
    worker.wait_for("Waiting")
    assert lesson.queue_counts()["task_queue"].type == "quorum"
    assert send(lesson, "--queue-type", "quorum", "Tea.").status == 0
    worker.wait_for("Done Tea.")
    assert send(lesson, "Tea.").status == 1, "another type is another queue"


def test_without_words_there_is_a_task_all_the_same(lesson: Lesson) -> None:
    assert send(lesson).console.lines == [" [x] Sent Hello World!"]


def test_a_task_that_is_refused_is_not_called_sent(lesson: Lesson) -> None:
    with lesson.connect() as connection:
        connection.channel().queue_declare("task_queue")  # not durable, so the program can't have it
    program = send(lesson, "Soup.")
    assert program.status == 1
    assert program.console.text.startswith("RabbitMQ did not take 'Soup.': ")


# -- worker.py


def test_tasks_are_done_one_at_a_time_and_acknowledged(lesson: Lesson) -> None:
    for task in ("One.", "Two.."):
        send(lesson, task)
    worker = lesson.start_program(WORKER)
    worker.wait_for("Done Two..")
    assert worker.console.lines[1:] == [
        " [x] Received One.",
        " [x] Done One.",
        " [x] Received Two..",
        " [x] Done Two..",
    ]
    worker.stop()
    assert tuple(lesson.queue_counts()["task_queue"][:2]) == (0, 0)


def test_a_worker_takes_no_second_task_before_it_has_done_the_first(
    lesson: Lesson, poll_for: Callable[..., None]
) -> None:
    worker = lesson.start_program(WORKER)
    for task in (ENDLESS, "Tea."):
        send(lesson, task)
    worker.wait_for("Received Endless")
    wait_until_ready(lesson, "task_queue", 1)
    poll_for(lambda: unacknowledged(lesson) == 1)


def test_what_a_killed_worker_had_in_hand_goes_to_the_other(lesson: Lesson) -> None:
    first = lesson.start_program(WORKER)
    send(lesson, ENDLESS)
    first.wait_for("Received Endless")
    second = lesson.start_program(WORKER)
    second.wait_for("Waiting")
    first.kill()
    assert (first.status, first.state) == (-signal.SIGKILL, "killed")
    assert not psutil.pid_exists(first.pid)
    second.wait_for(f"Received {ENDLESS} (again)")
    assert not any("Done" in line for line in first.console.lines)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.nightly), signal.SIGTERM])
def test_a_worker_that_is_asked_to_leave_does_its_task_first(lesson: Lesson, number: signal.Signals) -> None:
    worker = lesson.start_program(WORKER)
    send(lesson, "Roast" + 20 * ".")
    worker.wait_for("Received Roast")
    os.kill(worker.pid, number)
    send(lesson, "Tea.")
    worker.wait()
    assert worker.status == 0
    assert [line.partition(".")[0] for line in worker.console.lines[1:]] == [
        " [x] Received Roast",
        " [x] Done Roast",
        " [*] Left",
    ]
    wait_until_ready(lesson, "task_queue", 1)


def test_work_that_fails_is_not_acknowledged(lesson: Lesson, tmp_path: Path) -> None:
    copied = tmp_path / "worker.py"
    text = WORKER.read_text(encoding="utf-8")
    copied.write_text(text.replace("second.submit(time.sleep, seconds)", "second.submit(open, body)"), encoding="utf-8")
    worker = lesson.start_program(copied)
    send(lesson, "Stone")
    worker.wait()
    assert worker.status
    assert "No such file" in str(worker.console)
    assert "Lost RabbitMQ" not in str(worker.console)
    wait_until_ready(lesson, "task_queue", 1)


def test_both_go_on_after_a_restart(restartable: Broker, lesson: Lesson) -> None:
    workers = [lesson.start_program(WORKER) for _ in range(2)]
    for worker in workers:
        worker.wait_for("Waiting")
    restartable.restart()
    for worker in workers:
        worker.wait_for("Lost RabbitMQ")
    send(lesson, ENDLESS)
    send(lesson, ENDLESS)
    for worker in workers:
        worker.wait_for("Received Endless")


def test_a_task_under_way_in_a_restart_is_done_again(restartable: Broker, lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER)
    roast = "Roast......"
    send(lesson, roast)
    worker.wait_for("Received Roast")
    restartable.restart()
    worker.wait_for(f"Received {roast} (again)")
    worker.wait_for(f"Done {roast}")
    wait_until_ready(lesson, "task_queue", 0)


def test_work_may_take_longer_than_the_heartbeat(lesson: Lesson) -> None:
    send(lesson, "Stew" + "." * 200)  # four seconds
    address = f"{address_of(lesson.broker.endpoint.on(lesson.virtual_host))}?heartbeat=1"
    worker = subprocess.Popen(
        [sys.executable, str(WORKER)],
        env=os.environ | {"WORKQ_BROKER_URL": address, "WORKQ_SECONDS_PER_DOT": "0.02"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout
        said = [worker.stdout.readline() for _ in range(3)]
        worker.terminate()
        said += worker.stdout.readlines()
    assert [line.split(".")[0].strip() for line in said[1:]] == ["[x] Received Stew", "[x] Done Stew", "[*] Left"]
    wait_until_ready(lesson, "task_queue", 0)


@pytest.mark.parametrize("program", [NEW_TASK, WORKER], ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "address", ["amqp://guest:secret@127.0.0.1:1/%2F", "amqp://guest:secret@nowhere.invalid/%2F"], ids=["port", "name"]
)
def test_without_a_broker_there_is_one_sentence(program: Path, address: str) -> None:
    done = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | {"WORKQ_BROKER_URL": address},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("No connection to RabbitMQ at ")
    assert "secret" not in done.stderr


@pytest.mark.parametrize("program", [NEW_TASK, WORKER], ids=lambda path: path.stem)
def test_a_program_needs_nothing_but_pika(program: Path) -> None:
    assert "workq_helpers" not in program.read_text()
    assert str(source(program)) == program.read_text().rstrip()


# -- the processes


def test_the_password_is_on_no_command_line(lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER)
    worker.wait_for("Waiting")
    password = lesson.broker.endpoint.password
    process = psutil.Process(worker.pid)
    for each in (process, process.parent()):
        assert each is not None
        assert not any(password in part for part in each.cmdline())
    assert password not in repr(worker) + worker.console.text


def test_a_program_ends_with_its_lesson(lesson: Lesson, poll_for: Callable[..., None]) -> None:
    with Lesson("short", lesson.broker) as short:
        worker = short.start_program(WORKER)
        worker.wait_for("Waiting")
        process = psutil.Process(worker.pid)
    poll_for(lambda: not process.is_running())
    assert repr(worker) == "<Program worker.py 1: killed>"


def test_starting_over_ends_programs(lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER)
    lesson.start_over()
    assert not worker.alive
    assert lesson.programs == []
    assert lesson.start_program(WORKER).name == "worker.py 1"


_KERNEL = """
import sys
from pathlib import Path
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.clients.program import Program
sleeper = Program("sleeper", sys.argv[1], [], Endpoint("127.0.0.1", 1, "guest", "guest"), lambda: 0.0)
sleeper.wait_for("asleep")
print(sleeper.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("victim", ["kernel", "guard"])
def test_a_program_ends_with_whoever_started_it(tmp_path: Path, victim: str, poll_for: Callable[..., None]) -> None:
    program = tmp_path / "sleeper.py"
    program.write_text("import time\nprint('asleep')\ntime.sleep(600)\n")
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with kernel:
        assert kernel.stdout
        process = psutil.Process(int(kernel.stdout.readline()))
        guard = process.parent()
        assert guard is not None
        assert guard.pid != kernel.pid
        if victim == "kernel" or sys.platform == "linux":
            (guard if victim == "guard" else kernel).kill()
            _, alive = psutil.wait_procs([process, guard], timeout=30)
            assert alive == []
        kernel.kill()


def test_what_can_not_be_started_is_named(lesson: Lesson) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no program 'programs/cook\.py'"):
        lesson.start_program("programs/cook.py")
    with pytest.raises(InvalidArgumentError, match="7 can't be an argument"):
        lesson.start_program(NEW_TASK, 7)  # type: ignore[arg-type]
    assert lesson.programs == []


def test_waiting_in_vain_says_what_was_printed(lesson: Lesson) -> None:
    program = send(lesson, "Soup.")
    with pytest.raises(
        WaitTimeoutError, match=r"new_task\.py 1 is ended with status 0 and has not printed 'Served'.*anew"
    ) as told:
        program.wait_for("Served")
    assert str(told.value).endswith(f"Start it anew with lesson.start_program({str(NEW_TASK)!r}, 'Soup.').")
    worker = lesson.start_program(WORKER)
    with pytest.raises(WaitTimeoutError, match=r"still runs after 0 .* or end it with stop\(\)\.$"):
        worker.wait(0)
    with pytest.raises(WaitTimeoutError, match=r"^After 0 seconds worker\.py 1 has not printed 'Served'\. "):
        worker.wait_for("Served", 0)
    program.kill()  # one that has ended is no trouble
    program.stop()
