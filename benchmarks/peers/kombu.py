"""kombu: a process that drains the events of one connection."""

from __future__ import annotations

import sys
from typing import Any

from kombu import Connection, Queue

from benchmarks.peers.job import Job, Marks


def consume(job: Job) -> None:
    marks, over = Marks(job), []

    def callback(body: Any, message: Any) -> None:
        if not job.auto_ack:
            message.ack()
        if marks.one_done():
            over.append(True)

    with Connection(job.url) as connection:
        channel = connection.channel()
        channel.basic_qos(0, job.prefetch_count, False)
        queue = Queue(job.queue, durable=True)
        accept = ["application/data", "text/plain", "json"]
        with connection.Consumer(queue, callbacks=[callback], no_ack=job.auto_ack, channel=channel, accept=accept):
            while not over:
                connection.drain_events(timeout=60)


def publish(job: Job) -> None:
    marks = Marks(job)
    connection = Connection(job.url, transport_options={"confirm_publish": job.confirm})
    connection.connect()
    producer = connection.Producer()
    Queue(job.queue, durable=True)(connection.default_channel).declare()
    for _ in marks.publishing():
        producer.publish(job.body, exchange="", routing_key=job.queue, delivery_mode="persistent")
    connection.release()
    marks.end()


if __name__ == "__main__":
    {"consume": consume, "publish": publish}[sys.argv[1]](Job.of_this_process())
