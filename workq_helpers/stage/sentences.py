"""`Happening`: something that happened, and the sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from workq_helpers.log.details import BrokerChange
from workq_helpers.log.events import Row
from workq_helpers.stage.frame import MarkKind, StoryLine
from workq_helpers.text import each_once, isolated, printable, shortened

__all__ = ["Happening", "Tasks", "in_order", "name_of", "summed_up", "without_repetition"]

#: So many are named; more are counted.
MOST_NAMED = 3
MOST_ACTORS_NAMED = 2

#: Kinds that a task may go through more often than once.
_AGAIN = frozenset({"nacked", "rejected", "requeued", "failed", "dead-lettered"})

#: Kinds that settle a delivery.
_SETTLED = ("acked", "nacked", "rejected")

_OUTAGES = frozenset(change for change in BrokerChange if change.is_outage)

#: The way of a task: what is done to it later follows from what was done before.
_STEPS: Final[Mapping[str, int]] = {
    "published": 1,
    "delivered": 2,
    "finished": 3,
    "failed": 3,
    **dict.fromkeys(_SETTLED, 4),
}

#: What is settled by a tag that no open delivery of its channel has: that has no queue either.
_NO_DELIVERY = "what it does not hold"

_LONGEST_NAME = 32
_LONGEST_REASON = 300  # RabbitMQ gives 255 bytes at most


class Tasks:
    """How many tasks, and the names of the first of them.

    Args:
        again: Whether one of them may be among them more than once.
    """

    def __init__(self, *, again: bool = False) -> None:
        self._nouns = ("delivery", "deliveries") if again else ("task", "tasks")
        self.count = 0
        self.names: list[str] = []

    def add(self, count: int, names: Iterable[str]) -> None:
        """Add so many, with as many of their names as are known."""
        self.count += count
        for name in names:
            if len(self.names) == MOST_NAMED:
                break
            self.names.append(name)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if self.count > len(self.names):
            return f"{self.count:,} {self._nouns[self.count > 1]}"
        return _listed(each_once(map(name_of, self.names)))


class Happening:
    """Something that happened, once or often within a beat.

    Attributes:
        number: The event's that it began with, counted from 1.
        last_number: The last event's of it that is no consequence.
        told_after: The number of what it is told after, its own or that of a later one from which more of it followed.
        seconds: When that was.
        last_seconds: When the last of it was.
        kind: The events' kind.
        queue: The queue it is about, or ``""``.
        redelivered: Whether what was delivered was delivered before.
        detail: What else the log says, in words.
        again: Whether who connected had lost its connection.
        away: Whether the broker was away, as far as the lesson had made it go.
        actors: Who it was.
        tasks: The tasks it is about.
        requeued: Those that a worker had in hand, not acknowledged, when it came to its end.
        lost: Those that nobody has any more.
    """

    def __init__(
        self,
        number: int,
        seconds: float,
        kind: str,
        queue: str,
        *,
        redelivered: bool = False,
        detail: str = "",
        again: bool = False,
        away: bool = False,
    ) -> None:
        self.number = self.last_number = self.told_after = number
        self.seconds = self.last_seconds = seconds
        self.kind = kind
        self.queue = queue
        self.redelivered = redelivered
        self.detail = detail
        self.again = again
        self.away = away
        self.actors: dict[str, None] = {}
        self.tasks = Tasks(again=redelivered or kind in _AGAIN)
        self.requeued = Tasks()
        self.lost = Tasks()
        self._told: tuple[tuple[object, ...], StoryLine] = ((), {"number": 0, "seconds": 0.0, "text": "", "mark": ""})

    @classmethod
    def like(cls, other: Happening) -> Happening:
        """Return one of that kind that nobody has done anything for yet."""
        return cls(other.number, other.seconds, other.kind, other.queue, redelivered=other.redelivered)

    def follow(self, row: Row) -> None:
        """Take in what became of a task because of it."""
        self.last_seconds = row[0]
        self.queue = self.queue or row[3]
        (self.requeued if row[1] == "requeued" else self.lost).add(1, [row[5]])

    @property
    def step(self) -> int:
        """How far on its way what it is about has come; 0 if it is not on its way, or went back on it."""
        return 0 if self.detail == "requeue" else _STEPS.get(self.kind, 0)

    @property
    def place(self) -> tuple[int, int, int]:
        """Its place among others that are told."""
        return (self.told_after, self.step, self.number)

    def follows(self, other: Happening) -> bool:
        """Whether some of it may have come from the other."""
        return (
            0 < other.step < self.step
            and other.number < self.last_number
            and other.queue == self.queue
            and (other.kind == "published" or other.actors == self.actors)
        )

    @property
    def mark(self) -> MarkKind:
        """What it is on the time line; ``""`` for most."""
        if self.kind in ("killed", "node killed"):
            return "kill"
        if self.kind == "node cut off":
            return "outage"
        if self.kind == "crashed":
            return "crash"
        if self.kind == "broker" and self.detail in _OUTAGES:
            return "outage"
        return "loss" if self.kind == "lost" or self.lost else ""

    @property
    def who(self) -> str:
        """Its actors, in words."""
        names = [_name(actor) for actor in self.actors]
        if len(names) > MOST_ACTORS_NAMED:
            kind = "workers" if self.kind in ("connected", "stopped", "delivered", "finished", "acked") else "clients"
            return f"{len(names)} {kind}"
        return _listed(names)

    def line(self) -> StoryLine:
        """Return it as a frame has it; the same one until more of it has happened."""
        so_far = (self.last_seconds, self.queue, len(self.actors), *(each.count for each in self._tasks))
        if self._told[0] != so_far:
            self._told = (so_far, self._new_line())
        return self._told[1]

    @property
    def _tasks(self) -> tuple[Tasks, Tasks, Tasks]:
        return self.tasks, self.requeued, self.lost

    def _new_line(self) -> StoryLine:
        text = _SENTENCES[self.kind](self) if self.kind in _SENTENCES else f"{self.who}: {self.kind}"
        return {
            "number": self.number,
            "seconds": math.ceil(self.last_seconds * 1000) / 1000,  # not before it
            "text": text + _consequences(self),
            "mark": self.mark,
        }


def in_order(happenings: Sequence[Happening]) -> list[Happening]:
    """Return what happened in the order in which it is told: nothing before what it followed from.

    A sentence may be about more than one event. Of equal steps none follows from another.
    """
    for each in sorted(happenings, key=lambda it: it.step):
        if each.step > 1:
            causes = (other.told_after for other in happenings if each.follows(other))
            each.told_after = max((each.number, *causes))
    return sorted(happenings, key=lambda it: it.place)


def summed_up(happenings: Sequence[Happening]) -> list[Happening]:
    """Return what happened with all publishing in one, whoever did it, and all delivering and acknowledging."""
    sums: dict[object, Happening] = {}
    for each in happenings:
        summable = each.kind in ("published", "delivered", "finished", "acked")
        key: object = (each.kind, each.queue, each.kind == "delivered" and each.redelivered) if summable else id(each)
        known = sums.setdefault(key, Happening.like(each) if summable else each)
        if known is not each:
            known.actors.update(each.actors)
            known.tasks.add(each.tasks.count, ())
    return list(sums.values())


def without_repetition(happenings: Sequence[Happening]) -> list[Happening]:
    """Return what happened without "finished" where "acknowledged" says it, or "handed back" that it is no end."""
    settled: dict[tuple[str, ...], int] = {}
    for each in happenings:
        if each.kind in _SETTLED:
            key = tuple(each.actors)
            settled[key] = settled.get(key, 0) + each.tasks.count
    return [
        each for each in happenings if each.kind != "finished" or settled.get(tuple(each.actors), 0) < each.tasks.count
    ]


# -- sentences ----------------------------------------------------------------------------------------


def _consequences(it: Happening) -> str:
    parts = []
    if it.requeued:
        went_back = it.kind != "disconnected" and not it.away
        parts.append(f"{it.requeued} went back to {_queue(it)}" if went_back else f"{it.requeued} not acknowledged")
    if it.lost and it.kind != "lost":
        parts.append(f"{it.lost} {'is' if it.lost.count == 1 else 'are'} lost")
    return f": {', '.join(parts)}" if parts else ""


def _published(it: Happening) -> str:
    return f"{it.who} sent {it.tasks} to {_queue(it) if it.queue else 'an exchange'}"


def _delivered(it: Happening) -> str:
    return f"{it.tasks} → {it.who}{', redelivered' if it.redelivered else ''}"


def _connected(it: Happening) -> str:
    one = len(it.actors) == 1
    if it.again:
        return f"{it.who} {'is' if one else 'are'} connected again"
    return f"{it.who} {'takes' if one else 'take'} tasks from {_queue(it)}"


def _disconnected(it: Happening) -> str:
    return f"{it.who} lost {'its connection' if len(it.actors) == 1 else 'their connections'}"


def _emptied(it: Happening) -> str:
    count = int(it.detail) if it.detail.isdigit() else 0
    gone = f" with {_counted(count, 'task')} in it" if count else ""
    return f"{_queue(it)} was {it.kind}{gone}"


def _acknowledged(it: Happening) -> str:
    return f"{it.who} acknowledged {it.tasks if it.queue else _NO_DELIVERY}"


def _handed_back(it: Happening) -> str:
    method = "basic.nack" if it.kind == "nacked" else "basic.reject"
    if not it.queue:
        return f"{it.who} handed back {_NO_DELIVERY} with {method}"
    to_what_end = "to be discarded" if it.detail == "discard" else f"to go back to {_queue(it)}"
    return f"{it.who} handed {it.tasks} back with {method}, {to_what_end}"


def _ack_dropped(it: Happening) -> str:
    return f"An ack of {it.who}{f' for {it.tasks}' if it.tasks else ''} settled nothing{_because(it)}"


_BROKER: Final[Mapping[str, str]] = {
    BrokerChange.RESTARTING: "RabbitMQ was told to restart",
    BrokerChange.CRASHING: "RabbitMQ was made to crash",
    BrokerChange.STOPPING: "RabbitMQ was told to stop",
    BrokerChange.DOWN: "RabbitMQ is down",
    BrokerChange.UP: "RabbitMQ is up again",
    BrokerChange.BLOCKED: "RabbitMQ takes no messages for want of memory or disk",
    BrokerChange.UNBLOCKED: "RabbitMQ takes messages again",
}

_SENTENCES: Final[Mapping[str, Callable[[Happening], str]]] = {
    "published": _published,
    "refused": lambda it: f"RabbitMQ refused {it.tasks} from {it.who}{_because(it)}",
    "returned": lambda it: f"RabbitMQ returned {it.tasks} to {it.who}{_because(it)}",
    "under way": lambda it: f"What {it.who} sent last may not have arrived{_because(it)}",
    "unknown": lambda it: f"Nobody can tell what became of {it.tasks}{_because(it)}",
    "dead-lettered": lambda it: f"{it.tasks} came from {_queue(it)} as a dead letter{_because(it)}",
    "delivered": _delivered,
    "finished": lambda it: f"{it.who} finished {it.tasks}",
    "failed": lambda it: f"The callback of {it.who} raised at {it.tasks}{_because(it)}",
    "acked": _acknowledged,
    "nacked": _handed_back,
    "rejected": _handed_back,
    "ack dropped": _ack_dropped,
    "requeued": lambda it: f"{it.tasks} went back to {_queue(it)}{_because(it)}",
    "lost": lambda it: f"{it.tasks} {'is' if it.tasks.count == 1 else 'are'} lost{_because(it)}",
    "connected": _connected,
    "cancelled": lambda it: f"RabbitMQ canceled the consumer of {it.who}",
    "channel closed": lambda it: f"RabbitMQ closed the channel of {it.who}{_because(it)}",
    "disconnected": _disconnected,
    "hung up": lambda it: f"The connection of {it.who} ended{_because(it)}",
    "unreadable": lambda it: f"What passes between RabbitMQ and {it.who} is not recorded any more{_because(it)}",
    "blocked": lambda it: f"RabbitMQ asked {it.who} to wait",
    "unblocked": lambda it: f"RabbitMQ lets {it.who} go on",
    "stopped": lambda it: f"{it.who} stopped",
    "killed": lambda it: f"{it.who} was killed",
    "crashed": lambda it: f"{it.who} crashed{_because(it)}",
    "frozen": lambda it: f"{it.who} hangs",
    "thawed": lambda it: f"{it.who} goes on",
    "declared": lambda it: f"{_queue(it)} was declared ({it.detail})",
    "purged": _emptied,
    "deleted": _emptied,
    "exchange declared": lambda it: f"An exchange was declared{_because(it)}",
    "exchange deleted": lambda it: f"An exchange was deleted{_because(it)}",
    "bound": lambda it: f"{_bound_to(it)} was bound{_because(it)}",
    "unbound": lambda it: f"{_bound_to(it)} was unbound{_because(it)}",
    "counted": lambda it: f"RabbitMQ's counts of {_queue(it)} tell what the log did not know{_because(it)}",
    "node killed": lambda it: f"{it.who} was killed",
    "node cut off": lambda it: f"{it.who} is cut off from the other nodes",
    "node started": lambda it: f"{it.who} is back",
    "leader elected": lambda it: f"{it.who} leads {_queue(it)} now",
    "broker": lambda it: _BROKER.get(it.detail, f"RabbitMQ: {it.detail}"),
}


def _because(it: Happening) -> str:
    return f" ({shortened(printable(it.detail), _LONGEST_REASON)})" if it.detail else ""


def _queue(it: Happening) -> str:
    return _name(it.queue) or "its queue"


def _bound_to(it: Happening) -> str:
    return _queue(it) if it.queue else "An exchange"


def name_of(task: str) -> str:
    """Return a task's name in a sentence: without its dots of work, unless it has nothing else."""
    return _name(task.rstrip(". …") or task) or "(empty)"


def _name(text: str) -> str:
    return isolated(shortened(printable(text), _LONGEST_NAME))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
