"""How quickly workers come, stop and die, beside bare pika: `python benchmarks/workers.py`.

A kill counts from the call to the moment at which another worker has the message; beside it, a bare connection's
socket is cut by its owner, and a bare consumer gets the message. Workers that start are beside as many blocking
connections, each opened in a thread of its own up to the broker's answer to its ``basic.consume``. A stop is beside the
end of such a connection.
"""

from __future__ import annotations

import functools
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pika

from benchmarks.bench import Bench, alone
from benchmarks.growth import Growth
from benchmarks.row import Goal
from workq_helpers import Lesson
from workq_helpers.clients import pika_private

PART = "workers"
QUEUE = "bench"
BODY = b"task....."
OURS, BARE = "helpers", "bare pika"

#: How many workers start at once.
CROWDS = (1, 10, 100, 200)

#: A kill takes a millisecond or two: a round is the median of so many.
KILLS = 9

START_GOALS = {200: Goal("<=", 1.5)}


def measure(bench: Bench) -> None:
    """Measure kills, stops and starts."""
    with Lesson("bench-workers", bench.broker) as lesson:
        times = bench.count(KILLS, 1)
        for what, ours, bare, goals in (
            ("kill to redelivery", _kill_to_redelivery, _bare_kill_to_redelivery, {OURS: Goal("<=", 1.5)}),
            ("stop of an idle worker", _stop, _bare_stop, {}),
        ):
            calls = {OURS: ours, BARE: bare}
            sides = {who: functools.partial(_median_ms, call, lesson, times) for who, call in calls.items()}
            bench.compare(PART, what, "ms", sides, yardstick=BARE, goals=goals)
        starts: dict[int, list[float]] = {}
        for count in CROWDS[:2] if bench.quick else CROWDS:
            figures = bench.compare(
                PART,
                f"start of {count} workers",
                "s",
                {
                    OURS: functools.partial(_start_many, lesson, count),
                    BARE: functools.partial(_bare_start_many, lesson, count),
                },
                yardstick=BARE,
                goals={OURS: START_GOALS[count]} if count in START_GOALS else {},
            )
            if figures:
                starts[count] = figures[OURS]
        if len(starts) > 1:
            bench.report.add(Growth(PART, "start of workers", "s", "workers", starts, Goal("<=", 1.1)))


def _median_ms(measure_once: Callable[[Lesson], float], lesson: Lesson, times: int) -> float:
    return 1e3 * statistics.median(measure_once(lesson) for _ in range(times))


def _empty_queue(lesson: Lesson, messages: int = 0) -> None:
    with _bare(lesson) as connection:
        channel = connection.channel()
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True)
        for _ in range(messages):
            channel.basic_publish("", QUEUE, BODY)


def _bare(lesson: Lesson) -> pika.BlockingConnection:
    return pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host))


def _nothing(ch: Any, method: Any, properties: Any, body: bytes) -> None:
    """Do nothing with a message."""


# -- from a kill to the redelivery: seconds -------------------------------------------------------------------


def _kill_to_redelivery(lesson: Lesson) -> float:
    _empty_queue(lesson, 1)
    taken, again = threading.Event(), threading.Event()
    redelivered: list[float] = []

    def hold(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if method.redelivered:
            redelivered.append(time.perf_counter())
            again.set()
        else:
            taken.set()
            again.wait(60)

    victim = lesson.start_worker(hold, QUEUE)
    assert taken.wait(60)
    heir = lesson.start_worker(hold, QUEUE)
    began = time.perf_counter()
    victim.kill()
    assert again.wait(60)
    heir.kill()
    return redelivered[0] - began


def _bare_kill_to_redelivery(lesson: Lesson) -> float:
    _empty_queue(lesson, 1)
    taken, again = threading.Event(), threading.Event()
    redelivered: list[float] = []
    loop = pika.adapters.select_connection.IOLoop()
    victim = _bare_consumer(lesson, loop, lambda: taken.set())
    thread = threading.Thread(target=loop.start)
    thread.start()
    assert taken.wait(60)
    heir_loop = pika.adapters.select_connection.IOLoop()

    def on_redelivered() -> None:
        redelivered.append(time.perf_counter())
        again.set()

    consuming = threading.Event()
    heir = _bare_consumer(lesson, heir_loop, on_redelivered, consuming.set)
    heir_thread = threading.Thread(target=heir_loop.start)
    heir_thread.start()
    assert consuming.wait(60)
    began = time.perf_counter()
    loop.add_callback_threadsafe(lambda: pika_private.cut(victim))
    assert again.wait(60)
    heir_loop.add_callback_threadsafe(lambda: pika_private.cut(heir))
    for ended in (thread, heir_thread):
        ended.join()
    loop.close()
    heir_loop.close()
    return redelivered[0] - began


def _bare_consumer(
    lesson: Lesson, loop: Any, on_message: Callable[[], None], on_consuming: Callable[[], None] = lambda: None
) -> pika.SelectConnection:
    def consume(channel: Any) -> None:
        channel.basic_consume(QUEUE, lambda *_: on_message(), callback=lambda _: on_consuming())

    return pika.SelectConnection(
        lesson.broker.connection_parameters(lesson.virtual_host),
        on_open_callback=lambda connection: connection.channel(on_open_callback=consume),
        on_close_callback=lambda *_: loop.stop(),
        custom_ioloop=loop,
    )


# -- stopping: seconds ----------------------------------------------------------------------------------------


def _stop(lesson: Lesson) -> float:
    _empty_queue(lesson)
    worker = lesson.start_worker(_nothing, QUEUE)
    began = time.perf_counter()
    worker.stop()
    return time.perf_counter() - began


def _bare_stop(lesson: Lesson) -> float:
    _empty_queue(lesson)
    connection = _bare_consuming(lesson)
    began = time.perf_counter()
    connection.close()
    return time.perf_counter() - began


# -- many workers: seconds ------------------------------------------------------------------------------------


def _start_many(lesson: Lesson, count: int) -> float:
    _empty_queue(lesson)
    began = time.perf_counter()
    workers = lesson.start_workers(count, _nothing, QUEUE, prefetch_count=1)
    seconds = time.perf_counter() - began
    lesson.stop_workers(workers)
    return seconds


def _bare_start_many(lesson: Lesson, count: int) -> float:
    _empty_queue(lesson)
    connections: list[pika.BlockingConnection] = []
    threads = [threading.Thread(target=lambda: connections.append(_bare_consuming(lesson))) for _ in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return seconds


def _bare_consuming(lesson: Lesson) -> pika.BlockingConnection:
    connection = _bare(lesson)
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(QUEUE, _nothing)
    return connection


if __name__ == "__main__":
    alone(PART, measure, __doc__)
