"""The relay: programs of any kind in the log, and nothing changed for them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
import pytest
import trustme
from pika import frame, spec

from tests.logs import events, fates
from tests.support import is_refused
from workq_helpers import Broker, Lesson
from workq_helpers.broker.ports import free_ports
from workq_helpers.clients.relay import Relay
from workq_helpers.log.book import Book
from workq_helpers.log.details import Handback, ProgramOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import MARK_HEADER
from workq_helpers.rabbitmq.endpoint import Endpoint

#: The first that an AMQP client says.
HEADER = b"AMQP\x00\x00\x09\x01"

PROGRAMS = Path(__file__).parents[2] / "notebooks" / "programs"
NEW_TASK, WORKER = PROGRAMS / "new_task.py", PROGRAMS / "worker.py"
ENDLESS = "Endless" + "." * 1_000

Poll = Callable[..., None]


def story(lesson: Lesson, *kinds: str) -> list[tuple[str, str, str]]:
    return [(event.kind, event.actor, event.task) for event in lesson.log if event.kind in kinds]


@contextlib.contextmanager
def connected(address: str, **properties: str) -> Iterator[pika.BlockingConnection]:
    """A program's connection; that it runs in this process makes no difference to the relay."""
    parameters = pika.URLParameters(address)
    parameters.client_properties = properties or None
    connection = pika.BlockingConnection(parameters)
    yield connection
    if connection.is_open:
        connection.close()


def publish(lesson: Lesson, *tasks: str, queue: str = "hello") -> None:
    with connected(lesson.address, connection_name="sender") as connection:
        channel = connection.channel()
        for task in tasks:
            channel.basic_publish("", queue, task.encode())


# -- the lesson's own programs


def test_a_task_is_seen_on_its_way_from_program_to_program(lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER)
    worker.wait_for("Waiting")
    lesson.start_program(NEW_TASK, "Soup.").wait()
    worker.wait_for("Done Soup.")
    worker.stop()
    seen = story(lesson, "connected", "published", "confirmed", "delivered", "acked", "stopped")
    assert [each for each in seen if each[1] == "new_task.py 1"] == [
        ("connected", "new_task.py 1", ""),
        ("published", "new_task.py 1", "Soup."),
        ("confirmed", "new_task.py 1", "Soup."),
        ("stopped", "new_task.py 1", ""),
    ]
    assert [each for each in seen if each[1] == "worker.py 1"] == [
        ("connected", "worker.py 1", ""),
        ("delivered", "worker.py 1", "Soup."),
        ("acked", "worker.py 1", "Soup."),
        ("stopped", "worker.py 1", ""),
    ]
    assert [each[0] for each in seen if each[2]].index("published") == 0
    assert fates(lesson) == {"Soup.": "done"}
    options = events(lesson, "connected")[0].detail
    assert options == ProgramOptions(prefetch_count=1, program="worker.py 1")
    assert {event.queue for event in lesson.log if event.kind in ("declared", "acked")} == {"hello", "task_queue"}


def test_what_a_killed_program_held_is_seen_to_go_to_another(lesson: Lesson, poll_for: Poll) -> None:
    first = lesson.start_program(WORKER)
    lesson.start_program(NEW_TASK, ENDLESS).wait()
    first.wait_for("Received Endless")
    second = lesson.start_program(WORKER)
    second.wait_for("Waiting")
    first.kill()
    second.wait_for("(again)")
    poll_for(lambda: events(lesson, "killed") and len(events(lesson, "delivered")) == 2)
    kinds = ("delivered", "requeued", "hung up", "killed")
    seen = story(lesson, *kinds)
    assert [each for each in seen if each[0] != "killed"] == [
        ("delivered", "worker.py 1", seen[0][2]),
        ("hung up", "worker.py 1", ""),
        ("requeued", "worker.py 1", seen[0][2]),
        ("delivered", "worker.py 2", seen[0][2]),
    ]
    assert events(lesson, "delivered")[1].redelivered
    (message,) = lesson.ledger()
    assert (message.place, message.worker, message.deliveries) == ("in hand", "worker.py 2", 2)


