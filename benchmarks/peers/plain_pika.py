"""Plain pika as the tutorial's two programs use it: a blocking connection, and a process for each."""

from __future__ import annotations

import sys
from typing import Any

import pika

from benchmarks.peers.job import Job, Marks


def consume(job: Job) -> None:
    marks = Marks(job)

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        if not job.auto_ack:
            ch.basic_ack(delivery_tag=method.delivery_tag)
        if marks.one_done():
            ch.stop_consuming()

    with pika.BlockingConnection(pika.URLParameters(job.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue=job.queue, durable=True)
        channel.basic_qos(prefetch_count=job.prefetch_count)
        channel.basic_consume(queue=job.queue, on_message_callback=callback, auto_ack=job.auto_ack)
        channel.start_consuming()


def publish(job: Job) -> None:
    marks = Marks(job)
    connection = pika.BlockingConnection(pika.URLParameters(job.url))
    channel = connection.channel()
    channel.queue_declare(queue=job.queue, durable=True)
    if job.confirm:
        channel.confirm_delivery()
    persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    for _ in marks.publishing():
        channel.basic_publish(exchange="", routing_key=job.queue, body=job.body, properties=persistent)
    connection.close()
    marks.end()


if __name__ == "__main__":
    {"consume": consume, "publish": publish}[sys.argv[1]](Job.of_this_process())
