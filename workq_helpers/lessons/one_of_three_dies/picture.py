"""`ClusterPicture`: the nodes of a cluster side by side, with a dot for each copy of each queue."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workq_helpers.broker.cluster import QueueMembers

__all__ = ["GAP", "WIDTH", "ClusterPicture", "columns"]

#: How far the nodes stand apart, and how wide all of them are at most, in CSS.
GAP, WIDTH = "0.6em", "62em"

_LEADER, _FOLLOWER = "●", "○"
#: Ink and paper for each state: dark on pale, to be read in any theme.
_COLORS = {"up": ("#00402e", "#cdeedd"), "down": ("#5c1e00", "#f6d5c4"), "cut off": ("#4a3000", "#fbe3b3")}


@dataclass(frozen=True)
class ClusterPicture:
    """What the nodes were when they were looked at.

    Attributes:
        states: The state of each node, by name: ``"up"``, ``"down"`` or ``"cut off"``.
        queues: Where each queue is, as the nodes say that can be asked; a queue that none of them knows is not there.
    """

    states: dict[str, str]
    queues: tuple[QueueMembers, ...]

    def lines_of(self, node: str) -> list[str]:
        """Return a line for each copy of a queue that a node has."""
        marks = {"follower": _FOLLOWER}
        return [f"{marks.get(role, _LEADER)} {queue}, {role}" for queue, role in self.copies_of(node)]

    def copies_of(self, node: str) -> list[tuple[str, str]]:
        """Return the queues that a node has a copy of, each with what the copy is to it."""
        copies = []
        for queue in self.queues:
            if node == queue.leader:
                copies.append((queue.name, "the only copy" if queue.type == "classic" else "leader"))
            elif node in queue.followers:
                copies.append((queue.name, "follower"))
        return copies

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` makes a picture of."""
        queues = [[each.name, each.type, each.leader, list(each.followers)] for each in self.queues]
        return {"states": self.states, "queues": queues}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> ClusterPicture:
        """Return the picture that was kept."""
        queues = (QueueMembers(name, kind, leader, tuple(others)) for name, kind, leader, others in kept["queues"])
        return cls(kept["states"], tuple(queues))

    def __repr__(self) -> str:
        return "\n".join("; ".join([f"{node} is {state}", *self._told(node)]) for node, state in self.states.items())

    def _told(self, node: str) -> Sequence[str]:
        return self.lines_of(node) or ["no queue"]

    def _repr_html_(self) -> str:
        boxes = "".join(self._box(node, state) for node, state in self.states.items())
        grid = f"display: grid; grid-template-columns: {columns(len(self.states))}; gap: {GAP}; max-width: {WIDTH}"
        return f'<div style="{grid}">{boxes}</div>'

    def _box(self, node: str, state: str) -> str:
        ink, paper = _COLORS[state]
        lines = "".join(f"<div>{html.escape(line)}</div>" for line in self._told(node))
        style = f"color: {ink}; background: {paper}; border: 2px solid {ink}; border-radius: 6px"
        faded = "; opacity: 0.75; border-style: dashed" if state == "down" else ""
        return (
            f'<div style="{style}{faded}; padding: 0.5em 0.9em; line-height: 1.6; overflow-wrap: anywhere">'
            f"<strong>{html.escape(node)}</strong> is {html.escape(state)}{lines}</div>"
        )


def columns(count: int) -> str:
    """Return a CSS grid's columns for nodes side by side, all as wide, however narrow the place is."""
    return f"repeat({count}, minmax(0, 1fr))"