@pytest.mark.pinned
@pytest.mark.parametrize(("code", "end"), [("os._exit(0)", "stopped"), ("os._exit(3)", "crashed")])
def test_how_a_program_ended_is_told_by_its_process(
    lesson: Lesson, tmp_path: Path, poll_for: Poll, code: str, end: str
) -> None:
    path = tmp_path / "abrupt.py"
    path.write_text(
        "import os, pika\n"
        "connection = pika.BlockingConnection(pika.URLParameters(os.environ['WORKQ_BROKER_URL']))\n"
        f"connection.channel().basic_publish('', 'hello', b'x')\nconnection.process_data_events(0)\n{code}\n"
    )
    lesson.start_program(path).wait()
    poll_for(lambda: events(lesson, end))
    poll_for(lambda: events(lesson, "hung up"))


@pytest.mark.once
def test_a_program_that_came_back_after_a_restart_ends_once(
    restartable: Broker, lesson: Lesson, poll_for: Poll
) -> None:
    worker = lesson.start_program(WORKER)
    poll_for(lambda: len(events(lesson, "connected")) == 1)
    restartable.restart()
    poll_for(lambda: len(events(lesson, "connected")) == 2, 60)
    worker.kill()
    poll_for(lambda: events(lesson, "killed"))
    assert [actor for _, actor, _ in story(lesson, "connected", "hung up", "killed")] == ["worker.py 1"] * 5


