"""`Held`: a delivery that a client got."""

from __future__ import annotations

__all__ = ["Held"]


class Held:
    """A delivery that a client got."""

    __slots__ = ("auto_ack", "body", "channel", "consumer_tag", "mark", "queue", "redelivered", "tag", "task", "turn")

    def __init__(
        self,
        tag: int,
        queue: str,
        mark: str,
        task: str,
        redelivered: bool,
        auto_ack: bool,
        consumer_tag: str,
        channel: object,
        body: bytes | None,
        turn: object,
    ) -> None:
        self.turn = turn  # what stands for it where messages bear no marks
        self.channel = channel
        self.body = body  # the fingerprint of one that bears no mark
        self.tag = tag
        self.queue = queue
        self.mark = mark
        self.task = task
        self.redelivered = redelivered
        self.consumer_tag = consumer_tag
        self.auto_ack = auto_ack
