"""A forked child of a notebook ends nothing of its parent, however it ends itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from workq_helpers import Broker
from workq_helpers.rabbitmq.url import address_of

pytestmark = pytest.mark.once  # it is between Python and the system

WORKER = Path(__file__).parents[2] / "notebooks" / "programs" / "worker.py"

#: A kernel with a bit of everything in it, which a child inherits.
_PARENT = f"""
import gc, multiprocessing, os, sys
import pika
from workq_helpers import Lesson, print_work_and_ack
from workq_helpers.lessons.putting_it_together.thumbnails import Album

def main():
    with Lesson("forked") as lesson, lesson.connect() as connection, connection.channel() as channel:
        channel.queue_declare("hello", durable=True)
        worker = lesson.start_worker(print_work_and_ack, "hello")
        program = lesson.start_program({str(WORKER)!r})
        program.wait_for("Waiting")
        album, lesson.stage, lesson.queue_counts()
        CHILD
        for number in range(20):
            channel.basic_publish("", "hello", str(number))
        lesson.wait_until_idle(60)
        assert worker.finished == 20 and worker.alive, worker
        assert program.alive, program
        assert album.folder.is_dir(), "the album's folder has gone"
        assert lesson.virtual_host in lesson.broker.virtual_hosts()
        assert lesson.queue_counts()["hello"].ready == 0
        print("all is there")

def end(child):
    if child == 0:
        ENDING
    assert os.waitpid(child, 0)[1] == 0, "the child failed"

album = Album()
main()
"""

#: How a child comes to be, and how it ends.
_FORK = "end(os.fork())"
_WAYS = {
    "exit": (_FORK, "sys.exit(0)"),
    "exit after a program reached RabbitMQ": (
        "child = os.fork(); child or pika.BlockingConnection(pika.URLParameters(lesson.address)).close(); end(child)",
        "sys.exit(0)",
    ),
    "exit, where there is nothing around it": (_FORK, "import atexit; atexit._run_exitfuncs(); os._exit(0)"),
    "exit after everything was dropped": (_FORK, "globals().clear(); import gc, sys; gc.collect(); sys.exit(0)"),
    "exit after the lesson was opened again and closed": (
        _FORK,
        "lesson = Lesson('forked'); lesson.connect().channel().queue_declare('x', durable=True); lesson.close(); "
        "sys.exit(0)",
    ),
    "multiprocessing": (
        "one = multiprocessing.get_context('fork').Process(target=print); one.start(); one.join(); "
        "assert one.exitcode == 0",
        "",
    ),
}
#: One that has had a relay of its own, and one that Python does not see to.
_IN_THE_GATE = ("exit after a program reached RabbitMQ", "exit after everything was dropped")


def run(program: str) -> subprocess.CompletedProcess[str]:
    # Newer Pythons warn of each fork beside a thread; what a learner's child does then is what is looked at here.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[] if way in _IN_THE_GATE else pytest.mark.nightly) for way in _WAYS]
)
def test_a_childs_end_is_not_its_parents(broker: Broker, way: str) -> None:
    child, ending = _WAYS[way]
    ended = run(_PARENT.replace("CHILD", child).replace("ENDING", ending or "pass"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, ended.stdout, "")
    assert ended.stdout.endswith("all is there\n")


@pytest.mark.parametrize("way", ["exit", pytest.param("exit after everything was dropped", marks=pytest.mark.nightly)])
def test_a_lesson_on_an_address_stays_too(broker: Broker, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.delenv("WORKQ_BROKER", raising=False)
    monkeypatch.setenv("WORKQ_BROKER_URL", address_of(broker.endpoint))
    monkeypatch.setenv("WORKQ_MANAGEMENT_URL", broker.endpoint.management_url or "")
    test_a_childs_end_is_not_its_parents(broker, way)


_KERNEL_WITH_A_CHILD = """
import multiprocessing, sys, time
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.clients.program import Program
sleeper = Program("sleeper", sys.argv[1], [], Endpoint("127.0.0.1", 1, "guest", "guest"), lambda: 0.0)
sleeper.wait_for("asleep")
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
child.start()
print(sleeper.pid, child.pid, flush=True)
sys.stdin.read()
"""


_RELAY_WITH_A_CHILD = """
import errno, multiprocessing, socket, time
from workq_helpers.broker.ports import free_ports
from workq_helpers.clients.relay import Relay
from workq_helpers.log.events import EventLog
from workq_helpers.log.book import Book
from workq_helpers.rabbitmq.endpoint import Endpoint
from workq_helpers.waiting import wait_until

def is_refused():
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

def comes_through():
    program = socket.create_connection(("127.0.0.1", port), 10)
    program.sendall(b"soup")
    while True:
        behind, _ = broker.accept()
        if behind.recv(4) == b"soup":
            return program, behind
        behind.sendall(b"\x01")  # to one who only knocks

broker = socket.create_server(("127.0.0.1", free_ports(1)[0]))  # one that was chosen stays through a shutdown
broker.settimeout(10)
relay = Relay(Endpoint("127.0.0.1", broker.getsockname()[1], "guest", "guest"), Book(EventLog()), lambda _: False)
port = relay.endpoint().port
program, behind = comes_through()
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
child.start()
broker.shutdown(socket.SHUT_RDWR)  # which takes the child's copy with it
relay.broker_goes()
wait_until(is_refused, 10)
broker.listen()
relay.broker_is_back()
for _ in range(10):
    comes_through()
relay.close()
assert is_refused()
assert program.recv(1) == behind.recv(1) == b""
assert child.is_alive()
"""


@pytest.mark.pinned
def test_the_relay_is_its_parents_alone_while_a_child_lives() -> None:
    ended = run(_RELAY_WITH_A_CHILD)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_program_ends_with_its_kernel_though_a_child_of_that_lives(tmp_path: Path) -> None:
    program = tmp_path / "sleeper.py"
    program.write_text("import time\nprint('asleep')\ntime.sleep(600)\n")
    command = [sys.executable, "-c", _KERNEL_WITH_A_CHILD, str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout
        process, child = (psutil.Process(int(pid)) for pid in kernel.stdout.readline().split())
        try:
            kernel.kill()
            _, alive = psutil.wait_procs([process], timeout=30)
            assert alive == []
            assert child.is_running()
        finally:
            child.kill()
