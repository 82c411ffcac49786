"""`Scene`: what the stage shows, computed from the log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, cast

from workq_helpers.log.details import BrokerChange, ClusterSeen
from workq_helpers.log.events import Row, Rows
from workq_helpers.log.ledger import ENDS, Delivery, Ledger, LogCounts, Message, WorkerCounts
from workq_helpers.log.messages import is_shortened
from workq_helpers.stage.actors import CHANGES, Actors, Fetching, SeenWorker
from workq_helpers.stage.frame import (
    BrokerState,
    Chip,
    ClusterCard,
    EndList,
    Ghosts,
    Moment,
    Phase,
    PublisherColumn,
    PublisherLine,
    QueueCard,
    Work,
    WorkerCard,
)
from workq_helpers.stage.narration import Narration, count_alike
from workq_helpers.stage.resting import RestingQueues
from workq_helpers.text import shortened

__all__ = ["BrokerCounts", "Scene"]

#: What a frame shows of each; the rest is counted.
MOST_QUEUES = 6
MOST_WAITING = 12
MOST_GHOSTS = 4
MOST_WORKERS = 50
MOST_SLOTS = 8
MOST_PUBLISHERS = 4
MOST_ENDED = 12
MOST_LOST = 24
MOST_NODES = 7
MOST_COPIES = 12
CONSOLE_LINES = 6
CONSOLE_WIDTH = 160  # what a worker printed is whole in `Worker.console`

#: Where there are more workers than so many, each shows less: a frame must stay small.
CROWD = 12
CROWD_SLOTS = 3
CROWD_CONSOLE_LINES = 2
CROWD_CONSOLE_WIDTH = 60

#: Returns the last lines of a worker's console: its name, how many, and until when.
ConsoleTail = Callable[[str, int, float], list[str]]


#: Kinds that only a broker which is there brings about.
_ANSWERS = frozenset({"connected", "delivered", "confirmed", "returned"})

#: Kinds that change an actor or the broker; all others are the ledger's alone.
_TELLING = CHANGES | {"broker", "cluster", "declared"}

_EMPTY = LogCounts(0, 0)
_NOTHING = WorkerCounts(0, 0, 0, 0)


class BrokerCounts(NamedTuple):
    """What the broker's management API answered when it was asked last.

    Attributes:
        seconds: When, on the log's clock.
        reachable: Whether it answered at all; ``None`` where there is none to ask.
        since_seconds: Since when it has been so.
        counts: For each queue its ready and unacknowledged messages, or nothing.
        silent_seconds: When it ceased to answer last.
    """

    seconds: float = 0.0
    reachable: bool | None = None
    since_seconds: float = 0.0
    counts: Mapping[str, tuple[int, int]] = {}
    silent_seconds: float = -1.0


class Scene:
    """A fold over the log's rows, and the picture of where it stands.

    It never looks at the clock, at a worker or at the broker: equal rows make equal pictures.
    """

    def __init__(self, seconds_per_dot: float) -> None:
        self._seconds_per_dot = seconds_per_dot
        self.ledger = Ledger()
        self.narration = Narration()
        #: How many rows it has taken in.
        self.events = 0
        self._counted: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._ends: dict[str, EndList] | None = None  # as they were drawn last, until there is another row
        self._queues: dict[str, None] = {}
        self._resting = RestingQueues()
        self._actors = Actors()
        self._broker = (BrokerChange.UP, 0.0)
        self._cluster: ClusterSeen | None = None
        self._answered_seconds = self._cut_off_seconds = -1.0  # when it last answered, and lost a client

    def update(self, rows: Rows) -> None:
        """Take in the rows that follow those taken in before."""
        if not rows:
            return
        self.events += len(rows)
        self._ends = None
        alike = count_alike(rows)
        kinds = {kind for kind, *_ in alike}
        self._resting.update(rows, alike)
        if "broker" in kinds:
            self._tell_with_losses(rows)
        else:
            self.ledger.update(rows)
            self.narration.update(rows, alike)
        for (kind, actor, *_), count in alike.items():
            self._counted[kind] += count
            if kind == "published":
                self._published[actor] += count
        if not _ANSWERS.isdisjoint(kinds):
            self._answered_seconds = next(row[0] for row in reversed(rows) if row[1] in _ANSWERS)
        if not _TELLING.isdisjoint(kinds):
            self._learn(row for row in rows if row[1] in _TELLING)

    def _tell_with_losses(self, rows: Rows) -> None:
        """Take in rows among which the broker goes or comes, and have it told what was lost by that."""
        of_the_broker = [at for at, row in enumerate(rows) if row[1] == "broker"]
        begin = 0
        for stop in sorted({*of_the_broker, *(at + 1 for at in of_the_broker), len(rows)}):
            before = self.ledger.places()["lost"]
            self.ledger.update(rows[begin:stop])
            self.narration.update(rows[begin:stop])
            lost = self.ledger.places()["lost"] - before
            if lost and begin in of_the_broker:
                self.narration.lose([message.task for message in self.ledger.recent("lost")[:lost]], lost)
            begin = stop

    # -- learning -------------------------------------------------------------------------------------

    def _learn(self, rows: Iterable[Row]) -> None:
        for row in rows:
            kind, detail = row[1], row[8]
            if kind == "disconnected":
                self._cut_off_seconds = row[0]
            if kind == "broker" and isinstance(detail, BrokerChange):
                if not detail.is_alarm:
                    self._broker = (detail, row[0])
            elif kind == "cluster":
                self._cluster = detail if isinstance(detail, ClusterSeen) else self._cluster
            elif kind == "declared" or (self._actors.learn(row) and kind in ("starting", "connected")):
                self._queues.setdefault(row[3])

    # -- showing --------------------------------------------------------------------------------------

    def picture(self, seconds: float, answer: BrokerCounts, console: ConsoleTail, *, running: bool = True) -> Moment:
        """Return everything that the stage draws of this moment.

        Args:
            seconds: The moment, on the log's clock.
            answer: What the broker said last by then.
            console: Returns the last lines of a worker's console.
            running: Whether the picture goes on, so that bars of work run.
        """
        logged = self.ledger.queues()
        every = self._queue_names(logged, answer)
        resting = {name for name in every if self._rests(name)}
        queues = _first(every, resting)
        counts = self.ledger.workers()
        names = self._actors.shown([name for name, held in counts.items() if held.in_hand], MOST_WORKERS)
        crowd = len(names) > CROWD
        most_slots = CROWD_SLOTS if crowd else MOST_SLOTS
        lines, width = (CROWD_CONSOLE_LINES, CROWD_CONSOLE_WIDTH) if crowd else (CONSOLE_LINES, CONSOLE_WIDTH)
        workers = [
            self._worker(name, counts.get(name, _NOTHING), seconds, most_slots=most_slots, running=running)
            for name in names
        ]
        for shown in workers:
            shown["console"] = [shortened(line, width) for line in console(shown["name"], lines, seconds)]
        moment: Moment = {
            "broker_state": self._broker_state(answer),
            "publishers": self._publishers_shown(),
            "queues": [self._queue(name, logged.get(name, _EMPTY), answer) for name in queues],
            "resting": [name for name in queues if name in resting],
            "more_queues": len(every) - len(queues),
            "workers": workers,
            "more_workers": max(0, len(self._actors.workers) - len(workers)),
            "ends": self._ends_shown(),
            "cluster": _cluster_card(self._cluster),
            "story": self.narration.latest(seconds),
            "summary": "",
        }
        moment["summary"] = _summary(moment)
        return moment

    def _broker_state(self, answer: BrokerCounts) -> BrokerState:
        told, at_seconds = self._broker
        if told is BrokerChange.DOWN:
            return "down"
        if told is BrokerChange.STOPPING:
            return "stopping"
        silent = answer.reachable is False
        if told is BrokerChange.UP:
            gone = silent and self._answered_seconds <= max(answer.since_seconds, self._cut_off_seconds)
            return "down" if gone else "up"
        # It was told to restart or made to crash. What fell silent before that, or answers as before, tells nothing.
        away_seconds = max(answer.since_seconds if silent else answer.silent_seconds, self._cut_off_seconds)
        if away_seconds <= at_seconds:
            return "stopping"
        # Clients are let in earlier than its management API.
        answers = self._answered_seconds > away_seconds or (answer.reachable and answer.since_seconds > away_seconds)
        return "coming back" if answers else "down"

    def _publishers_shown(self) -> PublisherColumn:
        active: list[PublisherLine] = [
            {
                "name": name,
                "state": "blocked" if publisher.blocked else publisher.state,
                "published": self._published[name],
            }
            for name, publisher in self._actors.publishers.items()
        ]
        return {
            "published": self._counted["published"],
            "confirmed": self._counted["confirmed"],
            "refused": self._counted["refused"],
            "returned": self._counted["returned"],
            "active": active[:MOST_PUBLISHERS],
            "more": max(0, len(active) - MOST_PUBLISHERS),
        }

    def _queue_names(self, logged: Mapping[str, LogCounts], answer: BrokerCounts) -> list[str]:
        names = dict.fromkeys([*self._queues, *logged, *answer.counts])
        # A message on its way through an exchange has no queue until somebody gets it.
        return [name for name in names if name or logged.get(name, _EMPTY).ready]

    def _rests(self, name: str) -> bool:
        return (
            name in self._resting
            and not self.ledger.missing_count(name)
            and all(worker.queue != name or worker.has_ended for worker in self._actors.workers.values())
        )

    def _queue(self, name: str, logged: LogCounts, answer: BrokerCounts) -> QueueCard:
        ready, unacknowledged = logged
        by_broker = answer.counts.get(name, (None, None))
        declared = self.ledger.declared(name)
        waiting = self.ledger.waiting(name, MOST_WAITING)
        return {
            "name": name,
            "durability": declared.durability if declared else "",
            "type": declared.type if declared else "",
            "gone": self.ledger.absent(name),
            "ready": {"broker": by_broker[0], "log": ready},
            "unacknowledged": {"broker": by_broker[1], "log": unacknowledged},
            "waiting": [_chip(message) for message in waiting],
            "more": ready - len(waiting),
            "ghosts": self._ghosts(name),
            "unseen": self.ledger.unseen(name),
        }

    def _ghosts(self, queue: str) -> Ghosts:
        recent = self.ledger.missing(queue, MOST_GHOSTS)
        why = dict.fromkeys(message.reason for message in recent if message.reason)
        return {
            "count": self.ledger.missing_count(queue),
            "recent": [_chip(message) for message in recent],
            "why": "; ".join(why),
        }

    def _worker(self, name: str, counts: WorkerCounts, seconds: float, *, most_slots: int, running: bool) -> WorkerCard:
        worker = self._actors.workers.get(name) or Fetching()
        auto_ack = self.ledger.auto_ack(name)
        slots = self.ledger.slots(name, most_slots)
        busy_with = None if worker.has_ended else self.ledger.busy_with(name)
        limit = 0 if auto_ack else worker.prefetch_count
        return {
            "name": name,
            "queue": worker.queue,
            "program": worker.program,
            "state": worker.state_at_work(busy_with is not None, counts.in_hand),
            "ack": "auto" if auto_ack else "manual",
            "prefetch_count": limit,
            "done": counts.done,
            "slots": [{**_chip(each.message), "phase": _phase(each)} for each in slots],
            "more": counts.in_hand - len(slots),
            "free": worker.free(limit, counts.in_hand),
            "busy_with": self._work(busy_with, worker, seconds, running) if busy_with else None,
            "console": [],
            "dropped": worker.dropped if worker.has_ended else "",
        }

    def _work(self, delivery: Delivery, worker: SeenWorker, seconds: float, running: bool) -> Work:
        chip = _chip(delivery.message)
        began = delivery.started_seconds
        # Dots that the log's short text does not hold are not known.
        dots = 0 if is_shortened(delivery.message.task) else chip["dots"]
        return {
            "key": chip["key"],
            "task": chip["task"],
            "dots": chip["dots"],
            "elapsed_seconds": round(max(0.0, seconds - began - worker.hung_seconds(began, seconds)), 3),
            "work_seconds": round(dots * self._seconds_per_dot, 3),
            "running": running and not worker.is_frozen,
            "settled": delivery.settled,
        }

    def _ends_shown(self) -> dict[str, EndList]:
        if self._ends is None:
            self._ends = self._new_ends()
        return self._ends

    def _new_ends(self) -> dict[str, EndList]:
        places = self.ledger.places()
        return {
            place: {
                "count": places[place],
                "recent": [
                    _chip(message)
                    for message in self.ledger.recent(place)[: MOST_LOST if place == "lost" else MOST_ENDED]
                ],
            }
            for place in ENDS
        }


def _first(queues: list[str], resting: set[str]) -> list[str]:
    """Return as many as are shown, in their order: those at rest make room for the others."""
    shown = set(sorted(queues, key=lambda name: name in resting)[:MOST_QUEUES])
    return [name for name in queues if name in shown]


def _chip(message: Message) -> Chip:
    return {
        "key": message.number,
        "task": message.task,
        "dots": message.task.count("."),
        "persistent": message.persistent,
        "redelivered": message.redelivered,
        "deliveries": message.deliveries,
        "worked": message.worked,
        "back_from": message.worker if message.place == "waiting" else "",
    }


def _phase(delivery: Delivery) -> Phase:
    if delivery.over:
        return "finished"
    return "working" if delivery.started else "dispatched"


def _cluster_card(seen: ClusterSeen | None) -> ClusterCard | None:
    if seen is None or not seen.nodes:
        return None
    nodes = [
        {
            "name": node.name,
            "state": node.state,
            "copies": [{"queue": each.queue, "role": each.role} for each in node.copies[:MOST_COPIES]],
        }
        for node in seen.nodes[:MOST_NODES]
    ]
    return cast("ClusterCard", {"nodes": nodes, "deed": seen.deed, "confirmed": seen.confirmed})


def _summary(moment: Moment) -> str:
    """Say the moment in a sentence or two, for who hears it."""
    parts = []
    if moment["broker_state"] != "up":
        parts.append(f"RabbitMQ is {moment['broker_state']}.")
    for queue in moment["queues"]:
        ready, unacknowledged = queue["ready"]["log"], queue["unacknowledged"]["log"]
        parts.append(f"Queue {queue['name']}: {ready} ready, {unacknowledged} unacknowledged.")
    if cluster := moment["cluster"]:
        nodes = ", ".join(f"{node['name']} is {node['state']}" for node in cluster["nodes"])
        parts.append(f"Nodes: {nodes}.")
    states = Counter(worker["state"] for worker in moment["workers"] if worker["queue"])
    if states:
        workers = ", ".join(f"{count} {state}" for state, count in states.items())
        parts.append(f"Workers: {workers}.")
    ends = {place: end["count"] for place, end in moment["ends"].items() if end["count"]}
    if ends:
        parts.append(f"Tasks: {', '.join(f'{count} {place}' for place, count in ends.items())}.")
    return " ".join(parts) or "Nothing has happened yet."
