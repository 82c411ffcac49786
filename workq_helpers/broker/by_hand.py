"""`ByHand`: how a broker that the course did not start is restarted by whoever uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["CRASH_BY_HAND", "RESTART_BY_HAND", "ByHand", "not_ours"]

RESTART_BY_HAND = "WORKQ_RESTART_BY_HAND"
CRASH_BY_HAND = "WORKQ_CRASH_BY_HAND"


class ByHand(NamedTuple):
    """Commands for a terminal, which the course shows and never runs.

    Attributes:
        restart: Stops the broker properly and starts it again with its data; ``""`` where the user can't.
        crash: Kills it and starts it again with what is on its disk; ``""`` where the user can't.
    """

    restart: str = ""
    crash: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ByHand:
        """Return what ``WORKQ_RESTART_BY_HAND`` and ``WORKQ_CRASH_BY_HAND`` say."""
        restart, crash = (" ".join(environ.get(name, "").split()) for name in (RESTART_BY_HAND, CRASH_BY_HAND))
        return cls(restart, crash)


def not_ours(endpoint: Endpoint, so: str) -> str:
    """Return the sentence for whatever the course does to its own broker alone."""
    return f"The RabbitMQ at {endpoint.place} is not the course's own, so {so}."
