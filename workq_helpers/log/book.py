"""`Book`: what all clients of a lesson write to."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

from workq_helpers.log.details import QueueOptions
from workq_helpers.log.events import EventLog
from workq_helpers.log.messages import Marks
from workq_helpers.log.trace import Trace

__all__ = ["Book", "Writer"]


class Writer(Protocol):
    """Who writes to a book."""

    def agreed(self, events: int) -> None:
        """Learn that the broker's counts were those of the log when it had so many events."""


class Book:
    """A lesson's log, its trace, and the marks of its messages."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.trace = Trace(log)
        self.marks = Marks()
        #: When the last event was of those whose messages the broker counted as the log did, on its clock.
        self.agreed_seconds = 0.0
        self._quorum_queues: set[str] = set()
        self._writers: weakref.WeakSet[Writer] = weakref.WeakSet()
        self._lock = threading.Lock()

    def join(self, writer: Writer) -> None:
        """Learn of another one that writes here."""
        with self._lock:
            self._writers.add(writer)

    def declared(self, client: str, queue: str, options: QueueOptions) -> None:
        """Record that a client declared a queue."""
        self.log.record("declared", client, queue, detail=options)
        if options.type == "quorum":
            self._quorum_queues.add(queue)
        else:
            self._quorum_queues.discard(queue)

    def begin_again(self) -> None:
        """Learn that the log was cleared."""
        self.trace.clear()
        self.agreed_seconds = 0.0

    def is_quorum(self, queue: str) -> bool:
        """Whether a queue was last declared as a quorum queue; ``""``, where an exchange routes, may be any."""
        return queue in self._quorum_queues if queue else bool(self._quorum_queues)

    def agreed(self, events: int) -> None:
        """Learn that the broker's counts were those of the log when it had so many events: all had arrived by then."""
        with self._lock:
            writers = list(self._writers)
        last = self.log.rows(events - 1, events)  # nothing where the log was cleared meanwhile
        self.agreed_seconds = last[0][0] if last else 0.0
        for writer in writers:
            writer.agreed(events)
