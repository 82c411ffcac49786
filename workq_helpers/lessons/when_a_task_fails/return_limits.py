"""`compare_returns`: which ways of giving a message back count toward a quorum queue's delivery limit."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pandas as pd

from workq_helpers.session import Session
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

__all__ = ["WAYS", "compare_returns"]

#: How a consumer gives a message back.
WAYS = ("basic_reject", "basic_nack", "channel closed")

_LOOK_SECONDS = 5.0
_PARKED = -1


def compare_returns(lesson: Session, limit: int = 2, most: int = 10) -> pd.DataFrame:
    """Give one message back again and again, in each way, to a quorum queue with a delivery limit.

    Args:
        lesson: Its broker gets a virtual host for as long as this takes.
        limit: The queue's ``x-delivery-limit``.
        most: After how many deliveries to give up.

    Returns:
        A row for each way: ``deliveries``, and ``then``, what became of the message.
    """
    with Session("delivery limit", lesson.broker) as own:
        rows = [_give_back(own, way, limit, most) for way in WAYS]
    table = pd.DataFrame(rows, columns=["deliveries", "then"], index=list(WAYS))
    return table.rename_axis("given back by")


def _give_back(lesson: Session, way: str, limit: int, most: int) -> tuple[int, str]:
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": limit}
    arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{way} parked"}
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.queue_declare(queue=f"{way} parked", durable=True)
        channel.queue_declare(queue=way, durable=True, arguments=arguments)
        channel.confirm_delivery()
        channel.basic_publish(exchange="", routing_key=way, body=b"Dragon.")
        for deliveries in range(most):
            asking = connection.channel()
            tag = wait_until(functools.partial(_fetch_or_parked, asking, way), _LOOK_SECONDS)
            if tag == _PARKED:
                return deliveries, "dead-lettered"
            if way == "basic_reject":
                asking.basic_reject(delivery_tag=tag, requeue=True)
            elif way == "basic_nack":
                asking.basic_nack(delivery_tag=tag, requeue=True)
            asking.close()
    return most, "still delivered"


def _fetch_or_parked(channel: BlockingChannel, way: str) -> int:
    """Fetch the message and return its tag; `_PARKED` where it has come to the other queue, 0 while it is nowhere."""
    if channel.queue_declare(queue=f"{way} parked", passive=True).method.message_count:
        return _PARKED
    method, _, _ = channel.basic_get(queue=way)
    return int(method.delivery_tag) if method is not None else 0
