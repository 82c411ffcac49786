"""Celery: its own command runs the worker, a pool of one process; tasks are sent by another process."""

from __future__ import annotations

from celery import Celery

from benchmarks.peers.job import Job, Marks

job = Job.of_this_process()
marks = Marks(job)
app = Celery("bench", broker=job.url)
app.conf.update(
    task_default_queue=job.queue,
    task_acks_late=True,  # as the others: when the task is done
    task_ignore_result=True,
    worker_prefetch_multiplier=job.prefetch_count,  # for each of its processes, and it has one
    broker_transport_options={"confirm_publish": job.confirm},
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,  # its queues are transient, which a broker may deny
)


@app.task(name="nothing")
def nothing(body: str) -> None:
    marks.one_done()


def publish() -> None:
    for _ in marks.publishing():
        nothing.delay(job.body)
    app.close()
    app.pool.force_close_all()
    marks.end()
