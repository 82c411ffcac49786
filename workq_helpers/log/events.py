"""What happened, in order: `Event` and the `EventLog` that every worker and publisher writes to."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast, overload

from workq_helpers.log.details import Detail

__all__ = ["KINDS", "Event", "EventLog", "Row", "Rows"]

#: Every kind of event, with who observed it and what it means.
KINDS = {
    # publishers, and channels of `Lesson.connect`
    "published": "a client handed the message to the broker; detail is `PublishOptions`",
    "confirmed": "the broker confirmed that it has the message",
    "refused": "the broker answered a publish with basic.nack, or closed the channel for it or before it; detail says",
    "returned": "the broker sent an unroutable mandatory message back",
    "under way": "a channel was lost, and nothing had shown that these arrived; detail is `UnderWay`",
    "unknown": "what became of the message can't be told, until it is seen again; detail says why",
    "dead-lettered": "it came with an x-death header: the broker had taken it from this queue; detail says why",
    # deliveries to a worker
    "delivered": "the broker handed the message to the worker; redelivered says if not for the first time",
    "started": "the worker's callback began with it",
    "finished": "the callback returned",
    "failed": "the callback raised; detail says what",
    "acked": "the worker sent basic.ack (an auto-ack delivery has none: it is settled when delivered)",
    "nacked": "the worker sent basic.nack; detail is a `Handback`",
    "rejected": "the worker sent basic.reject; detail is a `Handback`",
    "ack dropped": "the worker settled a delivery whose channel was gone; the broker never saw it",
    "requeued": "the delivery ended without an ack, so the broker puts the message back; detail says why",
    "lost": "an auto-ack delivery whose work had not finished when its worker went; nobody has it any more",
    # the life of a worker or publisher
    "starting": "it begins to connect; detail is a worker's `ConsumeOptions`",
    "connected": "its connection is open (and a worker consumes, with its `ConsumeOptions`)",
    "cancelled": "the broker cancelled the consumer, for example because the queue was deleted",
    "channel closed": "the broker closed the channel; detail is its `CloseReason`",
    "disconnected": "the connection was lost without our doing; detail is the reason",
    "hung up": "a program's connection ended, and the program had not closed it; detail says by whom",
    "unreadable": "what passes on a program's connection can't be read, and is not recorded any more; detail says why",
    "reconnecting": "it tries to connect again",
    "blocked": "the broker asked publishers to wait, for example for memory",
    "unblocked": "the broker lets publishers go on",
    "stopping": "it was asked to stop",
    "stopped": "it finished what it had in hand and said goodbye; right after 'disconnected', nobody answered",
    "killed": "its TCP connection was cut, as in a crash",
    "crashed": "its own error ended it",
    "frozen": "it was made to hang",
    "thawed": "it goes on after hanging",
    # the lesson
    "played": "a control of the stage started this worker or publisher; detail is the call",
    "declared": "a client declared the queue; detail is `QueueOptions`",
    "purged": "the queue was emptied; detail is how many messages went",
    "deleted": "the queue was deleted",
    "exchange declared": "a client declared an exchange; detail is its `ExchangeOptions`",
    "exchange deleted": "a client deleted an exchange; detail is its `ExchangeOptions`",
    "bound": "the queue was bound to an exchange, or the broker told of it; detail is the `Binding`",
    "unbound": "the queue's binding was removed; detail is the `Binding`",
    "counted": "the broker's counts of the queue tell what the log did not know; detail is `Counted`",
    "node killed": "a node of the lesson's cluster was killed",
    "node cut off": "a node of the lesson's cluster was cut off from the others",
    "node started": "a node of the lesson's cluster was started, or let meet the others again",
    "leader elected": "the queue is led by this node from now on",
    "cluster": "the cluster's nodes, or what was confirmed, are otherwise than before; detail is `ClusterSeen`",
    "broker": "what the broker does or has done to it, whoever did it; detail is a `BrokerChange`",
}


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        seconds: When, in seconds since the lesson opened, from one monotonic clock.
        kind: One of `KINDS`.
        actor: The name of the worker or publisher, ``"lesson"`` for the notebook itself.
        queue: The queue it is about, or ``""``.
        mark: The log's own name for the message, which links its events from publish to last ack, or ``None``.
        task: The message's body as text, shortened; ``""`` where there is no message.
        delivery_tag: The broker's number for this delivery on its channel, or ``None``.
        redelivered: Whether the broker marked the delivery as not the first.
        detail: What else is known: a value from `details`, a count, or a few words for people.
    """

    seconds: float
    kind: str
    actor: str
    queue: str = ""
    mark: str | None = None
    task: str = ""
    delivery_tag: int | None = None
    redelivered: bool = False
    detail: Detail = ""


#: One event as a plain tuple, in `Event`'s order of fields.
Row = tuple[float, str, str, str, str | None, str, int | None, bool, Detail]

_WIDTH = len(Event._fields)


