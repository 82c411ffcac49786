"""`Actors`: workers and publishers, by what the log tells of them besides their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from workq_helpers.log.details import ConsumeOptions, ProgramOptions
from workq_helpers.log.events import Row
from workq_helpers.stage.frame import WorkerState
from workq_helpers.stage.sentences import name_of
from workq_helpers.text import each_once

__all__ = ["CHANGES", "Actors", "Fetching", "SeenPublisher", "SeenWorker"]

#: How many of the tasks that a worker held at its end are named; the rest is counted.
MOST_DROPPED = 4

#: What an event says about the state of the worker or publisher it is from.
_STATES: Final[Mapping[str, WorkerState]] = {
    "starting": "starting",
    "connected": "idle",
    "disconnected": "reconnecting",
    "reconnecting": "reconnecting",
    "hung up": "disconnected",
    "stopping": "stopping",
    "stopped": "stopped",
    "killed": "killed",
    "crashed": "crashed",
}
_ENDED = ("stopped", "killed", "crashed")
_ENDING = ("stopping", "disconnected", *_ENDED)  # who is stopped closes its channel first; a program loses its own

#: Kinds of events that change an actor.
CHANGES = frozenset(_STATES) | {"frozen", "thawed", "blocked", "unblocked", "requeued", "lost"}


class SeenWorker:
    """What is known of one worker besides its messages."""

    __slots__ = ("_frozen_since", "_hung", "back", "lost", "prefetch_count", "program", "queue", "state")

    def __init__(self, state: WorkerState = "starting") -> None:
        self.queue = ""
        self.state: WorkerState = state
        self.program: str | None = None
        self.prefetch_count = 0
        self._frozen_since: float | None = None
        self._hung: list[tuple[float, float]] = []  # spans that it was frozen for
        self.back: list[str] = []  # the tasks that went back to the queue when it ended, and those that were lost
        self.lost: list[str] = []

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return self.state in _ENDED

    @property
    def is_frozen(self) -> bool:
        """Whether it hangs."""
        return self._frozen_since is not None

    @property
    def dropped(self) -> str:
        """Say what it held when it ended and what became of that."""
        ends = {"gave back": self.back, "lost": self.lost}
        return "; ".join(f"{how} {_listed(tasks)}" for how, tasks in ends.items() if tasks)

    def state_at_work(self, busy: bool, in_hand: int) -> WorkerState:
        """Return its state, which of two that consume says whether they have something to do."""
        if self.is_frozen:
            return "frozen"
        if self.state != "idle":
            return self.state
        if busy:
            return "busy"
        return "holding" if in_hand and self.program is not None else "idle"

    def free(self, limit: int, in_hand: int) -> int | None:
        """Return how many more deliveries it would be sent, ``None`` where there is no limit."""
        if self.has_ended:
            return 0
        return max(0, limit - in_hand) if limit else None

    def hung_seconds(self, began: float, until: float) -> float:
        """Return for how long it was frozen in a span of time."""
        spans = self._hung if self._frozen_since is None else [*self._hung, (self._frozen_since, until)]
        return sum(max(0.0, min(end, until) - max(begin, began)) for begin, end in spans)

    def learn(self, row: Row) -> None:
        """Take in an event about it."""
        seconds, kind, _, queue = row[:4]
        self.queue = queue
        self.state = _STATES.get(kind, self.state)
        if isinstance(row[8], ProgramOptions):
            self.program = row[8].program
        if kind in ("starting", "connected"):
            self.back, self.lost = [], []
            self.prefetch_count = row[8].prefetch_count if isinstance(row[8], ConsumeOptions) else 0
        elif kind == "frozen":
            self._frozen_since = seconds
        elif kind in ("requeued", "lost") and self.state in _ENDING:
            (self.back if kind == "requeued" else self.lost).append(row[5])
        if self._frozen_since is not None and (kind == "thawed" or kind in _ENDED):
            self._hung.append((self._frozen_since, seconds))
            self._frozen_since = None


class Fetching(SeenWorker):
    """Whoever holds what it fetched with basic_get, such as the notebook: it does not consume, and nothing ends it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("idle")
        self.program = ""

    def free(self, limit: int, in_hand: int) -> int:  # noqa: ARG002 - nothing is sent to it
        """Return that it is sent none."""
        return 0


class SeenPublisher:
    """What is known of one publisher besides its messages."""

    __slots__ = ("blocked", "state")

    def __init__(self) -> None:
        self.state = "starting"
        self.blocked = False


class Actors:
    """A fold over the rows about workers and publishers.

    Attributes:
        workers: By name, in the order in which they started.
        publishers: Those that have not ended.
    """

    def __init__(self) -> None:
        self.workers: dict[str, SeenWorker] = {}
        self.publishers: dict[str, SeenPublisher] = {}

    def learn(self, row: Row) -> bool:
        """Take in an event of the kinds in `CHANGES`, and return whether it is about a worker."""
        actor, detail = row[2], row[8]
        consumes = actor in self.workers or isinstance(detail, ConsumeOptions)
        if consumes:
            self._learn_of_worker(row)
        else:
            self._learn_of_publisher(row)
        return consumes

    def shown(self, holding: Iterable[str], most: int) -> list[str]:
        """Return whom to show, in the order in which they started: who may still work, then who ended last.

        Args:
            holding: Who has something in hand: the notebook too, where it holds what it has fetched itself.
            most: How many.
        """
        if len(self.workers) <= most:
            return [*self.workers, *(name for name in holding if name not in self.workers)][:most]
        ended = [name for name, worker in self.workers.items() if worker.has_ended]
        alive = [name for name, worker in self.workers.items() if not worker.has_ended]
        shown = {*alive[:most], *ended[::-1][: max(0, most - len(alive))]}
        return [name for name in self.workers if name in shown]

    def _learn_of_worker(self, row: Row) -> None:
        kind, actor = row[1], row[2]
        if kind == "starting":
            self.workers.pop(actor, None)  # another worker of an ended one's name takes the last place
        self.publishers.pop(actor, None)  # a program that published before it consumed
        self.workers.setdefault(actor, SeenWorker()).learn(row)

    def _learn_of_publisher(self, row: Row) -> None:
        kind, actor = row[1], row[2]
        if kind == "connected":
            self.publishers.setdefault(actor, SeenPublisher())
        publisher = self.publishers.get(actor)
        if publisher is None:
            return
        publisher.state = "publishing" if kind == "connected" else _STATES.get(kind, publisher.state)
        publisher.blocked = kind == "blocked" or (publisher.blocked and kind != "unblocked")
        if kind in _ENDED or kind == "hung up":
            del self.publishers[actor]


def _listed(tasks: list[str]) -> str:
    shown = ", ".join(each_once(map(name_of, tasks[:MOST_DROPPED])))
    return shown if len(tasks) <= MOST_DROPPED else f"{shown} and {len(tasks) - MOST_DROPPED} more"
