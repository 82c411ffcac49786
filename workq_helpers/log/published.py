"""`Published`: a message that a client published."""

from __future__ import annotations

from pika.spec import BasicProperties

__all__ = ["Published"]


class Published:
    """A message that was published."""

    __slots__ = ("body", "exchange", "expiration", "mark", "number", "queue", "size", "task", "user_id")

    def __init__(
        self,
        queue: str,
        mark: str,
        task: str,
        exchange: str,
        properties: BasicProperties,
        size: int,
        body: bytes | None,
    ) -> None:
        self.body = body  # the fingerprint of one that bears no mark
        self.queue = queue
        self.mark = mark
        self.task = task
        self.exchange = exchange
        self.user_id = properties.user_id
        self.expiration = properties.expiration
        self.size = size
        self.number = 0  # the how-manieth method it was on its channel