#: Settles all that it got at the last moment, and ends as it is told.
ABRUPT = """
import os, signal, pika
connection = pika.BlockingConnection(pika.URLParameters(os.environ["WORKQ_BROKER_URL"]))
channel = connection.channel()
channel.basic_qos(prefetch_count={count})
tags = []
for method, _, _ in channel.consume("hasty"):
    tags.append(method.delivery_tag)
    if len(tags) == {count}:
        break
for tag in tags:
    channel.{settle}
{end}
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
GOODBYE_TO_NOBODY = "connection._impl._send_method(0, pika.spec.Connection.Close(200, 'bye', 0, 0)); os._exit(0)"
IDLE_AND_KILLED = "channel.queue_declare('hasty', passive=True); os.kill(os.getpid(), signal.SIGKILL)"
CLOSED = "connection.close()"


def end_abruptly(lesson: Lesson, tmp_path: Path, poll_for: Poll, count: int, settle: str, end: str) -> None:
    path = tmp_path / "abrupt.py"
    path.write_text(ABRUPT.format(count=count, settle=settle, end=end))
    lesson.start_program(path).wait()
    poll_for(lambda: any(event.kind in ("hung up", "stopped") and event.actor != "sender" for event in lesson.log))


def places(lesson: Lesson, queue: str) -> dict[str, str]:
    return {message.task: message.place for message in lesson.ledger() if message.queue == queue}


def drained(lesson: Lesson, queue: str) -> set[str]:
    """What a client that nobody observes finds in a queue, and leaves there."""
    found = set()
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as judge:
        channel = judge.channel()
        while (body := channel.basic_get(queue)[2]) is not None:
            found.add(body.decode())
    return found


@pytest.mark.parametrize(
    ("queue_type", "settle", "end", "fate"),
    [
        ("quorum", "basic_ack(tag)", KILLED, "unknown"),
        ("classic", "basic_ack(tag)", KILLED, "unknown"),
        ("quorum", "basic_reject(tag, requeue=False)", KILLED, "unknown"),
        ("quorum", "basic_ack(tag)", GOODBYE_TO_NOBODY, "unknown"),
        ("classic", "basic_ack(tag)", IDLE_AND_KILLED, "done"),
        ("quorum", "basic_ack(tag)", CLOSED, "done"),
    ],
)
def test_what_a_program_settled_last_is_known_if_rabbitmq_said_something_after_it(
    lesson: Lesson, tmp_path: Path, poll_for: Poll, queue_type: str, settle: str, end: str, fate: str
) -> None:
    """RabbitMQ drops what its channels have not come to when a connection ends, though all of it was handed on."""
    with connected(lesson.address, connection_name="sender") as connection:
        channel = connection.channel()
        channel.queue_declare("hasty", durable=True, arguments={"x-queue-type": queue_type})
        channel.confirm_delivery()  # or 3.10 now and then loses the last ones of a quorum queue
        for number in range(100):
            channel.basic_publish("", "hasty", str(number).encode())
    end_abruptly(lesson, tmp_path, poll_for, 100, settle, end)
    assert set(places(lesson, "hasty").values()) == {fate}
    assert lesson.take_stock()
    told = places(lesson, "hasty")
    waiting = {task for task, place in told.items() if place == "waiting"}
    assert set(told.values()) <= {fate, "waiting"}
    assert lesson.queue_counts()["hasty"].ready == len(waiting)
    assert waiting == drained(lesson, "hasty")


def test_a_killed_program_is_gone_for_rabbitmq_at_once(lesson: Lesson) -> None:
    worker = lesson.start_program(WORKER)
    lesson.start_program(NEW_TASK, ENDLESS).wait()
    worker.wait_for("Received Endless")
    worker.kill()
    with lesson.connect() as connection:
        channel = connection.channel()
        found: Any = (None, None, None)
        while found[0] is None:  # what the broker had given to the dead comes back without any heartbeat's delay
            found = channel.basic_get("task_queue", auto_ack=True)
    assert found[0].redelivered


@pytest.mark.pinned
def test_the_lesson_kills_a_program_by_the_name_on_its_card(lesson: Lesson, poll_for: Poll) -> None:
    worker = lesson.start_program(WORKER)
    worker.wait_for("Waiting")
    poll_for(lambda: events(lesson, "connected"))
    lesson.stage._send_frame()
    (card,) = lesson.stage._widget.frame["workers"]
    assert (card["name"], card["program"], card["state"]) == ("worker.py 1", "worker.py 1", "idle")
    assert card["console"] == [" [*] Waiting for tasks. To leave, press Ctrl-C"]
    lesson.kill("worker.py 1")
    assert worker.state == "killed"
    poll_for(lambda: events(lesson, "killed"))
    polite = lesson.start_program(WORKER)
    polite.wait_for("Waiting")
    lesson.stop("worker.py 2")
    assert polite.status == 0


# -- anybody else's


@pytest.mark.pinned
def test_a_connection_is_called_by_its_name_or_by_its_library(lesson: Lesson) -> None:
    with (
        connected(lesson.address, connection_name="soup kitchen") as named,
        connected(lesson.address, connection_name="soup kitchen") as namesake,
        connected(lesson.address, connection_name="notebook") as impostor,
        connected(lesson.address) as nameless,
    ):
        for connection in (named, namesake, impostor, nameless):
            connection.channel().basic_publish("", "hello", b"Soup.")
            connection.channel()  # an answer: what was sent before has passed
    actors = [event.actor for event in events(lesson, "published")]
    assert actors[:3] == ["soup kitchen", "soup kitchen (2)", "notebook (2)"]
    assert actors[3].startswith("Pika Python Client Library ")
    with connected(lesson.address, connection_name="soup kitchen") as again:
        again.channel().basic_publish("", "hello", b"Soup.")
        again.channel()
    assert events(lesson, "published")[-1].actor == "soup kitchen"  # the name is free again


def test_acks_nacks_and_multiple_are_seen(lesson: Lesson) -> None:
    publish(lesson, *"abcdef")
    with connected(lesson.address, connection_name="eater") as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=6)
        tags = []
        for method, _, _ in consumed(channel):
            tags.append(method.delivery_tag)
            if len(tags) == 6:
                break
        channel.basic_ack(tags[2], multiple=True)
        channel.basic_nack(tags[3], requeue=False)
        channel.basic_reject(tags[4], requeue=True)
        channel.basic_qos(prefetch_count=1)  # an answer: RabbitMQ has all of it
    assert fates(lesson) == {"a": "done", "b": "done", "c": "done", "d": "discarded", "e": "waiting", "f": "waiting"}
    handed_back = [event.detail for event in lesson.log if event.kind in ("nacked", "rejected")]
    assert handed_back[:2] == [Handback.DISCARD, Handback.REQUEUE]  # pika hands back the rest when it closes
    with pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host)) as judge:
        assert judge.channel().queue_declare("hello", passive=True).method.message_count == 2


@pytest.mark.parametrize("tag", ["", "mine"])
def test_a_consumer_that_asks_for_no_answer_is_seen(lesson: Lesson, poll_for: Poll, tag: str) -> None:
    publish(lesson, "a", "b")
    with raw_client(lesson) as client:
        client.send(frame.Method(1, spec.Basic.Consume(queue="hello", consumer_tag=tag, nowait=True)).marshal())
        poll_for(lambda: len(events(lesson, "delivered")) == 2)
        client.send(frame.Method(1, spec.Basic.Ack(0, multiple=True)).marshal())
        poll_for(lambda: fates(lesson) == {"a": "done", "b": "done"})
    assert [event.queue for event in events(lesson, "connected")] == ["", "hello"]


@pytest.mark.pinned
def test_equal_tasks_are_counted_right(lesson: Lesson) -> None:
    publish(lesson, *["same"] * 5)
    with connected(lesson.address, connection_name="eater") as connection:
        channel = connection.channel()
        for number, (method, _, _) in enumerate(consumed(channel)):
            if method.redelivered:
                channel.basic_ack(method.delivery_tag)
                break
            if number == 2:
                channel.basic_nack(method.delivery_tag)
            elif number < 2:
                channel.basic_ack(method.delivery_tag)
        channel.cancel()
    assert sorted(message.place for message in lesson.ledger()) == ["done", "done", "done", "waiting", "waiting"]


@pytest.mark.pinned
def test_a_program_and_the_lessons_own_worker_share_a_queue(lesson: Lesson, work_and_ack: Any, poll_for: Poll) -> None:
    publish(lesson, "to the worker")
    lesson.start_worker(work_and_ack, "hello")
    lesson.wait_until_idle()
    lesson.workers[0].stop()
    lesson.start_publisher(["to the program"], "hello").wait()
    with connected(lesson.address, connection_name="eater") as connection:
        channel = connection.channel()
        method, properties, _ = channel.basic_get("hello")
        assert method is not None
        channel.basic_ack(method.delivery_tag)
        assert properties is not None
        assert isinstance((properties.headers or {})[MARK_HEADER], str)  # bytes pass as they are
    assert fates(lesson) == {"to the worker": "done", "to the program": "done"}
    assert len(lesson.ledger()) == 2


def test_what_a_program_itself_writes_into_the_header_of_the_marks_is_no_mark(lesson: Lesson, poll_for: Poll) -> None:
    odd: list[Any] = [".", "", 7, None, "nonsense", ["x"], {"a": 1}]
    seen = list[Any]()
    with connected(lesson.address, connection_name="odd one") as connection:
        channel = connection.channel()
        for value in odd:
            channel.basic_publish(
                "", "hello", f"Task {value}".encode(), pika.BasicProperties(headers={MARK_HEADER: value})
            )
        for value in odd[:3]:
            method, properties, _ = channel.basic_get("hello")
            assert method is not None
            assert properties is not None
            assert properties.headers == {MARK_HEADER: value}
            channel.basic_ack(method.delivery_tag)

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        seen.append(properties.headers[MARK_HEADER])
        ch.basic_ack(method.delivery_tag)

    lesson.start_worker(callback, "hello")
    lesson.wait_until_idle()
    assert seen == odd[3:]
    assert fates(lesson) == {f"Task {value}": "done" for value in odd}
    assert len(lesson.ledger()) == len(odd)


def test_what_comes_under_auto_ack_is_unknown_from_then_on(lesson: Lesson) -> None:
    publish(lesson, "a")
    with connected(lesson.address, connection_name="eater") as connection:
        next(connection.channel().consume("hello", auto_ack=True))
    assert fates(lesson) == {"a": "unknown"}
    assert [message.reason for message in lesson.ledger()] == [
        "sent under auto-ack: what a program does with it nobody sees"
    ]


def test_returns_refusals_and_closed_channels_are_seen(lesson: Lesson) -> None:
    with connected(lesson.address, connection_name="sender") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish("", "nowhere", b"returned", mandatory=True)
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            channel.basic_publish("missing", "x", b"refused")
        channel = connection.channel()
        channel.basic_publish("", "hello", b"fine")
        connection.channel()
    assert fates(lesson) == {"returned": "returned", "refused": "refused", "fine": "waiting"}
    assert len(events(lesson, "channel closed")) == 1


def test_what_a_raw_client_sends_before_it_hears_of_a_closed_channel_is_refused(lesson: Lesson) -> None:
    with connected(lesson.address, connection_name="sender") as connection:
        channel = connection.channel()
        for task in (b"no such exchange", b"behind it"):
            exchange = "missing" if task.startswith(b"no") else ""
            channel._impl.basic_publish(exchange, "hello", task)  # which reads nothing, so both are sent
        with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare("hello", passive=True)
    assert fates(lesson) == {"no such exchange": "refused", "behind it": "refused"}


def test_a_server_named_consumer_on_a_server_named_queue_is_known(lesson: Lesson, poll_for: Poll) -> None:
    with raw_client(lesson) as client:
        client.ask(spec.Queue.Declare(queue=""), 1)
        client.ask(spec.Basic.Consume(queue="", consumer_tag="", no_ack=False), 1)
        queue = events(lesson, "declared")[-1].queue
        client.publish(1, queue, b"soup")
        client.hear(lambda data: b"soup" in data)
        client.send(frame.Method(1, spec.Basic.Ack(1)).marshal())
        poll_for(lambda: events(lesson, "acked"))
        assert events(lesson, "acked")[0].queue == queue
        assert fates(lesson) == {"soup": "done"}  # as long as its connection stands


# -- the wire


@pytest.mark.pinned
def test_twenty_megabytes_pass_unchanged(lesson: Lesson, poll_for: Poll) -> None:
    body = os.urandom(10_000_000) * 2 if lesson.broker.version.major < 4 else os.urandom(15_000_000)
    with connected(lesson.address, connection_name="mover") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "hello", body)
        _, _, got = channel.basic_get("hello", auto_ack=True)
    assert hashlib.sha256(got or b"").digest() == hashlib.sha256(body).digest()


def test_a_body_that_rabbitmq_refuses_is_refused_through_the_relay_too(lesson: Lesson) -> None:
    if lesson.broker.version.major < 4:
        pytest.skip("this RabbitMQ takes it")
    with connected(lesson.address, connection_name="mover") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            channel.basic_publish("", "hello", bytes(20_000_000))
    assert [message.place for message in lesson.ledger()] == ["refused"]


@pytest.mark.pinned
def test_a_client_that_does_not_read_is_not_read_for(lesson: Lesson, poll_for: Poll) -> None:
    publish(lesson, *(f"{number} " + "x" * 1_000_000 for number in range(40)))
    with raw_client(lesson, receive_buffer=4096) as client:
        client.ask(spec.Basic.Consume(queue="hello", consumer_tag="slow"), 1)
        poll_for(lambda: events(lesson, "delivered"))
        held = threading.Event()
        seen = -1
        while len(events(lesson, "delivered")) != seen:  # until it comes to a halt
            seen = len(events(lesson, "delivered"))
            held.wait(0.5)
    assert seen < 30


@pytest.mark.pinned
def test_what_is_no_amqp_passes_as_well(lesson: Lesson, poll_for: Poll) -> None:
    parameters = pika.URLParameters(lesson.address)
    with socket.create_connection((parameters.host, parameters.port), 30) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = client.recv(100)
    assert answer.startswith(b"AMQP")  # RabbitMQ's own, of the version that it would rather speak
    poll_for(lambda: events(lesson, "unreadable"))
    assert "the program sent what is no AMQP 0-9-1: there is no frame of type 71" in str(
        events(lesson, "unreadable")[0].detail
    )


@pytest.mark.pinned
def test_bytes_that_can_not_be_read_end_what_is_known_and_nothing_else(lesson: Lesson, poll_for: Poll) -> None:
    publish(lesson, "soup")
    with raw_client(lesson) as client:
        client.ask(spec.Basic.Consume(queue="hello", consumer_tag="odd"), 1)
        poll_for(lambda: events(lesson, "delivered"))
        client.send(b"\x09\x00\x01\x00\x00\x00\x00\xce")
        client.hear(lambda data: b"FRAME_ERROR" in data or b"INTERNAL_ERROR" in data or b"rame" in data or not data)
    poll_for(lambda: events(lesson, "unreadable"))
    assert fates(lesson) == {"soup": "unknown"}


@pytest.mark.pinned
def test_heartbeats_are_the_clients_own(lesson: Lesson) -> None:
    with connected(f"{lesson.address}?heartbeat=1", connection_name="sleeper") as connection:
        channel = connection.channel()
        threading.Event().wait(4)  # so long that RabbitMQ hangs up on who says nothing
        with pytest.raises(pika.exceptions.AMQPError):
            channel.queue_declare("hello", passive=True)
    assert [event.detail for event in events(lesson, "hung up")] == ["RabbitMQ hung up"]


@pytest.mark.once
def test_a_crash_of_the_broker_reaches_the_client_and_a_new_connection_is_refused(
    restartable: Broker, lesson: Lesson, poll_for: Poll
) -> None:
    address = lesson.address
    with connected(address, connection_name="patient") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "hello", b"soup", pika.BasicProperties(delivery_mode=2))
        channel.basic_qos(prefetch_count=1)
        next(channel.consume("hello"))
        restartable.crash()
        with pytest.raises((pika.exceptions.AMQPError, OSError)):
            channel.queue_declare("hello", passive=True)
    poll_for(lambda: events(lesson, "hung up"))
    assert str(events(lesson, "hung up")[0].detail).startswith("RabbitMQ hung up")
    with connected(address, connection_name="patient") as connection:  # crash() returns when it is up again
        method, _, _ = next(connection.channel().consume("hello"))
        assert method is not None
    assert len(lesson.ledger()) == 1


@pytest.fixture
def nobody() -> Iterator[socket.socket]:
    """Where no broker is: a port that is taken, and nobody listens."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", free_ports(1)[0]))  # one that was chosen stays through a shutdown
        yield bound


