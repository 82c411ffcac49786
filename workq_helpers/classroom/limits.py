"""`Limits`: how much of the broker one learner may use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits for each learner; every lesson of the course needs less than a third of them.

    Attributes:
        lessons: How many lessons may be open at the same time; an exercise counts as one while it is checked.
        connections: How many connections may be open, in all and in each virtual host.
        channels: How many channels may be open in all.
        queues: How many queues there may be in each virtual host.
        messages: How many messages may wait in each queue; beyond that the oldest is dropped.
        megabytes: How much they may hold together, in each queue.
    """

    lessons: int = 8
    connections: int = 60
    channels: int = 120
    queues: int = 30
    messages: int = 100_000
    megabytes: int = 50

    def of_user(self) -> dict[str, int]:
        """Return the limits of the user, as RabbitMQ names them."""
        return {"max-connections": self.connections, "max-channels": self.channels}

    def of_virtual_host(self) -> dict[str, int]:
        """Return the limits of each virtual host, as RabbitMQ names them."""
        return {"max-connections": self.connections, "max-queues": self.queues}

    def of_queue(self) -> dict[str, int]:
        """Return the limits of each queue, as RabbitMQ names them in a policy."""
        return {"max-length": self.messages, "max-length-bytes": self.megabytes * 1_000_000}
