"""The helpers as a notebook uses them: workers and publishers are threads of one process, and all is recorded."""

from __future__ import annotations

import sys
import threading
from typing import Any

from benchmarks.peers import plain_pika
from benchmarks.peers.job import Job, Marks
from workq_helpers import Lesson, find_broker
from workq_helpers.rabbitmq.url import address_of


def consume(lesson: Lesson, job: Job) -> None:
    here = job._replace(url=address_of(lesson.broker.endpoint.on(lesson.virtual_host)))
    plain_pika.publish(here._replace(report=f"{job.report}.loaded"))
    worker, done = _start_worker(lesson, job)
    done.wait()
    worker.stop()


def publish(lesson: Lesson, job: Job) -> None:
    publisher = lesson.start_publisher(job.body, job.queue, count=job.total, persistent=True, confirm=job.confirm)
    publisher.wait(None)
    moments = [row[0] for row in lesson.log.rows() if row[1] in ("published", "stopped")]
    # The first timed message's moment and that of the last goodbye.
    Marks(job).end(moments[job.warm_up], moments[-1])


def publish_to_done(lesson: Lesson, job: Job) -> None:
    worker, done = _start_worker(lesson, job)
    lesson.start_publisher(job.body, job.queue, count=job.total, persistent=True)
    done.wait()
    worker.stop()


def _start_worker(lesson: Lesson, job: Job) -> tuple[Any, threading.Event]:
    marks, done = Marks(job), threading.Event()

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if not job.auto_ack:
            ch.basic_ack(delivery_tag=method.delivery_tag)
        if marks.one_done():
            done.set()

    options = {"prefetch_count": job.prefetch_count, "auto_ack": job.auto_ack}
    return lesson.start_worker(callback, job.queue, **options), done


def main() -> None:
    do = {"consume": consume, "publish": publish, "publish_to_done": publish_to_done}[sys.argv[1]]
    job = Job.of_this_process()
    with find_broker(lambda text: None) as broker, Lesson("bench-helpers", broker) as lesson:
        with lesson.connect() as connection:
            connection.channel().queue_declare(queue=job.queue, durable=True)
        do(lesson, job)


if __name__ == "__main__":
    main()
