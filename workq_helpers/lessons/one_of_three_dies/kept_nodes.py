"""`KeptNodes`: what three nodes once did, shown where none can be had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import pika

from workq_helpers.lessons.one_of_three_dies.diary import Diary, seen_in
from workq_helpers.lessons.one_of_three_dies.nodes import Nodes
from workq_helpers.lessons.one_of_three_dies.outages import Count, Outage
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["KeptNodes", "kept_run"]

_KEPT = "kept_run.json"
#: What pictures of it are called beside those of `KINDS`, and of what was back after one of them.
_AT_FIRST, _KILLED = "at first", "killed"


class KeptNodes(Nodes):
    """Three nodes as they once were: what is done to them is looked up. Connections lead to the lesson's own broker.

    Args:
        lesson: The lesson, for its broker.
        reason: Why three nodes that run can't be had.
        kept: What was kept.
    """

    def __init__(self, lesson: Session, reason: str, kept: Mapping[str, Any]) -> None:
        super().__init__()
        self._lesson = lesson
        self._reason = reason
        self._kept = kept
        self.why_not = f"These nodes ran on {kept['recorded']}, and can't be had here: {reason}"
        self._diary = Diary(lesson.log)
        self._show(_AT_FIRST)

    def describe(self) -> str:
        """Return why these are not live, and what they are instead."""
        return (
            f"Three nodes can't be had here: {self._reason}\n"
            f"So this lesson shows what {self._kept['rabbitmq']} did on {self._kept['recorded']}, in three nodes of "
            f"one cluster. Your own connections lead to the lesson's single RabbitMQ, which does not take part in that."
        )

    def picture(self) -> ClusterPicture:
        """Return what the nodes were at this point."""
        self._diary.write(self._seen)  # again, where the lesson was started over
        return self._kept_picture()

    def _kept_picture(self) -> ClusterPicture:
        return ClusterPicture.from_json(self._kept["pictures"][self._picture])

    def addresses(self, first: str | None = None) -> list[pika.ConnectionParameters]:
        """Return the address of the lesson's own broker, as often as there were nodes."""
        del first
        broker = self._lesson.broker
        return [broker.connection_parameters(self._lesson.virtual_host)] * len(self.picture().states)

    def node_of(self, connection: pika.BlockingConnection) -> str:
        """Return the name of the node that a connection led to then."""
        del connection
        found, first = self._kept["reached"]
        self.reached = (found, first)
        return str(found)

    def leader(self, queue: str) -> str:
        """Return the name of the node that led a queue."""
        return next(each.leader for each in self.picture().queues if each.name == queue)

    def kill(self, name: str) -> None:
        """Kill nothing: the node was killed then."""
        self._show(_KILLED, f"killed {name}")

    def start(self, name: str) -> None:
        """Start nothing: the node was started then."""
        self._show(_AT_FIRST, f"started {name}")

    def bring_back(self) -> None:
        """Bring nothing back: the nodes were brought back then."""
        back = f"{self._picture}, and back"
        self._show(back if back in self._kept["pictures"] else _AT_FIRST, "brought all back")

    def kill_leader(self, queue: str) -> Outage:
        """Return what came of it when the queue's node was killed."""
        return self._outage("only copy" if "classic" in queue else "leader")

    def kill_two(self, queue: str) -> Outage:
        """Return what came of it when two nodes were killed."""
        del queue
        return self._outage("two")

    def cut_off_leader(self, queue: str) -> Outage:
        """Return what came of it when the leader's node was cut off."""
        del queue
        return self._outage("cut")

    def _outage(self, kind: str) -> Outage:
        kept = dict(self._kept["outages"][kind])
        count = Count(**kept.pop("counted"))
        outage = Outage(**kept | {"nodes": tuple(kept["nodes"])})
        outage.count_orders = lambda: count
        self.outages[kind] = outage
        self._show(kind, outage.deed, count.confirmed)
        return outage

    def _show(self, picture: str, deed: str = "", confirmed: int | None = None) -> None:
        """Have the lesson's stage show what was then."""
        self._picture = picture
        when = f"as on {self._kept['recorded']}"
        told = f"{deed}, {when}" if deed else when
        self._seen = seen_in(self._kept_picture(), told, confirmed)
        self._diary.write(self._seen)

    def close(self) -> None:
        """Close nothing."""


def kept_run() -> dict[str, Any]:
    """Return what three nodes did once."""
    text = resources.files(__package__).joinpath(_KEPT).read_text(encoding="utf-8")
    kept: dict[str, Any] = json.loads(text)
    return kept
