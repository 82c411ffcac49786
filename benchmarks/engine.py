"""The helpers beside plain pika, in one run on one broker: `python benchmarks/engine.py`.

Every comparison alternates the two sides round by round and reports the median of the ratios, because the
absolute figures of a shared machine mean little. The helpers record every event while they are measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pika

from workq_helpers import Lesson, find_broker, pika_private

QUEUE = "bench"
BODY = b"task....."

#: What the figures should at least be (or, for times, at most), and how a figure is read.
GOALS = {
    "consume, prefetch 1": (">=", 0.85),
    "consume, prefetch 100": (">=", 1.5),
    "publish": (">=", 1.3),
    "publish with confirms": (">=", 5.0),
    "kill to redelivery": ("<=", 2.0),
    "start of 200 workers": ("<=", 1.5),
    "stop of 200 workers / their start": ("<", 1.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3000, help="messages a round at prefetch 1")
    parser.add_argument("--only", metavar="TEXT", default="", help="the figures whose names hold TEXT")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with find_broker() as broker, Lesson("bench", broker) as lesson:
        print(f"{broker.describe()}; ratio of the helpers to plain pika, median of {options.rounds} rounds\n")
        figures = {}
        for name, measure in _comparisons(lesson, options.messages).items():
            if options.only not in name:
                continue
            figures[name] = _compare(name, measure, options.rounds)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:  # noqa: PTH123 - a name from the command line
            json.dump(figures, file, indent=2)
    return 0 if all(figure["met"] for figure in figures.values()) else 1


def _comparisons(lesson: Lesson, messages: int) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return for each figure a function that measures one round: ours and plain pika's."""
    return {
        "consume, prefetch 1": lambda: (_consume(lesson, messages, 1), _bare_consume(lesson, messages, 1)),
        "consume, prefetch 100": lambda: (
            _consume(lesson, 5 * messages, 100),
            _bare_consume(lesson, 5 * messages, 100),
        ),
        "publish": lambda: (_publish(lesson, 10 * messages, False), _bare_publish(lesson, 10 * messages, False)),
        "publish with confirms": lambda: (
            _publish(lesson, 10 * messages, True),
            _bare_publish(lesson, messages, True),
        ),
        "kill to redelivery": lambda: (_kill_to_redelivery(lesson), _bare_kill_to_redelivery(lesson)),
        "start of 200 workers": lambda: (_start_many(lesson, 200)[0], _bare_start_many(lesson, 200)),
        "stop of 200 workers / their start": lambda: _start_many(lesson, 200)[::-1],
    }


def _compare(name: str, measure: Callable[[], tuple[float, float]], rounds: int) -> dict[str, Any]:
    pairs = [measure() for _ in range(rounds)]
    ratios = sorted(ours / bare for ours, bare in pairs)
    ratio = statistics.median(ratios)
    sign, goal = GOALS[name]
    met = ratio >= goal if sign == ">=" else ratio <= goal
    ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"{name:36} {ratio:6.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f})  "
        f"{ours:10.4g} : {bare:10.4g}  goal {sign} {goal}{'' if met else '   MISSED'}",
        flush=True,
    )
    return {"ratio": ratio, "ratios": ratios, "ours": ours, "bare": bare, "goal": f"{sign} {goal}", "met": met}


def _empty_queue(lesson: Lesson, messages: int = 0) -> None:
    with _bare(lesson) as connection:
        channel = connection.channel()
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True)
        for number in range(messages):
            channel.basic_publish("", QUEUE, BODY, pika.BasicProperties(message_id=str(number)))


def _bare(lesson: Lesson) -> pika.BlockingConnection:
    return pika.BlockingConnection(lesson.broker.connection_parameters(lesson.virtual_host))


# -- consuming: messages a second, an ack each ----------------------------------------------------------------


def _consume(lesson: Lesson, messages: int, prefetch_count: int) -> float:
    _empty_queue(lesson, messages)
    done = threading.Event()
    count = 0

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        nonlocal count
        ch.basic_ack(delivery_tag=method.delivery_tag)
        count += 1
        if count == messages:
            done.set()

    start = len(lesson.log)
    worker = lesson.start_worker(callback, QUEUE, prefetch_count=prefetch_count)
    assert done.wait(120)
    rows = [row for row in lesson.log.rows(start) if row[1] in ("delivered", "acked")]
    worker.stop()
    return messages / (rows[-1][0] - rows[0][0])


def _bare_consume(lesson: Lesson, messages: int, prefetch_count: int) -> float:
    _empty_queue(lesson, messages)
    count = 0
    times = []

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        nonlocal count
        count += 1
        if count in (1, messages):
            times.append(time.perf_counter())
        ch.basic_ack(delivery_tag=method.delivery_tag)
        if count == messages:
            ch.stop_consuming()

    with _bare(lesson) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=prefetch_count)
        channel.basic_consume(QUEUE, callback)
        channel.start_consuming()
    return messages / (times[-1] - times[0])


# -- publishing: messages a second ----------------------------------------------------------------------------


def _publish(lesson: Lesson, messages: int, confirm: bool) -> float:
    _empty_queue(lesson)
    start = len(lesson.log)
    publisher = lesson.start_publisher(BODY, QUEUE, count=messages, confirm=confirm)
    publisher.wait(120)
    times = [row[0] for row in lesson.log.rows(start) if row[1] in ("published", "stopped")]
    return messages / (times[-1] - times[0])


def _bare_publish(lesson: Lesson, messages: int, confirm: bool) -> float:
    _empty_queue(lesson)
    connection = _bare(lesson)
    channel = connection.channel()
    if confirm:
        channel.confirm_delivery()
    began = time.perf_counter()
    for number in range(messages):
        channel.basic_publish("", QUEUE, BODY, pika.BasicProperties(message_id=str(number)))
    connection.close()
    return messages / (time.perf_counter() - began)


# -- from a kill to the redelivery: seconds -------------------------------------------------------------------


def _kill_to_redelivery(lesson: Lesson) -> float:
    _empty_queue(lesson, 1)
    release = threading.Event()

    def hold(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if method.redelivered:
            redelivered.append(time.perf_counter())
            release.set()
        else:
            taken.set()
            release.wait(60)

    redelivered: list[float] = []
    taken = threading.Event()
    victim = lesson.start_worker(hold, QUEUE)
    assert taken.wait(60)
    heir = lesson.start_worker(hold, QUEUE)
    began = time.perf_counter()
    victim.kill()
    assert release.wait(60)
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


# -- many workers: seconds ------------------------------------------------------------------------------------


def _start_many(lesson: Lesson, count: int) -> tuple[float, float]:
    """Return how long `count` workers take to start and to stop."""
    _empty_queue(lesson)
    began = time.perf_counter()
    workers = lesson.start_workers(count, lambda ch, method, properties, body: None, QUEUE)
    started = time.perf_counter()
    lesson.stop_workers(workers)
    return started - began, time.perf_counter() - started


def _bare_start_many(lesson: Lesson, count: int) -> float:
    connections: list[pika.BlockingConnection] = []
    threads = [threading.Thread(target=lambda: connections.append(_bare(lesson))) for _ in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
