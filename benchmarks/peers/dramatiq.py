"""dramatiq: its own command runs the worker, one process of one thread; tasks are sent by another process."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.peers.job import Job, Marks

job = Job.of_this_process()
marks = Marks(job)
broker = RabbitmqBroker(url=job.url, confirm_delivery=job.confirm)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=job.queue, actor_name="nothing")
def nothing(body: str) -> None:
    marks.one_done()


def publish() -> None:
    for _ in marks.publishing():
        nothing.send(job.body)
    broker.close()
    marks.end()
