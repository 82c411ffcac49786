"""How a learner's function is ended: not in the middle of what the course does in its thread."""

from __future__ import annotations

import contextlib
import itertools
import linecache
import queue
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest

from workq_helpers.clients.pace import Pace, pause
from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching import patience
from workq_helpers.teaching.patience import Effort, Interrupted, Tries, call_with_patience, undisturbed
from workq_helpers.waiting import wait_until


def spin_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_spins_is_not_ended_in_the_middle_of_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_SPIN_SECONDS", 0.2)
    halves: list[str] = []

    def function() -> None:
        try:
            while True:
                with undisturbed():
                    halves.append("begun")
                    spin_for(0.4)
                    halves.append("done")
                spin_for(0.05)
        finally:
            with undisturbed():
                halves.append("begun")
                spin_for(0.2)
                halves.append("done")

    with pytest.raises(CheckFailedError, match="does not come back"):
        call_with_patience(function, name="function", give_up=lambda: None)
    assert halves.count("begun") == halves.count("done") > 1


@pytest.mark.parametrize(
    ("tries", "pause_seconds", "endless"),
    [(200, 0.01, False), (11, 1.0, False), (8, 5.0, False), (201, 0.01, True), (30, 1.0, True)],
    ids=["many without a pause", "some with pauses", "few with long ones", "too many", "some for too long"],
)
def test_who_tries_often_or_for_long_may_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch, tries: int, pause_seconds: float, endless: bool
) -> None:
    monkeypatch.setattr(
        patience, "time", types.SimpleNamespace(monotonic=itertools.count(100.0, pause_seconds).__next__)
    )
    known = Tries()
    assert any(known.one_more() for _ in range(tries)) == endless


def test_an_interrupt_that_was_put_off_comes_at_the_end_of_the_block() -> None:
    effort = Effort(None)
    inside = []

    def work() -> None:
        with effort.undisturbed():
            effort.interrupt(Interrupted)
            spin_for(0.01)
            inside.append("done")

    with pytest.raises(Interrupted):
        work()
    assert inside == ["done"]


def test_what_is_ours_does_not_count_as_the_functions_time() -> None:
    effort = Effort(None)
    with effort.undisturbed():
        threading.Event().wait(0.3)
    assert effort.seconds < 0.3


def test_outside_of_a_learners_call_nothing_is_put_off() -> None:
    with undisturbed():
        pass


_cells = itertools.count(1)


def defined(body: str, **names: Any) -> Callable[[], object]:
    """Return a function with this body; its text is kept as IPython keeps it."""
    text, cell = f"def function():\n    {body}\n", f"<cell of test_patience {next(_cells)}>"
    linecache.cache[cell] = len(text), None, text.splitlines(keepends=True), cell
    exec(compile(text, cell, "exec"), names)  # noqa: S102 - our own text
    function: Callable[[], object] = names["function"]
    return function


def like_pikas_connection() -> Any:
    pikas: dict[str, Any] = {"__name__": "pika.adapters", "wait": threading.Event().wait}
    text = "def process_data_events(time_limit): wait(2)\ndef sleep(seconds): wait(seconds)"
    exec(compile(text, "pika.py", "exec"), pikas)  # noqa: S102 - our own text
    return types.SimpleNamespace(**pikas)


def called(function: Callable[[], object], progress: Callable[[], object] = lambda: None) -> object:
    return call_with_patience(function, name="function", give_up=lambda: None, progress=progress)


@contextlib.contextmanager
def never_ready() -> Iterator[dict[str, Any]]:
    """Give a function something to wait for, and let whoever still waits go in the end."""
    gate, lock, orders = threading.Event(), threading.Lock(), queue.Queue[int]()
    lock.acquire()
    others = set(threading.enumerate())
    try:
        yield {"gate": gate, "lock": lock, "orders": orders}
    finally:
        gate.set()
        lock.release()
        orders.put(1)
        for thread in set(threading.enumerate()) - others:
            thread.join()