@contextlib.contextmanager
def served(listener: socket.socket, greeting: bytes) -> Iterator[threading.Event]:
    """Listen, and say one greeting to each who comes, then hang up; the event is set once somebody has come."""
    has_come = threading.Event()

    def serve() -> None:
        while True:
            try:
                behind, _ = listener.accept()
            except OSError:
                return
            with behind, contextlib.suppress(OSError):  # who comes only to see whether somebody listens
                behind.recv(len(HEADER))
                behind.sendall(greeting)
            has_come.set()

    listener.listen()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield has_come
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # it listens no more
        thread.join()


@pytest.fixture
def relay_to_nobody(nobody: socket.socket) -> Iterator[Relay]:
    """A relay to where no broker is."""
    port = nobody.getsockname()[1]
    relay = Relay(Endpoint("127.0.0.1", port, "guest", "guest"), Book(EventLog()), lambda _: False)
    yield relay
    relay.close()


@pytest.mark.pinned
@pytest.mark.parametrize("told", [False, True])
def test_while_there_is_no_broker_a_program_is_refused_and_the_port_stays(
    relay_to_nobody: Relay, nobody: socket.socket, poll_for: Poll, told: bool
) -> None:
    """As by a broker that is away: pika calls a connection that is reset one of an incompatible protocol."""
    first, second = relay_to_nobody.endpoint().port, relay_to_nobody.endpoint("second").port
    if told:
        relay_to_nobody.broker_goes()
    else:
        assert hangs_up(first)
    poll_for(lambda: is_refused(first) and is_refused(second))
    assert relay_to_nobody.endpoint().port == first
    late = relay_to_nobody.endpoint("late").port
    assert is_refused(late)
    with served(nobody, b"") as has_come:  # a port of Docker's, with nobody behind it
        for _ in range(2):
            has_come.clear()
            assert has_come.wait(10)
        assert is_refused(first)
    with served(nobody, b"\x01"):
        if told:
            relay_to_nobody.broker_is_back()
            assert not is_refused(first)
        for port in (first, second, late):
            poll_for(lambda port=port: not is_refused(port))
    poll_for(lambda: is_refused(first))


