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
    """

    lessons: int = 8
    connections: int = 60
    channels: int = 120
    queues: int = 30

    def of_user(self) -> dict[str, int]:
        """Return the limits of the user, as RabbitMQ names them."""
        return {"max-connections": self.connections, "max-channels": self.channels}

    def of_virtual_host(self) -> dict[str, int]:
        """Return the limits of each virtual host, as RabbitMQ names them."""
        return {"max-connections": self.connections, "max-queues": self.queues}
