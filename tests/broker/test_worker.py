from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pika
import pika.exceptions
import pytest

from tests.logs import events
from workq_helpers import Lesson, work
from workq_helpers.errors import CallbackSignatureError, InvalidArgumentError, UnknownWorkerError, WaitTimeoutError
from workq_helpers.rabbitmq.errors import QueueNotFoundError


def kinds(lesson: Lesson, actor: str) -> list[str]:
    return [event.kind for event in lesson.log if event.actor == actor]


def test_every_step_of_a_task_is_an_event_in_order(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_worker(work_and_ack, "hello", name="w")
    lesson.start_publisher(["one."], "hello")
    lesson.wait_until_idle()
    assert kinds(lesson, "w") == ["starting", "connected", "delivered", "started", "acked", "finished"]
    of_task = [event for event in lesson.log if event.task == "one."]
    assert [event.kind for event in of_task] == ["published", "delivered", "started", "acked", "finished"]
    assert len({event.mark for event in of_task}) == 1
    assert {event.delivery_tag for event in of_task} == {None, 1}


def test_two_workers_take_turns(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_workers(2, work_and_ack, "hello")
    lesson.start_publisher([f"{number}" for number in range(6)], "hello")
    lesson.wait_until_idle()
    taken = {name: [] for name in ("worker-1", "worker-2")}
    for event in events(lesson, "delivered"):
        taken[event.actor].append(event.task)
    assert taken == {"worker-1": ["0", "2", "4"], "worker-2": ["1", "3", "5"]}


@pytest.mark.pinned
def test_what_a_worker_prints_goes_to_its_own_console(
    lesson: Lesson, work_and_ack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = lesson.start_workers(2, work_and_ack, "hello")
    lesson.start_publisher(["one.", "two."], "hello")
    lesson.wait_until_idle()
    print("from the test")
    assert capsys.readouterr().out == "from the test\n"
    assert repr(first.console) == " [*] Waiting for messages.\n [x] Received one.\n [x] Done"
    assert second.console.lines[1] == " [x] Received two."


def test_a_task_may_take_longer_than_the_heartbeat(lesson: Lesson, poll_for: Any) -> None:
    # The broker drops a connection after two missed heartbeats of one second each; the callback keeps the
    # worker's thread for as long as it takes the broker to drop one that really misses them.
    silent_is_dropped = threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        assert silent_is_dropped.wait(60)
        ch.basic_ack(delivery_tag=method.delivery_tag)

    lesson.broker.connection_parameters = _with_heartbeat(lesson.broker.connection_parameters, 1)  # type: ignore[method-assign]
    try:
        worker = lesson.start_worker(callback, "hello")
    finally:
        del lesson.broker.connection_parameters
    lesson.start_publisher(["long"], "hello")
    poll_for(lambda: worker.state == "busy")
    silent = lesson.connect(heartbeat=1)
    poll_for(lambda: _is_dropped(lesson, silent), timeout=60)
    silent_is_dropped.set()
    lesson.wait_until_idle()
    assert kinds(lesson, worker.name) == ["starting", "connected", "delivered", "started", "acked", "finished"]
    assert lesson.queue_counts()["hello"].unacknowledged == 0


def _with_heartbeat(parameters: Any, seconds: int) -> Any:
    return lambda virtual_host, **overrides: parameters(virtual_host, **overrides, heartbeat=seconds)


def _is_dropped(lesson: Lesson, connection: Any) -> bool:
    """Whether the broker has closed its end, looked at without answering its heartbeats."""
    import socket

    sock = connection._impl._transport._sock
    try:
        while data := sock.recv(4096, socket.MSG_DONTWAIT):
            del data
    except BlockingIOError:
        return False
    except OSError:
        return True
    connection._impl._transport.abort()
    return True


def test_a_callback_that_raises_ends_the_worker_and_leaves_the_message(lesson: Lesson) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        raise ZeroDivisionError("oh no")

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["bad"], "hello")
    assert lesson.log.wait_for(lambda: not worker.alive, 30)
    assert worker.state == "crashed"
    assert "ZeroDivisionError: oh no" in worker.console.text
    assert "workq_helpers" not in worker.console.text
    assert events(lesson, "failed")[0].detail == "ZeroDivisionError: oh no"
    assert events(lesson, "requeued")[0].task == "bad"
    assert not events(lesson, "acked")
    lesson.wait_until_idle()
    assert lesson.queue_counts()["hello"].ready == 1


def test_a_killed_workers_tasks_are_redelivered_to_the_other(lesson: Lesson, work_and_ack: Any, poll_for: Any) -> None:
    holding = threading.Event()

    def hold(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        holding.set()
        work_and_ack(ch, method, properties, b"." * 10_000)

    victim = lesson.start_worker(hold, "hello")
    lesson.start_publisher(["a", "b", "c"], "hello").wait()
    assert holding.wait(30)
    poll_for(lambda: len(events(lesson, "delivered")) == 3)  # else the heir is given some of them first
    heir = lesson.start_worker(work_and_ack, "hello")
    victim.kill()
    assert victim.state == "killed"
    lesson.wait_until_idle()
    assert [event.task for event in events(lesson, "requeued")] == ["a", "b", "c"]
    again = [event for event in events(lesson, "delivered") if event.actor == heir.name]
    assert [(event.task, event.redelivered) for event in again] == [("a", True), ("b", True), ("c", True)]
    assert heir.finished == 3
    assert victim.finished == 0


def test_a_kill_waits_for_nobody_and_is_logged_before_the_redelivery(
    lesson: Lesson, poll_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        taken.set()
        work("." * 100_000)

    lesson.start_publisher(["task"], "hello").wait()
    victim = lesson.start_worker(callback, "hello", name="victim")
    assert taken.wait(30)
    heir = lesson.start_worker(callback, "hello", name="heir")
    # The thread that owns the victim's connection never hears of the kill.
    monkeypatch.setattr(victim._pump, "call", lambda function: None)
    victim.request_kill()
    poll_for(lambda: heir.state == "busy")
    kinds_by_actor = [(event.actor, event.kind) for event in lesson.log if event.task or event.kind == "killed"]
    assert kinds_by_actor[-4:] == [
        ("victim", "killed"),
        ("victim", "requeued"),
        ("heir", "delivered"),
        ("heir", "started"),
    ]
    poll_for(lambda: victim.state == "killed")
    monkeypatch.undo()
    assert victim.join(10)


def test_a_killed_auto_ack_worker_loses_what_it_held_by_name(lesson: Lesson, poll_for: Any) -> None:
    holding = threading.Event()

    def hold(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if body != b"first":
            holding.set()
            threading.Event().wait(0.2)
            while True:  # busy in Python code: a kill ends this too
                pass

    worker = lesson.start_worker(hold, "hello", auto_ack=True)
    lesson.start_publisher(["first", "second", "third"], "hello").wait()
    assert holding.wait(30)
    poll_for(lambda: len(events(lesson, "delivered")) == 3)
    worker.kill()
    assert [event.task for event in events(lesson, "lost")] == ["second", "third"]
    assert [event.task for event in events(lesson, "finished")] == ["first"]
    lesson.wait_until_idle()
    counts = lesson.queue_counts()["hello"]
    assert (counts.ready, counts.unacknowledged) == (0, 0)


def test_stop_finishes_the_task_in_hand_and_gives_the_rest_back(lesson: Lesson, work_and_ack: Any) -> None:
    started, go_on = threading.Event(), threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        started.set()
        assert go_on.wait(30)
        work_and_ack(ch, method, properties, body)

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["mine", "other"], "hello").wait()
    assert started.wait(30)
    with pytest.raises(WaitTimeoutError, match=r"worker-1 still works on 'mine'"):
        worker.stop(timeout=0)
    go_on.set()
    worker.stop()
    assert worker.state == "stopped"
    assert [event.task for event in events(lesson, "acked")] == ["mine"]
    assert [event.task for event in events(lesson, "requeued")] == ["other"]


def test_a_frozen_worker_hangs_without_dying(lesson: Lesson, work_and_ack: Any, poll_for: Any) -> None:
    worker = lesson.start_worker(work_and_ack, "hello")
    worker.freeze()
    lesson.start_publisher(["one", "two"], "hello").wait()
    poll_for(lambda: lesson.queue_counts()["hello"].unacknowledged == 2)
    assert worker.state == "frozen"
    assert not events(lesson, "started")
    with pytest.raises(WaitTimeoutError, match=r"worker-1 is frozen"):
        worker.stop()
    worker.thaw()
    lesson.wait_until_idle()
    assert worker.finished == 2
    assert [event.kind for event in lesson.log if event.kind in ("frozen", "thawed")] == ["frozen", "thawed"]


def test_a_frozen_worker_can_be_killed(lesson: Lesson, work_and_ack: Any, poll_for: Any) -> None:
    worker = lesson.start_worker(work_and_ack, "hello")
    worker.freeze()
    lesson.start_publisher(["one"], "hello").wait()
    poll_for(lambda: worker.in_hand == 1)
    worker.kill()
    assert [event.task for event in events(lesson, "requeued")] == ["one"]


def test_nack_with_and_without_requeue(lesson: Lesson) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if method.redelivered:
            ch.basic_ack(delivery_tag=method.delivery_tag)
        elif body == b"back":
            ch.basic_nack(delivery_tag=method.delivery_tag, requeue=True)
        else:
            ch.basic_reject(delivery_tag=method.delivery_tag, requeue=False)

    lesson.start_worker(callback, "hello", prefetch_count=1)
    lesson.start_publisher(["back", "away"], "hello")
    lesson.wait_until_idle()
    assert [(event.task, event.detail) for event in events(lesson, "nacked")] == [("back", "requeue")]
    assert [(event.task, event.detail) for event in events(lesson, "rejected")] == [("away", "discard")]
    assert [event.task for event in events(lesson, "acked")] == ["back"]


def test_multiple_acks_settle_everything_before(lesson: Lesson) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if body == b"3":
            ch.basic_ack(delivery_tag=method.delivery_tag, multiple=True)

    lesson.start_worker(callback, "hello")
    lesson.start_publisher(["1", "2", "3"], "hello")
    lesson.wait_until_idle()
    assert [event.task for event in events(lesson, "acked")] == ["1", "2", "3"]


def test_acks_and_nacks_in_any_order_settle_what_they_name(lesson: Lesson, poll_for: Any) -> None:
    held: list[tuple[Any, int]] = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        held.append((ch, method.delivery_tag))

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher([str(number) for number in range(1, 41)], "hello").wait()
    poll_for(lambda: worker.finished == 40)
    generator = random.Random(1)  # noqa: S311 - a shuffle that can be repeated
    generator.shuffle(held)
    # 40 is never settled, every fifth is rejected, the rest is acked: all in a burst, tags in any order.
    for ch, tag in held:
        if tag % 5:
            ch.basic_ack(delivery_tag=tag)
        elif tag < 40:
            ch.basic_reject(delivery_tag=tag, requeue=False)
    poll_for(lambda: lesson.queue_counts()["hello"].unacknowledged == 1)
    assert worker.alive
    worker.kill()
    assert [event.task for event in events(lesson, "requeued")] == ["40"]
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)
    assert {event.task for event in events(lesson, "rejected")} == {"5", "10", "15", "20", "25", "30", "35"}


def test_an_ack_too_many_closes_the_channel_and_says_how(lesson: Lesson) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        ch.basic_ack(delivery_tag=method.delivery_tag)
        ch.basic_ack(delivery_tag=method.delivery_tag)

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["twice"], "hello")
    assert lesson.log.wait_for(lambda: not worker.alive, 30)
    assert worker.state == "crashed"
    assert "unknown delivery tag 1" in worker.console.text
    assert "406" in str(events(lesson, "channel closed")[0].detail)


def test_what_a_worker_holds_is_requeued_when_the_broker_closes_its_channel(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if body == b"second":
            ch.basic_ack(delivery_tag=99)

    worker = lesson.start_worker(callback, "hello")
    at_goodbye: list[str] = []
    say_goodbye = worker._consumer._life.close

    def note_and_say_goodbye() -> None:
        at_goodbye.extend(kinds(lesson, worker.name))
        say_goodbye()

    monkeypatch.setattr(worker._consumer._life, "close", note_and_say_goodbye)
    lesson.start_publisher(["first", "second"], "hello")
    assert lesson.log.wait_for(lambda: not worker.alive, 30)
    # The broker gives them to others when it closes the channel, not when the connection ends.
    assert at_goodbye[-3:] == ["channel closed", "requeued", "requeued"]
    assert [event.task for event in events(lesson, "requeued")] == ["first", "second"]


def test_a_deleted_queue_cancels_the_consumer(lesson: Lesson, work_and_ack: Any) -> None:
    worker = lesson.start_worker(work_and_ack, "hello")
    with lesson.connect() as connection:
        connection.channel().queue_delete("hello")
    assert lesson.log.wait_for(lambda: not worker.alive, 30)
    assert worker.state == "stopped"
    assert kinds(lesson, worker.name) == ["starting", "connected", "cancelled", "stopped"]


def test_a_callback_may_publish_the_next_task(lesson: Lesson, work_and_ack: Any) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if body == b"first":
            ch.basic_publish(exchange="", routing_key="hello", body="second")
        ch.basic_ack(delivery_tag=method.delivery_tag)

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["first"], "hello")
    assert lesson.log.wait_for(lambda: worker.finished == 2, 30)
    lesson.wait_until_idle()
    assert [event.task for event in events(lesson, "acked")] == ["first", "second"]
    assert [event.actor for event in events(lesson, "published")] == ["publisher-1", worker.name]


def test_a_message_published_elsewhere_is_known_again_when_redelivered(lesson: Lesson, poll_for: Any) -> None:
    import pika

    parameters = lesson.broker.connection_parameters(lesson.virtual_host)
    with pika.BlockingConnection(parameters) as outside:
        outside.channel().basic_publish(exchange="", routing_key="hello", body=b"\xff\xfe stray")
    victim = lesson.start_worker(lambda ch, method, properties, body: None, "hello")
    poll_for(lambda: victim.finished == 1)
    victim.kill()
    heir = lesson.start_worker(
        lambda ch, method, properties, body: ch.basic_ack(delivery_tag=method.delivery_tag), "hello"
    )
    assert lesson.log.wait_for(lambda: heir.finished == 1, 30)
    first, again = events(lesson, "delivered")
    assert first.mark == again.mark
    assert (first.redelivered, again.redelivered) == (False, True)


@pytest.mark.pinned
def test_fifty_workers_start_in_the_order_of_their_names(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_workers(50, work_and_ack, "hello")
    connected = [event.actor for event in events(lesson, "connected")]
    assert connected == [f"worker-{number}" for number in range(1, 51)]
    lesson.stop_workers()
    assert {worker.state for worker in lesson.workers} == {"stopped"}


@pytest.mark.pinned
@pytest.mark.parametrize("callback", [lambda ch, method, properties: None, "no function", 5])
def test_a_callback_with_the_wrong_signature(lesson: Lesson, callback: Any) -> None:
    with pytest.raises(CallbackSignatureError, match=r"def callback\(ch, method, properties, body\)"):
        lesson.start_worker(callback, "hello")
    assert lesson.workers == []


@pytest.mark.pinned
@pytest.mark.parametrize("prefetch_count", [-1, 65_536, 1.5, "one", True])
def test_a_prefetch_count_that_makes_no_sense(lesson: Lesson, work_and_ack: Any, prefetch_count: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"prefetch_count is .* whole number from 1 to 65535"):
        lesson.start_worker(work_and_ack, "hello", prefetch_count=prefetch_count)


def test_a_queue_that_is_not_there(lesson: Lesson, work_and_ack: Any) -> None:
    with pytest.raises(QueueNotFoundError, match=r"no queue 'helo'.*queue_declare"):
        lesson.start_worker(work_and_ack, "helo")


def test_an_unknown_worker(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_worker(work_and_ack, "hello")
    with pytest.raises(UnknownWorkerError, match=r"no worker named 'worker-7'.*Its workers: worker-1"):
        lesson.kill("worker-7")


def test_a_second_live_worker_of_the_same_name(lesson: Lesson, work_and_ack: Any) -> None:
    lesson.start_worker(work_and_ack, "hello", name="alice").stop()
    lesson.start_worker(work_and_ack, "hello", name="alice")
    with pytest.raises(InvalidArgumentError, match=r"live worker named 'alice'"):
        lesson.start_worker(work_and_ack, "hello", name="alice")


def _spin(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    while True:
        pass


def _sleep_at_its_pace(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    work("." * 100_000)


def _ack_at_once(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    ch.basic_ack(delivery_tag=method.delivery_tag)


def _raise_on_the_way_out(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    try:
        work("." * 100_000)
    finally:
        raise ZeroDivisionError


@pytest.mark.pinned
@pytest.mark.parametrize(
    ("callback", "count"), [(_spin, 5), (_sleep_at_its_pace, 25), (_ack_at_once, 25), (_raise_on_the_way_out, 5)]
)
def test_a_kill_at_any_moment_ends_both_threads_quietly(lesson: Lesson, callback: Any, count: int) -> None:
    # An error in a worker's thread would be a warning of pytest's, and so fail the test.
    lesson.start_publisher("task", "hello", count=3_000).wait()
    for worker in lesson.start_workers(count, callback, "hello", prefetch_count=5):
        worker.kill()
        assert worker.join(10)
        assert worker.state == "killed"
    assert not events(lesson, "failed")


def test_all_that_was_sent_to_an_auto_ack_worker_that_stops_is_in_the_log(lesson: Lesson, poll_for: Any) -> None:
    worker = lesson.start_worker(lambda *_: None, "hello", auto_ack=True)
    publisher = lesson.start_publisher("task", "hello", count=5_000)
    assert lesson.log.wait_for(lambda: worker.finished > 100, 30)
    worker.stop()
    publisher.wait()
    delivered = len(events(lesson, "delivered"))
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 5_000 - delivered, timeout=10)
    assert lesson.ledger().pending("hello") == 5_000 - delivered
    assert lesson.ledger().in_hand(worker.name) == 0


# -- what pika would refuse


def publish(**more: Any) -> Callable[[Any], None]:
    options = {"exchange": "", "routing_key": "next", "body": b"T"} | more
    return lambda ch: ch.basic_publish(**options)


REFUSED: dict[str, Callable[[Any], None]] = {
    "a dict as body": publish(body={"r": 1}),
    "no routing key": publish(routing_key=None),
    "a number as expiration": publish(properties=pika.BasicProperties(expiration=5000)),
    "a float in a header": publish(properties=pika.BasicProperties(headers={"x": 1.5})),
    "a text as delivery tag": lambda ch: ch.basic_ack("1"),
    "no delivery tag": lambda ch: ch.basic_ack(None),
    "a text as a tag to hand back": lambda ch: ch.basic_nack("1"),
    "headers that are no dict": publish(properties=pika.BasicProperties(headers=["x"])),
    "no properties but a dict": publish(properties={"priority": 1}),
}


def raised_by(function: Callable[[Any], None], channel: Any) -> Exception:
    try:
        function(channel)
    except Exception as error:  # noqa: BLE001 - whatever pika raises is what the test is about
        return error
    raise AssertionError("pika took it")


@pytest.mark.pinned
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_pika_refuses_is_refused_in_the_callback_by_the_same_exception(
    lesson: Lesson, poll_for: Any, name: str, slow: bool
) -> None:
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as plain:
        pikas = raised_by(REFUSED[name], plain.channel())
    caught: list[Exception] = []
    ended: list[str] = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if slow:
            poll_for(lambda: worker._pump.is_polled)
        try:
            REFUSED[name](ch)
        except Exception as error:
            caught.append(error)
            raise
        ended.append("after the call")

    with lesson.connect() as connection:
        for task in (b"first", b"second"):
            connection.channel().basic_publish("", "hello", task)
    gate = threading.Event()
    worker = lesson.start_worker(lambda *delivery: gate.wait(10) and callback(*delivery), "hello", prefetch_count=5)
    gate.set()
    poll_for(lambda: not worker.alive)
    assert (worker.state, ended, worker.finished) == ("crashed", [], 0)
    assert (type(caught[0]), str(caught[0])) == (type(pikas), str(pikas))
    assert type(caught[0]).__name__ in worker.console.text
    assert [event.task for event in events(lesson, "failed")] == ["first"]
    worker.kill()
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 2)
    assert {message.task: message.place for message in lesson.ledger()} == {"first": "waiting", "second": "waiting"}


@pytest.mark.pinned
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_what_escapes_the_thread_that_does_the_io_ends_the_worker(
    lesson: Lesson, poll_for: Any, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    gate = threading.Event()
    worker = lesson.start_worker(lambda *_: gate.wait(10), "hello")
    if busy:
        lesson.start_publisher(["task"], "hello").wait()
        poll_for(lambda: worker.state == "busy")

    def fail() -> None:
        raise ZeroDivisionError("in the loop")

    monkeypatch.setattr(worker._consumer, "after_poll", fail)
    worker._pump.call(lambda: None)
    poll_for(lambda: not worker.alive)
    assert worker.state == "crashed"
    assert [event.detail for event in events(lesson, "crashed")] == ["ZeroDivisionError: in the loop"]
    assert "This worker ended" in worker.console.text
    assert "in the loop" in worker.console.text
    worker.kill()
    assert not events(lesson, "killed")
    if busy:
        poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)
        assert [message.place for message in lesson.ledger()] == ["waiting"]
    gate.set()


class SilentError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


@pytest.mark.pinned
@pytest.mark.parametrize("kind", [SilentError, SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("where", ["callback", "loop", "loop while it works"])
def test_nothing_that_is_raised_leaves_a_worker_that_looks_alive(
    lesson: Lesson, poll_for: Any, kind: type[BaseException], where: str
) -> None:
    gate = threading.Event()

    def fail() -> None:
        raise kind

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if where == "callback":
            fail()
        ch.connection.add_callback_threadsafe(fail)
        if where == "loop while it works":
            gate.wait(10)

    worker = lesson.start_worker(callback, "hello", name="w")
    lesson.start_publisher(["task"], "hello").wait()
    poll_for(lambda: not worker.alive)
    gate.set()
    assert worker.state == "crashed"
    (told,) = events(lesson, "failed" if where == "callback" else "crashed")
    assert told.detail.startswith(kind.__name__)
    assert kind.__name__ in worker.console.text
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)
    assert [message.place for message in lesson.ledger()] == ["waiting"]


@pytest.mark.pinned
def test_kill_waits_for_nobody(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = lesson.start_worker(lambda *_: None, "hello")
    monkeypatch.setattr(worker._consumer, "connection_closed", lambda reason: None)  # nobody looks after it
    monkeypatch.setattr(worker._consumer, "cut", lambda state: None)
    worker.kill()
    assert worker.state == "killed"


# -- what a callback may do with its channel


def test_a_callback_has_what_pikas_examples_use(lesson: Lesson, poll_for: Any) -> None:
    told: dict[str, Any] = {}

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        told["open"] = (ch.is_open, ch.connection.is_open, ch.is_closed)
        told["declared"] = ch.queue_declare("replies", durable=True).method.queue
        ch.exchange_declare("logs", "fanout")
        ch.queue_bind("replies", "logs")
        ch.basic_publish("logs", "", b"told")
        told["got"] = ch.basic_get("replies", auto_ack=True)[2]
        told["empty"] = ch.basic_get("replies")
        ch.confirm_delivery()
        ch.basic_publish("", "replies", b"confirmed")
        with pytest.raises(pika.exceptions.UnroutableError):
            ch.basic_publish("", "nowhere", b"back", mandatory=True)
        told["purged"] = ch.queue_purge("replies").method.message_count
        ch.connection.process_data_events()
        ch.connection.sleep(0.01)
        ch.connection.add_callback_threadsafe(lambda: ch.basic_ack(method.delivery_tag))

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello").wait()
    poll_for(lambda: worker.finished == 1 or not worker.alive)
    assert "Traceback" not in worker.console.text
    poll_for(lambda: any(event.task == "task" for event in events(lesson, "acked")))
    assert told == {
        "open": (True, True, False),
        "declared": "replies",
        "got": b"told",
        "empty": (None, None, None),
        "purged": 1,
    }
    assert worker.state == "idle"


def test_a_request_that_the_broker_refuses_raises_in_the_callback(lesson: Lesson, poll_for: Any) -> None:
    caught: list[Exception] = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        try:
            ch.queue_declare("nowhere", passive=True)
        except Exception as error:
            caught.append(error)
            raise

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello").wait()
    poll_for(lambda: not worker.alive)
    assert isinstance(caught[0], pika.exceptions.ChannelClosedByBroker)
    assert caught[0].reply_code == 404
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)


@pytest.mark.pinned
@pytest.mark.parametrize(
    "what",
    [
        lambda ch: ch.basic_qos(prefetch_size=5),
        lambda ch: ch.basic_recover(requeue=False),
        lambda ch: ch.stop_consuming("another's"),
        lambda ch: ch.basic_qos(prefetch_count=7),
        lambda ch: ch.basic_recover(requeue=True),
        lambda ch: ch.connection.sleep(-1),
        lambda ch: ch.connection.sleep("1"),
        lambda ch: ch.connection.process_data_events(-1),
        lambda ch: ch.connection.process_data_events("1"),
    ],
)
def test_it_answers_and_raises_what_pikas_does(lesson: Lesson, poll_for: Any, what: Callable[[Any], Any]) -> None:
    def outcome(channel: Any) -> tuple[Any, ...]:
        try:
            return (what(channel), channel.is_open)
        except (Exception, AssertionError) as error:  # noqa: BLE001 - whatever pika raises is what the test is about
            return type(error), str(error), channel.is_open

    pikas, ours = list[Any](), list[Any]()
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as plain:
        pikas.append(outcome(plain.channel()))
        if plain.is_closed:
            plain.close = lambda: None  # type: ignore[method-assign]
    told = threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if not told.is_set():
            ours.append(outcome(ch))
            told.set()

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello").wait()
    assert told.wait(10)
    assert ours == pikas
    is_open = ours[0][-1]
    poll_for(lambda: worker.state == "idle" if is_open else worker.state == "crashed")


@pytest.mark.pinned
def test_a_connection_that_the_broker_closed_for_what_came_over_it_is_not_opened_again(
    lesson: Lesson, poll_for: Any
) -> None:
    too_long = pika.BasicProperties(headers={"a": "x" * 200_000})  # more than a frame may have
    worker = lesson.start_worker(lambda ch, *_: ch.basic_publish("", "next", b"", too_long), "hello")
    lesson.start_publisher(["task"], "hello").wait()
    poll_for(lambda: not worker.alive)
    assert worker.state == "crashed"
    assert "501" in events(lesson, "crashed")[-1].detail
    assert not events(lesson, "reconnecting")
    assert [message.place for message in lesson.ledger() if message.queue == "hello"] == ["waiting"]
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)


@pytest.mark.pinned
def test_an_ack_after_the_broker_closed_the_channel_raises(lesson: Lesson, poll_for: Any) -> None:
    caught: list[Exception] = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):
            ch.queue_declare("nowhere", passive=True)
        caught.append(raised_by(lambda ch: ch.basic_ack(method.delivery_tag), ch))

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello").wait()
    poll_for(lambda: not worker.alive and caught)
    assert [(type(error), str(error)) for error in caught] == [
        (pika.exceptions.ChannelWrongStateError, "Channel is closed.")
    ]
    assert worker.state == "crashed"
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)


def test_acks_of_other_threads_are_sent_too(lesson: Lesson, poll_for: Any) -> None:
    with futures.ThreadPoolExecutor(4) as pool:

        def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
            sent = pool.submit(ch.basic_ack, method.delivery_tag)
            if body == b"wait":
                sent.result(10)

        worker = lesson.start_worker(callback, "hello")
        lesson.start_publisher([*map(str, range(100)), "wait"], "hello").wait()
        poll_for(lambda: len(events(lesson, "acked")) == 101)
    assert {message.place for message in lesson.ledger()} == {"done"}
    assert worker.alive


def test_a_callback_may_stop_its_worker(lesson: Lesson, poll_for: Any) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        ch.basic_ack(method.delivery_tag)
        ch.stop_consuming()

    worker = lesson.start_worker(callback, "hello", prefetch_count=1)
    lesson.start_publisher(["first", "second"], "hello").wait()
    poll_for(lambda: not worker.alive)
    assert (worker.state, worker.finished) == ("stopped", 1)
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)


@pytest.mark.parametrize(
    ("close", "is_connected"), [(lambda ch: ch.close(320, "tired"), True), (lambda ch: ch.connection.close(), False)]
)
def test_a_callback_may_close_its_channel_or_connection_as_pikas(
    lesson: Lesson, poll_for: Any, close: Callable[[Any], None], is_connected: bool
) -> None:
    seen: list[Any] = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        close(ch)
        poll_for(lambda: lesson.queue_counts()["hello"].ready == 2)  # before the callback is over
        seen.extend([ch.is_closed, ch.connection.is_open])
        seen.extend([raised_by(lambda ch: ch.basic_ack(method.delivery_tag), ch), raised_by(close, ch)])

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["first", "second"], "hello").wait()
    lesson.wait_until_idle()
    assert (worker.state, worker.finished) == ("stopped", 1)
    assert seen[:2] == [True, is_connected]
    assert isinstance(seen[2], pika.exceptions.ChannelWrongStateError)
    assert isinstance(seen[3], pika.exceptions.ChannelWrongStateError | pika.exceptions.ConnectionWrongStateError)
    assert {message.place for message in lesson.ledger()} == {"waiting"}
    assert kinds(lesson, worker.name)[-4:] == ["requeued", "stopping", "finished", "stopped"]
    assert {event.detail for event in events(lesson, "requeued")} == {"the channel was closed"}


# -- what a kill does to acknowledgments that were sent just before


@pytest.mark.parametrize(
    ("queue_type", "count", "fates"),
    [("classic", 300, {"done"}), ("quorum", 30, {"done"}), ("quorum", 300, {"done", "unknown"})],
)
def test_what_a_killed_worker_had_acknowledged_is_done_and_does_not_come_back(
    lesson: Lesson, queue_type: str, count: int, fates: set[str]
) -> None:
    tags = list[int]()
    acknowledged = threading.Event()

    def acknowledge_all_at_the_end(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        tags.append(method.delivery_tag)
        if len(tags) == count:
            for tag in tags:
                ch.basic_ack(tag)
            acknowledged.set()
            work("." * 100_000)

    for queue in ("first", "second", "third"):
        tags.clear()
        acknowledged.clear()
        with lesson.connect() as connection:
            arguments = {"x-queue-type": queue_type}
            connection.channel().queue_declare(queue, durable=True, arguments=arguments)
        lesson.start_publisher("task", queue, count=2 * count).wait()
        worker = lesson.start_worker(acknowledge_all_at_the_end, queue, prefetch_count=count)
        assert acknowledged.wait(60)
        worker.kill()
        places = [message.place for message in lesson.ledger() if message.queue == queue]
        assert set(places[:count]) <= fates  # a quorum queue's channel may lose what exceeds 32 commands
        assert places[count:] == ["waiting"] * count
        assert lesson.take_stock()
        ledger = lesson.ledger()
        unknown = [message for message in ledger if (message.queue, message.place) == (queue, "unknown")]
        assert (ledger.missing_count(queue), ledger.unseen(queue)) == (len(unknown), 0)


def test_what_a_thread_has_left_to_a_killed_worker_ends_with_it(lesson: Lesson) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        def acknowledge() -> None:
            worker.request_kill()
            ch.basic_ack(delivery_tag=method.delivery_tag)

        ch.connection.add_callback_threadsafe(acknowledge)

    worker = lesson.start_worker(callback, "hello")
    lesson.start_publisher(["task"], "hello").wait()
    assert worker.join(30)
    assert worker.state == "killed"
    assert [event.kind for event in lesson.log if event.actor == worker.name][-2:] == ["killed", "requeued"]