@pytest.mark.pinned
def test_a_broker_that_is_about_to_go_is_looked_at_on_one_connection_until_that_ends(
    relay_to_nobody: Relay, nobody: socket.socket, poll_for: Poll
) -> None:
    """RabbitMQ writes three lines of each into its log, and nobody knows how long it takes to go."""
    port = relay_to_nobody.endpoint().port
    relay_to_nobody.broker_goes()
    poll_for(lambda: is_refused(port))
    nobody.listen()
    nobody.settimeout(10)
    with nobody.accept()[0] as behind:
        behind.sendall(b"\x01")
        nobody.settimeout(1)
        with pytest.raises(TimeoutError):
            nobody.accept()
        assert not is_refused(port)
        nobody.shutdown(socket.SHUT_RDWR)
    poll_for(lambda: is_refused(port))


@pytest.mark.pinned
def test_a_relay_ends_whose_broker_has_left_a_program_connected(
    relay_to_nobody: Relay, nobody: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workq_helpers.clients.relay._ANSWER_SECONDS", 10.0)
    nobody.listen()
    with socket.create_connection(("127.0.0.1", relay_to_nobody.endpoint().port), 10) as client:
        client.sendall(HEADER)
        with nobody.accept()[0] as behind:
            assert behind.recv(len(HEADER)) == HEADER
            nobody.shutdown(socket.SHUT_RDWR)
            relay_to_nobody.close()
    assert not relay_to_nobody._thread.is_alive()


@pytest.mark.pinned
def test_a_port_that_can_not_be_opened_at_once_is_opened_later(
    relay_to_nobody: Relay, nobody: socket.socket, poll_for: Poll, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = relay_to_nobody.endpoint().port
    relay_to_nobody.broker_goes()
    poll_for(lambda: is_refused(port))
    too_many = threading.Event()

    def bound(_port: int) -> socket.socket:
        too_many.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("workq_helpers.clients.door._bound", bound)
        relay_to_nobody.broker_is_back()
        with served(nobody, b"\x01"):
            too_many.clear()
            assert too_many.wait(10)
            assert is_refused(port)
            patch.undo()
            poll_for(lambda: not is_refused(port))


@pytest.mark.pinned
def test_where_there_is_no_broker_a_connection_is_reset(relay_to_nobody: Relay) -> None:
    assert hangs_up(relay_to_nobody.endpoint().port)


@pytest.mark.pinned
def test_where_there_is_no_broker_a_client_can_finish_connecting(relay_to_nobody: Relay, poll_for: Poll) -> None:
    """pika raises a bare ValueError where it is reset before it has looked at its new connection."""
    port = relay_to_nobody.endpoint().port
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        poll_for(lambda: is_refused(port))  # and so the relay knows of the one before too
        assert client.getpeername()[1] == port
        client.sendall(HEADER)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    for _ in range(50):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))


