"""`soak`: a lesson in a real kernel under a steady load, opened again and again, and what it takes meanwhile.

Everything is counted in messages, never in time: a round is so many messages, in so many steps; after each step a
worker is killed, stopped or frozen and another one started. Readings are taken at the same two moments of each
round: when the lesson has just been opened, and when its last message is done and the log is full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import psutil

from tests.endurance.kernels import Kernel
from tests.endurance.readings import Reading, course_processes, read
from workq_helpers import Broker

__all__ = ["Load", "Round", "soak"]

OPEN = """
import gc, itertools
from IPython.display import display
from workq_helpers import Lesson, work

lesson = Lesson("soak")
with lesson.connect() as connection:
    connection.channel().queue_declare(queue="hello", durable=True)

def callback(ch, method, properties, body):
    print(f" [x] Received {body.decode()}")
    work(body)
    print(" [x] Done")
    ch.basic_ack(delivery_tag=method.delivery_tag)

def staff():
    while sum(worker.alive for worker in lesson.workers) < 3:
        lesson.start_worker(callback, queue="hello", prefetch_count=10)

def until(condition):
    assert lesson.log.wait_for(condition, 300), (publisher, lesson.workers)

staff()
display(lesson.stage)
"""

#: So that a reading is of what is used: glibc keeps what threads gave back, in an arena each.
GIVE_BACK = """
import ctypes
gc.collect()
getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)
"""

PUBLISH = """
publisher = lesson.start_publisher(
    (f"Task {number}" for number in itertools.count()), "hello", count=%(messages)d, rate=%(rate)f,
    persistent=True, confirm=True)
"""

STEP = """
until(lambda: publisher.confirmed >= %(messages)d)
worker = next(worker for worker in lesson.workers if worker.alive)
deed = %(deed)r
if deed == "freeze":
    worker.freeze(); worker.thaw()
else:
    getattr(worker, deed)()
staff()
"""

REST = """
until(lambda: publisher.confirmed >= %(messages)d)
lesson.wait_until_idle(300)
gc.collect()
"""

#: What is made from the log, by the learner's own calls.
LOOK_BACK = """
from matplotlib import pyplot
display(lesson.deliveries().tail(2), lesson.tasks().tail(2), lesson.timeline())
"""

#: Messages that were published, confirmed, done at least once, and lost; events; live threads by name.
ACCOUNT = """(lambda kinds, done: {
    "published": len({i for k, i in kinds if k == "published"}), "done": len(done),
    "missing": len({i for k, i in kinds if k == "confirmed"} - done), "events": len(kinds)})(
    [(event.kind, event.mark) for event in lesson.log],
    {event.mark for event in lesson.log if event.kind == "acked"})"""

_DEEDS = ("kill", "stop", "freeze")


class Load(NamedTuple):
    """How much goes on.

    Attributes:
        rate: Messages a second.
        messages: Messages in a round.
        steps: Into how many parts a round is cut, after each of which something happens to a worker.
    """

    rate: float
    messages: int
    steps: int


class Round(NamedTuple):
    """One round as it was seen.

    Attributes:
        begin: By process, when the lesson had just been opened.
        full: The same when the last message was done.
        account: What became of the messages.
        objects: How many small objects Python held at the beginning: what leaks shows here first, without noise.
    """

    begin: Mapping[str, Reading]
    full: Mapping[str, Reading]
    account: Mapping[str, int]
    objects: int


def soak(broker: Broker, load: Load, go_on: Callable[[int], bool], tell: Callable[[Round], None]) -> list[Round]:
    """Run rounds for as long as `go_on` says.

    Args:
        broker: The course broker, to which the kernel attaches too.
        load: How much.
        go_on: Asked before each round, with the number of those that are over.
        tell: Told of each round.
    """
    rounds: list[Round] = []
    with Kernel() as kernel:
        kernel.wait_until_ready()
        watched = {"kernel": psutil.Process(kernel.pid)} | course_processes(broker)
        while go_on(len(rounds)):
            rounds.append(_round(kernel, watched, load))
            tell(rounds[-1])
        kernel.run("lesson.close()")
    return rounds


def _round(kernel: Kernel, watched: Mapping[str, psutil.Process], load: Load) -> Round:
    def look() -> dict[str, Reading]:
        return {name: read(process) for name, process in watched.items()}

    def run(cell: str, **values: Any) -> None:
        kernel.run(cell % (load._asdict() | values))

    kernel.run(OPEN)
    kernel.run(GIVE_BACK)
    begin = look()
    objects = kernel.ask("__import__('sys').getallocatedblocks()")
    run(PUBLISH)
    for step in range(1, load.steps):
        run(STEP, messages=load.messages * step // load.steps, deed=_DEEDS[step % len(_DEEDS)])
    run(REST)
    full = look()
    account = kernel.ask(ACCOUNT)
    kernel.run(LOOK_BACK)
    return Round(begin, full, account, objects)
