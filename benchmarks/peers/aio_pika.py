"""aio-pika: a process with one event loop; confirms are awaited a hundred at a time, the quickest way it offers."""

from __future__ import annotations

import asyncio
import sys

import aio_pika

from benchmarks.peers.job import Job, Marks

#: How many publishes await their confirm together.
AT_ONCE = 100


async def consume(job: Job) -> None:
    marks, done = Marks(job), asyncio.Event()

    async def callback(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        if not job.auto_ack:
            await message.ack()
        if marks.one_done():
            done.set()

    async with await aio_pika.connect(job.url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=job.prefetch_count)
        queue = await channel.declare_queue(job.queue, durable=True)
        await queue.consume(callback, no_ack=job.auto_ack)
        await done.wait()


async def publish(job: Job) -> None:
    marks = Marks(job)
    connection = await aio_pika.connect(job.url)
    channel = await connection.channel(publisher_confirms=job.confirm)
    await channel.declare_queue(job.queue, durable=True)
    exchange = channel.default_exchange
    body = job.body.encode()

    async def one() -> None:
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await exchange.publish(message, routing_key=job.queue)

    async def many(count: int) -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*[one() for _ in range(min(AT_ONCE, count - start))])

    await many(job.warm_up)
    marks.begin()
    await many(job.count)
    await connection.close()
    marks.end()


if __name__ == "__main__":
    asyncio.run({"consume": consume, "publish": publish}[sys.argv[1]](Job.of_this_process()))