@pytest.mark.pinned
def test_where_there_is_no_broker_who_says_nothing_can_leave(relay_to_nobody: Relay) -> None:
    with socket.create_connection(("127.0.0.1", relay_to_nobody.endpoint().port), 30) as client:
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@contextlib.contextmanager
def busy(relay: Relay) -> Iterator[None]:
    """A relay that has no time until the block ends, and in which a pause begins as late as in Python 3.11.2."""
    late = threading.Event()
    relay._loop.call_soon_threadsafe(late.wait, 10)
    yield
    late.set()


def spoken_at_once(relay: Relay) -> socket.socket:
    """Return a client that has said its first before the relay had time for it."""
    port = relay.endpoint().port
    with busy(relay):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(HEADER)
    client.settimeout(10)
    return client


@pytest.fixture
def reading_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11.2's asyncio: who is told to pause as it is connected reads all the same, once."""

    def add_reader(self: Any, fd: int, callback: Any, *args: Any) -> None:
        if not self._closing:
            self._loop._add_reader(fd, callback, *args)

    monkeypatch.setattr("asyncio.selector_events._SelectorTransport._add_reader", add_reader)


@pytest.mark.pinned
@pytest.mark.usefixtures("reading_at_once")
def test_what_a_program_says_at_once_reaches_the_broker(lesson: Lesson) -> None:
    with spoken_at_once(lesson._relay.running()) as client:
        assert client.recv(1) == b"\x01"  # Connection.Start


