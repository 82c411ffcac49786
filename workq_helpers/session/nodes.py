"""`Nodes`: what a lesson's nodes can do, where it has opened a cluster."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Nodes"]


class Nodes(Protocol):
    """The nodes of a cluster beside the broker.

    Attributes:
        why_not: Why none of them can be killed and started; ``""`` where they can.
    """

    why_not: str

    def kill(self, name: str) -> None:
        """Kill a node."""

    def start(self, name: str) -> None:
        """Start a node that is down."""
