"""`Diary`: what the lesson's log hears of the nodes, so that its stage and its saved runs show them."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workq_helpers.errors import BrokerError
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture
from workq_helpers.log.details import ClusterSeen, NodeSeen, QueueCopy

if TYPE_CHECKING:
    from workq_helpers.log.events import EventLog

__all__ = ["Diary", "seen_in"]

#: How often the nodes are looked at while a publisher sends, in seconds.
_LOOK_SECONDS = 0.1

#: How a node is after a deed.
_STATES = {"node killed": "down", "node cut off": "cut off", "node started": "up"}


class Diary:
    """Writes what is done to the nodes, and how they are whenever that has changed."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()  # so that nobody looks in the middle of a deed
        self._begun = itertools.count(1)
        self._newest: float = 0  # when what is written down began, among all looks and deeds
        self._seen: ClusterSeen | None = None
        self._generation = log.generation  # the log's, when that was written down
        self._deed = ""
        self._confirmed: int | None = None
        self._counting = False  # whether a publisher sends
        self._leaders: dict[str, str] = {}

    @contextlib.contextmanager
    def doing(self, kind: str, names: Sequence[str], deed: str, meanwhile: str = "") -> Iterator[None]:
        """Write down a deed once it is done.

        Args:
            kind: The event's kind.
            names: The nodes that it is done to.
            deed: What it is, in a few words.
            meanwhile: What is said of it until it is done, where that takes a while.
        """
        with self._lock:
            if meanwhile and self._seen:
                self.write(replace(self._seen, deed=meanwhile))
            yield
            self._newest = next(self._begun)
            self._deed = deed
            if not self._counting:
                self._confirmed = None  # that was of an earlier deed
            if self._seen:  # before the event, so that the moment at which the time line marks it shows it
                nodes = _changed(self._seen.nodes, names, _STATES[kind])
                self.write(ClusterSeen(nodes, deed, self._confirmed))
            for name in names:
                self._log.record(kind, name)

    def look(self, at_nodes: Callable[[], ClusterPicture]) -> ClusterPicture:
        """Look at the nodes, and write down how they are, unless something newer is known by then."""
        began = next(self._begun)
        picture = at_nodes()
        with self._lock:
            self._note(picture, began)
        return picture

    @contextlib.contextmanager
    def watching(self, look: Callable[[], ClusterPicture], confirmed: Callable[[], int]) -> Iterator[None]:
        """Write down how the nodes are, and how much is confirmed, for as long as a publisher sends."""
        ended = threading.Event()
        self._counting = True

        def watch() -> None:
            while not ended.wait(_LOOK_SECONDS):
                with self._lock, contextlib.suppress(BrokerError):  # nobody answers at this moment
                    self._confirmed = confirmed()
                    began = next(self._begun)
                    self._note(look(), began)

        thread = threading.Thread(target=watch, name="workq cluster diary", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._counting = False

    def sum_up(self, confirmed: int) -> None:
        """Write down how much was confirmed in all, once the publisher has ended."""
        with self._lock:
            self._confirmed = confirmed
            if self._seen:
                self.write(replace(self._seen, deed=self._deed, confirmed=confirmed))

    def end(self) -> None:
        """Write down that the nodes are not there any more, where the log has them, and no later look."""
        with self._lock:
            self._newest = math.inf
            if self._seen and self._generation == self._log.generation:
                self.write(ClusterSeen(()))

    def _note(self, picture: ClusterPicture, began: int) -> None:
        if began < self._newest:
            return
        self._newest = began
        for queue in picture.queues:
            if queue.type == "quorum" and queue.leader:
                if self._leaders.setdefault(queue.name, queue.leader) != queue.leader:
                    self._log.record("leader elected", queue.leader, queue.name)
                self._leaders[queue.name] = queue.leader
        self.write(seen_in(picture, self._deed, self._confirmed))

    def write(self, seen: ClusterSeen) -> None:
        """Write down how the nodes are, unless that is the last that the log has of them."""
        known = self._seen, self._generation
        self._seen, self._generation = seen, self._log.generation
        if known != (self._seen, self._generation):
            self._log.record("cluster", "lesson", detail=seen)


def _changed(nodes: Sequence[NodeSeen], names: Sequence[str], state: str) -> tuple[NodeSeen, ...]:
    """Return how the nodes are once some of them are in another state; what is not up leads nothing."""
    return tuple(_in(node, state) if node.name in names else node for node in nodes)


def _in(node: NodeSeen, state: str) -> NodeSeen:
    copies = (replace(copy, role="follower") if copy.role == "leader" else copy for copy in node.copies)
    return NodeSeen(node.name, state, tuple(copies))


def seen_in(picture: ClusterPicture, deed: str = "", confirmed: int | None = None) -> ClusterSeen:
    """Return what a log says of the nodes in a picture."""
    nodes = tuple(
        NodeSeen(name, state, tuple(QueueCopy(queue, role) for queue, role in picture.copies_of(name)))
        for name, state in picture.states.items()
    )
    return ClusterSeen(nodes, deed, confirmed)
