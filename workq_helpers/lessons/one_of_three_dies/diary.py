"""`Diary`: what the lesson's log hears of the nodes, so that its stage and its saved runs show them."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import BrokerError
from workq_helpers.lessons.one_of_three_dies.picture import ClusterPicture
from workq_helpers.log.details import ClusterSeen, NodeSeen, QueueCopy

if TYPE_CHECKING:
    from workq_helpers.log.events import EventLog

__all__ = ["Diary"]

#: How often the nodes are looked at while a publisher sends, in seconds.
_LOOK_SECONDS = 0.1


class Diary:
    """Writes what is done to the nodes, and how they are whenever that has changed.

    Args:
        log: The lesson's.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()  # so that nobody looks in the middle of a deed
        self._begun = itertools.count(1)
        self._newest = 0  # when what is written down began, among all looks and deeds
        self._seen: ClusterSeen | None = None
        self._deed = ""
        self._confirmed: int | None = None
        self._leaders: dict[str, str] = {}

    @contextlib.contextmanager
    def doing(self, kind: str, names: Sequence[str], deed: str) -> Iterator[None]:
        """Write down a deed once it is done.

        Args:
            kind: The event's kind.
            names: The nodes that it is done to.
            deed: What it is, in a few words.
        """
        with self._lock:
            yield
            self._newest = next(self._begun)
            self._deed = deed
            for name in names:
                self._log.record(kind, name)

    def look(self, at_nodes: Callable[[], ClusterPicture]) -> ClusterPicture:
        """Look at the nodes, and write down how they are, unless something newer is known by then.

        Args:
            at_nodes: Returns how the nodes are; it may take a while, and others look meanwhile.
        """
        began = next(self._begun)
        picture = at_nodes()
        with self._lock:
            self._note(picture, began)
        return picture

    @contextlib.contextmanager
    def watching(self, look: Callable[[], ClusterPicture], confirmed: Callable[[], int]) -> Iterator[None]:
        """Write down how the nodes are, and how much is confirmed, for as long as a publisher sends.

        Args:
            look: Returns how the nodes are.
            confirmed: Returns how many orders are confirmed.
        """
        ended = threading.Event()

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
            self._confirmed = confirmed()

    def _note(self, picture: ClusterPicture, began: int) -> None:
        if began < self._newest:
            return
        self._newest = began
        nodes = tuple(
            NodeSeen(name, state, tuple(QueueCopy(queue, role) for queue, role in picture.copies_of(name)))
            for name, state in picture.states.items()
        )
        for queue in picture.queues:
            if queue.type == "quorum" and queue.leader:
                if self._leaders.setdefault(queue.name, queue.leader) != queue.leader:
                    self._log.record("leader elected", queue.leader, queue.name)
                self._leaders[queue.name] = queue.leader
        seen = ClusterSeen(nodes, self._deed, self._confirmed)
        if seen != self._seen:
            self._seen = seen
            self._log.record("cluster", "lesson", detail=seen)