@pytest.mark.parametrize(
    "body",
    ["gate.wait()", "gate.wait(None)", "orders.get()", "lock.acquire()", "lock.acquire(True, -1)", "lock.__enter__()"],
)
def test_what_waits_by_itself_and_says_no_end_is_told_soon(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(patience, "_LAST_SECONDS", 0.1)
    with never_ready() as names, pytest.raises(CheckFailedError) as told:
        called(defined(body, **names))
    assert f"in the line: {body}, and does not come back" in str(told.value)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(LONG)",
        "connection.sleep(2)",
        "sleep(1 + 1)",
        "gate.wait(2)",
        "orders.get(timeout=LONG)",
        "lock.acquire(timeout=2)",
    ],
)
def test_what_says_that_it_waits_for_too_long_is_told_at_once(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_WAIT_SECONDS", 1.0)
    monkeypatch.setattr(patience, "_LAST_SECONDS", 0.1)
    with never_ready() as names, pytest.raises(CheckFailedError) as told:
        called(defined(body, **names, connection=like_pikas_connection(), time=time, sleep=time.sleep, LONG=2.0))
    assert f"waits for 2 s in the line: {body}" in str(told.value)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(0.8)",
        "gate.wait(0.8)",
        "time.sleep(float('0.8'))",
        "for _ in range(4): steps.append(time.sleep(0.4))",
        "helper = threading.Thread(target=get_on); helper.start(); helper.join()",
        "connection.sleep(0.8)",
        "pace.enter(); pause(0.8)",
    ],
)
def test_who_says_how_long_or_gets_on_is_waited_for(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS", 0.6)
    monkeypatch.setattr(patience, "_IDLE_SECONDS_IN_PIKA", 0.2)
    monkeypatch.setattr(patience, "_WAIT_SECONDS", 1.2)
    steps: list[None] = []
    names = {"connection": like_pikas_connection(), "gate": threading.Event(), "pace": Pace(), "pause": pause}

    def get_on() -> None:
        steps.extend(time.sleep(0.1) for _ in range(10))

    function = defined(body, **names, get_on=get_on, steps=steps, threading=threading, time=time)
    called(function, progress=lambda: len(steps))


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(20): time.sleep(0.15)",
        "for _ in range(20): gate.wait(0.15)",
        "connection.process_data_events(time_limit=None)",
        "while True: connection.sleep(0.5)",
    ],
)
def test_who_waits_in_pieces_or_for_whatever_comes_is_told(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS_IN_PIECES", 0.6)
    monkeypatch.setattr(patience, "_IDLE_SECONDS_IN_PIKA", 0.6)
    with pytest.raises(CheckFailedError, match="and does not come back"):
        called(defined(body, gate=threading.Event(), connection=like_pikas_connection(), time=time))


def test_who_tries_to_connect_again_and_again_may_pause_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS_IN_PIECES", 2.0)

    def refuse(*_: object) -> None:
        raise pika.exceptions.AMQPConnectionError

    monkeypatch.setattr(pika.BlockingConnection, "__init__", refuse)

    def connect() -> None:
        with contextlib.suppress(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection()

    called(defined("for _ in range(12): connect(); time.sleep(0.2)", connect=connect, time=time))


def test_no_interrupt_comes_while_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of it pika would leave its sockets open; what is made is let go of in the end."""
    monkeypatch.setattr(patience, "_SPIN_SECONDS", 0.1)
    made: list[object] = []
    discarded: list[object] = []

    def make(connection: pika.BlockingConnection, *_: object) -> None:
        spin_for(0.3)
        made.append(connection)

    monkeypatch.setattr(pika.BlockingConnection, "__init__", make)
    monkeypatch.setattr(pika.BlockingConnection, "is_closed", False)
    monkeypatch.setattr(pika.BlockingConnection, "_impl", None, raising=False)
    monkeypatch.setattr(patience.pika_private, "cut", lambda _: None)
    monkeypatch.setattr(patience.pika_private, "discard", discarded.append)
    with pytest.raises(CheckFailedError, match="does not come back"):
        called(defined("while True: pika.BlockingConnection()", pika=pika))
    assert made
    assert sorted(map(id, discarded)) == sorted(map(id, made))


def test_who_waits_at_a_connection_of_its_own_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS", 0.2)
    monkeypatch.setattr(patience, "_LAST_SECONDS", 0.1)
    gate, discarded = threading.Event(), list[object]()
    monkeypatch.setattr(pika.BlockingConnection, "__init__", lambda _: None)
    monkeypatch.setattr(pika.BlockingConnection, "is_closed", False)
    monkeypatch.setattr(pika.BlockingConnection, "_impl", None, raising=False)
    monkeypatch.setattr(patience.pika_private, "cut", lambda _: gate.set())
    monkeypatch.setattr(patience.pika_private, "discard", discarded.append)
    with pytest.raises(CheckFailedError, match="does not come back"):
        called(defined("connection = pika.BlockingConnection(); gate.wait()", pika=pika, gate=gate))
    assert len(discarded) == 1


def test_who_gets_on_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_MOST_SECONDS", 1.0)
    steps: list[None] = []
    endless = defined("while len(steps) >= 0: steps.append(time.sleep(0.05))", steps=steps, time=time)
    with pytest.raises(CheckFailedError, match="does not come back"):
        called(endless, progress=lambda: len(steps))


def test_what_waits_for_rabbitmq_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_IDLE_SECONDS", 0.2)
    called(defined("wait_until(lambda: False, 0.8, interval_seconds=0.8)", wait_until=wait_until))


def test_what_is_in_a_loop_that_nothing_leaves_is_told_at_once_whatever_it_does() -> None:
    steps: list[None] = []
    endless = defined("while True: steps.append(time.sleep(0.01))", steps=steps, time=time)
    with pytest.raises(CheckFailedError, match=r"nothing leaves: it still runs in the line: while True: .*come back"):
        called(endless, progress=lambda: len(steps))


@pytest.mark.parametrize(
    "body",
    [
        "def send():\n        while True: ask()\n    try:\n        send()\n    except IndexError: pass",
        "def supply():\n        while True: yield ask()\n    next(supply())",
    ],
)
def test_what_is_in_a_loop_that_its_caller_leaves_is_not_lost(body: str) -> None:
    answers: list[bool] = []

    def ask() -> None:
        answers.append(effort.is_lost)
        if len(answers) > 1:
            raise IndexError

    function = defined(body, ask=ask)
    effort = Effort(function)
    function()
    assert answers
    assert not any(answers)


def test_a_process_that_stood_still_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    stood_still, clock = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + stood_still)
    gate = threading.Event()
    function = defined("gate.wait()", gate=gate)
    efforts: list[Effort] = []

    def call() -> None:
        efforts.append(Effort(function))
        function()

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: efforts, 5.0)
    assert not efforts[0].trouble
    stood_still = 3_600.0
    assert not efforts[0].trouble
    gate.set()
    thread.join()
