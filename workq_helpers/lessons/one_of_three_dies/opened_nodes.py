"""`open_nodes`: the nodes of the lesson, that run where they can, and kept ones elsewhere."""

from __future__ import annotations

from workq_helpers.broker import start_cluster
from workq_helpers.errors import BrokerError, CheckFailedError
from workq_helpers.lessons.one_of_three_dies.kept_nodes import KeptNodes, kept_run
from workq_helpers.lessons.one_of_three_dies.live_nodes import LiveNodes
from workq_helpers.session import Session

__all__ = ["open_nodes", "opened"]

_opened: list[LiveNodes | KeptNodes] = []


def open_nodes(lesson: Session) -> LiveNodes | KeptNodes:
    """Start three nodes of one cluster, or find them running, all of them up and without a queue.

    Args:
        lesson: The lesson. Where three nodes can't be had, connections lead to its own broker.

    Returns:
        The nodes; where they can't be had, what three nodes did once, which says so.
    """
    # Those that were open hold the cluster until the new ones do.
    before = _opened.copy()
    try:
        nodes = _nodes(lesson)
    finally:
        for each in before:
            each.close()
    _opened[:] = [nodes]
    lesson.nodes = nodes
    if isinstance(nodes, LiveNodes):
        nodes.keep_looking()
    return nodes


def _nodes(lesson: Session) -> LiveNodes | KeptNodes:
    reason = "" if lesson.broker.ours else "your RabbitMQ is not the course's own."
    try:
        if not reason:
            return LiveNodes(start_cluster(), lesson.log)
    except BrokerError as error:
        reason = str(error)
    return KeptNodes(lesson, reason, kept_run())


def opened() -> LiveNodes | KeptNodes:
    """Return the nodes that were opened last.

    Raises:
        CheckFailedError: None were.
    """
    if not _opened:
        raise CheckFailedError("There are no nodes yet. Run the section's first cell: it calls open_nodes(lesson).")
    return _opened[-1]
