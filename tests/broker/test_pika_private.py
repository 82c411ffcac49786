"""A contract: what `pika_private` says of pika's private parts must hold for the pika that is installed."""

from __future__ import annotations

import threading
from typing import Any

import pika
import pytest
from pika.adapters.select_connection import IOLoop

from workq_helpers import Lesson
from workq_helpers.clients import pika_private


@pytest.fixture
def run_loop() -> Any:
    """Run a connection's loop in a thread until it stops."""
    loop = IOLoop()
    thread = threading.Thread(target=loop.start)
    yield loop, thread
    thread.join(30)
    loop.close()


@pytest.mark.parametrize("by", ["its owner", "another thread"])
def test_cut_requeues_with_the_redelivered_flag_and_says_nothing(
    lesson: Lesson, run_loop: Any, poll_for: Any, by: str
) -> None:
    loop, thread = run_loop
    taken = threading.Event()
    ends: list[BaseException] = []

    def on_closed(_connection: Any, reason: BaseException) -> None:
        ends.append(reason)
        loop.stop()

    connection = pika.SelectConnection(
        lesson.broker.connection_parameters(lesson.virtual_host),
        on_open_callback=lambda opened: opened.channel(
            on_open_callback=lambda channel: channel.basic_consume("hello", lambda *_: taken.set())
        ),
        on_close_callback=on_closed,
        custom_ioloop=loop,
    )
    thread.start()
    lesson.start_publisher(["task"], "hello").wait()
    assert taken.wait(30)
    assert pika_private.unsent_bytes(connection) == 0
    if by == "its owner":
        loop.add_callback_threadsafe(lambda: pika_private.cut(connection))
    else:
        pika_private.cut(connection)
    thread.join(30)
    # Had anything been said, this would be ConnectionClosedByClient.
    assert [type(reason) for reason in ends] == [pika.exceptions.StreamLostError]
    poll_for(lambda: lesson.queue_counts()["hello"].ready == 1)
    with lesson.connect() as other:
        method, _, _ = other.channel().basic_get("hello", auto_ack=True)
    assert method.redelivered


def test_unsent_bytes_counts_what_waits_for_the_socket_and_send_now_sends_it(lesson: Lesson, run_loop: Any) -> None:
    loop, thread = run_loop
    seen: list[int] = []

    def on_channel(channel: Any) -> None:
        channel.basic_publish("", "hello", b"x" * 1_000)
        seen.append(pika_private.unsent_bytes(connection))
        pika_private.send_now(connection)
        seen.append(pika_private.unsent_bytes(connection))
        pika_private.send_now(connection)  # with nothing to send
        connection.close()

    connection = pika.SelectConnection(
        lesson.broker.connection_parameters(lesson.virtual_host),
        on_open_callback=lambda opened: opened.channel(on_open_callback=on_channel),
        on_close_callback=lambda *_: loop.stop(),
        custom_ioloop=loop,
    )
    thread.start()
    thread.join(30)
    assert seen[0] > 1_000
    assert seen[1] == 0
    assert pika_private.unsent_bytes(connection) == 0
    assert lesson.queue_counts()["hello"].ready == 1