class Rows(Sequence[Row]):
    """A stretch of the log: plain tuples in `Event`'s order of fields, each made when somebody looks at it.

    Who reads a flood ten times a second would else keep thousands of tuples, which the garbage collector walks.
    """

    def __init__(self, cells: list[Any]) -> None:
        self._cells = cells

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows:
        """Return those that somebody has as tuples."""
        return cls([cell for row in rows for cell in row])

    def column(self, field: int) -> list[Any]:
        """Return the values of one field, by its place in `Event`."""
        return self._cells[field::_WIDTH]

    def __len__(self) -> int:
        return len(self._cells) // _WIDTH

    def __iter__(self) -> Iterator[Row]:
        cells = iter(self._cells)
        return zip(*[cells] * _WIDTH, strict=True)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step != 1:
                return Rows.of(self[at] for at in range(begin, end, step))
            return Rows(self._cells[begin * _WIDTH : end * _WIDTH])
        position = range(len(self))[index] * _WIDTH
        return cast("Row", tuple(self._cells[position : position + _WIDTH]))


class EventLog:
    """A list of events that any thread may add to and read; it only grows, until it is cleared as a whole.

    The fields of all events lie one after another in a single list: that is smaller than a tuple for each
    event, leaves the garbage collector nothing to walk, and gives a column as one slice.
    """

    def __init__(self) -> None:
        self._opened = time.monotonic()
        self._cells: list[Any] = []
        self._lock = threading.Lock()
        self._grew = threading.Condition(self._lock)
        self._waiting = 0
        #: How often the log was cleared: what was counted from an earlier beginning means nothing now.
        self.generation = 0

    def record(
        self,
        kind: str,
        actor: str,
        queue: str = "",
        mark: str | None = None,
        task: str = "",
        delivery_tag: int | None = None,
        redelivered: bool = False,
        detail: Detail = "",
    ) -> None:
        """Append one event, stamped with the time; the arguments are `Event`'s."""
        with self._lock:
            # One step for other threads, so that a reader never sees half an event.
            self._cells += (
                time.monotonic() - self._opened,
                kind,
                actor,
                queue,
                mark,
                task,
                delivery_tag,
                redelivered,
                detail,
            )
            if self._waiting:
                self._grew.notify_all()

    def record_after(self, events: int, rows: Iterable[Row]) -> bool:
        """Append rows, stamped with the time, if the log still has so many events; return whether it has."""
        with self._lock:
            if len(self) != events:
                return False
            now = time.monotonic() - self._opened
            for row in rows:
                self._cells += (now, *row[1:])
            if self._waiting:
                self._grew.notify_all()
            return True

    def seconds(self) -> float:
        """Return the time on the log's clock, in seconds since it was opened."""
        return time.monotonic() - self._opened

    def seconds_at(self, moment: float) -> float:
        """Return the time on the log's clock at a `moment` of `time.monotonic`."""
        return moment - self._opened

    def __len__(self) -> int:
        return len(self._cells) // _WIDTH

    def __iter__(self) -> Iterator[Event]:
        return map(Event._make, self.rows())

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        length = len(self)
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(length))]
        position = range(length)[index]
        return Event._make(self._cells[position * _WIDTH : (position + 1) * _WIDTH])

    def rows(self, start: int = 0, stop: int | None = None) -> Rows:
        """Return the rows from `start` up to `stop`."""
        return Rows(self._cells[start * _WIDTH : None if stop is None else stop * _WIDTH])

    def count_until(self, seconds: float) -> int:
        """Return how many events had happened by the moment `seconds`, on the log's clock."""
        cells = self._cells
        return bisect.bisect_right(range(len(cells) // _WIDTH), seconds, key=lambda index: cells[index * _WIDTH])

    def columns(self) -> dict[str, list[Any]]:
        """Return the whole log as one list for each field of `Event`, in their order."""
        # The list only grows, so a fixed end makes one moment of it without a copy.
        end = len(self) * _WIDTH
        return {field: self._cells[position:end:_WIDTH] for position, field in enumerate(Event._fields)}

    def copy(self, until_seconds: float = math.inf) -> EventLog:
        """Return another log with the events of this moment, on the same clock.

        Args:
            until_seconds: What happened later is left out.
        """
        copy = EventLog()
        copy._opened = self._opened
        copy._cells = self._cells[: len(self) * _WIDTH]
        copy._cells = copy._cells[: copy.count_until(until_seconds) * _WIDTH]
        return copy

    def clear(self) -> None:
        """Forget every event and begin again at zero seconds."""
        with self._lock:
            self._cells = []  # a new list: who reads the old one at this moment reads it to its end
            self._opened = time.monotonic()
            self.generation += 1
            self._grew.notify_all()

    def poke(self) -> None:
        """Have those who wait look again: something changed that is no event."""
        if self._waiting:
            with self._lock:
                self._grew.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until `condition` holds, asking again after every event and every `poke`.

        Args:
            condition: Called with the log locked against writers, so it must be quick and must not record.
            timeout: Seconds to wait at most.

        Returns:
            Whether the condition held before the timeout.
        """
        with self._grew:
            self._waiting += 1
            try:
                return self._grew.wait_for(condition, timeout)
            finally:
                self._waiting -= 1

    def __repr__(self) -> str:
        return f"<EventLog of {len(self)} events>"