@pytest.mark.pinned
@pytest.mark.usefixtures("reading_at_once")
def test_who_leaves_at_once_leaves_nothing_behind(lesson: Lesson, poll_for: Poll) -> None:
    relay = lesson._relay.running()
    port = relay.endpoint().port
    with busy(relay):
        socket.create_connection(("127.0.0.1", port)).close()
    with connected(lesson.address) as connection:
        assert connection.is_open
    poll_for(lambda: not relay._links)


@pytest.mark.pinned
@pytest.mark.usefixtures("reading_at_once")
def test_what_is_said_at_once_where_there_is_no_broker_ends_in_a_reset(relay_to_nobody: Relay) -> None:
    with spoken_at_once(relay_to_nobody) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


@pytest.mark.pinned
def test_a_broker_with_tls_is_spoken_to_with_tls(endpoint: Endpoint, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    log = EventLog()
    with tls_in_front_of(endpoint, context) as port:
        secured = replace(endpoint, host="127.0.0.1", port=port, tls=True, ca_file=str(tmp_path / "ca.pem"))
        relay = Relay(secured, Book(log), lambda _: False)
        try:
            through = relay.endpoint()
            assert not through.tls
            parameters = pika.ConnectionParameters(
                through.host,
                through.port,
                through.virtual_host,
                pika.PlainCredentials(through.username, through.password),
            )
            with pika.BlockingConnection(parameters) as connection:
                channel = connection.channel()
                channel.queue_declare("secret")
                channel.basic_publish("", "secret", b"x" * 3_000_000)
                _, _, body = channel.basic_get("secret", auto_ack=True)
                assert body == b"x" * 3_000_000
            distrusted = Relay(replace(secured, ca_file=None), Book(log), lambda _: False)
            try:
                assert hangs_up(distrusted.endpoint().port)
            finally:
                distrusted.close()
        finally:
            relay.close()
    assert [event.kind for event in log if event.kind in ("published", "delivered")] == ["published", "delivered"]


@pytest.mark.pinned
def test_the_address_shows_no_password_by_itself(lesson: Lesson) -> None:
    password = lesson.broker.endpoint.password
    assert password in str(lesson.address)
    assert password not in repr(lesson.address)


@pytest.mark.pinned
def test_nothing_listens_before_it_is_asked_for_and_nothing_after(lesson: Lesson, broker: Broker) -> None:
    assert not any(thread.name == "relay" for thread in threading.enumerate())
    with Lesson("brief", broker) as brief:
        parameters = pika.URLParameters(brief.address)
        idle = socket.create_connection((parameters.host, parameters.port), 30)
    with idle, contextlib.suppress(ConnectionResetError):
        while idle.recv(1000):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((parameters.host, parameters.port), 30)
    assert not any(thread.name == "relay" for thread in threading.enumerate())


# -- what the tests are made with


def consumed(channel: Any) -> Iterator[Any]:
    """What comes from the queue "hello", for ever."""
    yield from channel.consume("hello")


def hangs_up(port: int) -> bool:
    """Whether a connection to a port is reset without an answer to its first word."""
    # Where nobody listens it may be reset before the connecting itself is over.
    with contextlib.suppress(ConnectionResetError), socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(HEADER)
        client.recv(1)
        return False
    return True


class RawClient:
    """Speaks AMQP by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.heard = b""

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def ask(self, method: Any, channel: int) -> None:
        """Send a method, and wait for its answer."""
        self.heard = b""
        self.send(frame.Method(channel, method).marshal())
        self.hear(lambda data: len(data) >= 8)

    def publish(self, channel: int, queue: str, body: bytes) -> None:
        self.heard = b""
        self.send(
            frame.Method(channel, spec.Basic.Publish(exchange="", routing_key=queue)).marshal()
            + frame.Header(channel, len(body), pika.BasicProperties()).marshal()
            + frame.Body(channel, body).marshal()
        )

    def hear(self, enough: Callable[[bytes], bool]) -> None:
        while not enough(self.heard):
            data = self._sock.recv(65_536)
            self.heard += data
            if not data:
                return


@contextlib.contextmanager
def raw_client(lesson: Lesson, receive_buffer: int = 0) -> Iterator[RawClient]:
    """A client with a channel 1, over a bare socket."""
    parameters = pika.URLParameters(lesson.address)
    login = f"\0{lesson.broker.endpoint.username}\0{lesson.broker.endpoint.password}"
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(30)
    with sock:
        sock.connect((parameters.host, parameters.port))
        client = RawClient(sock)
        client.send(HEADER)
        client.hear(lambda data: len(data) > 8)
        client.ask(spec.Connection.StartOk({"product": "raw"}, "PLAIN", login, "en_US"), 0)
        client.send(frame.Method(0, spec.Connection.TuneOk(2047, 131_072, 0)).marshal())
        client.ask(spec.Connection.Open(lesson.virtual_host), 0)
        client.ask(spec.Channel.Open(), 1)
        yield client


@contextlib.contextmanager
def tls_in_front_of(endpoint: Endpoint, context: ssl.SSLContext) -> Iterator[int]:
    """A port where TLS is spoken, with the broker behind it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = server.accept()
                    threads.append(threading.Thread(target=secure, args=(raw,)))
                    threads[-1].start()

        def secure(raw: socket.socket) -> None:
            with (
                raw,
                contextlib.suppress(OSError),
                context.wrap_socket(raw, server_side=True) as secured,
                socket.create_connection((endpoint.host, endpoint.port)) as broker,
            ):
                pass_by_turns(secured, broker)

        accepting = threading.Thread(target=serve)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def pass_by_turns(secured: ssl.SSLSocket, broker: socket.socket) -> None:
    """Pass bytes in one thread: an SSL socket bears no two."""
    secured.settimeout(30)
    while True:
        ready = [secured] if secured.pending() else select.select([secured, broker], [], [])[0]
        for source, sink in ((secured, broker), (broker, secured)):
            if source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                sink.sendall(data)
