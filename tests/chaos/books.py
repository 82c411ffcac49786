"""`Books`: what a run knows by itself, and `audit`, which holds the log against that for every task.

Publishers note what they hand over, callbacks what they began with and acknowledged, and a plain pika client, of which
the log knows nothing, what it finds in every queue at the end. What the log says must fit; what nobody can know must be
`unknown` in it, and nothing else may: what was in flight on a connection that broke, by what pika itself sent.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pika

from tests.chaos.wire import Wire, in_flight
from workq_helpers.log.ledger import Ledger

__all__ = ["Books", "audit", "could_be_unknown", "most_unknown", "name_of", "told_by", "unknown"]

#: A task in a queue.
Task = tuple[str, str]


@dataclass
class Books:
    """What was done to each task, by those who did it; a task is known by its queue and its name.

    Attributes:
        sent: How often it was handed to the publisher.
        begun: How often a callback began with it.
        acked: How often a callback acknowledged it, or could have with an ack of several.
        begun_elsewhere: How often a program got it under auto-ack: what became of it then, nobody here can see.
        found: How often it was in its queue at the end.
        held: How many of a queue's messages RabbitMQ had sent to who read no more, and not taken back by then.
        in_flight: How often it was published, or answered, and nothing shows that this arrived before its channel
            was lost.
        told: In which places the log had it then, and how often.
    """

    sent: Counter[Task] = field(default_factory=Counter)
    begun: Counter[Task] = field(default_factory=Counter)
    acked: Counter[Task] = field(default_factory=Counter)
    begun_elsewhere: Counter[Task] = field(default_factory=Counter)
    found: Counter[Task] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[Task] = field(default_factory=Counter)
    told: dict[Task, Counter[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sending(self, queue: str, tasks: Iterable[str]) -> Iterator[str]:
        """Yield tasks, and note each."""
        for task in tasks:
            with self._lock:
                self.sent[queue, name_of(task)] += 1
            yield task

    def note(self, deed: Counter[Task], queue: str, bodies: Iterable[bytes]) -> None:
        """Note a callback's deed."""
        with self._lock:
            deed.update((queue, name_of(body.decode())) for body in bodies)

    def look(self, parameters: pika.ConnectionParameters, queues: Iterable[str]) -> None:
        """Find out what is in the queues, as a client that nobody observes, and leave it there."""
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            for queue in queues:
                while (body := channel.basic_get(queue)[2]) is not None:
                    self.found[queue, name_of(body.decode())] += 1

    def tell_in_flight(self, wires: list[Wire], *, crashed: bool, late_queues: Collection[str] = ()) -> None:
        """Note what was in flight on all channels; a crash of the broker takes what it had not written, too."""

        def arrived(sent: tuple[str, bytes]) -> bool:
            task = sent[0], name_of(sent[1].decode())
            return bool(self.begun[task] or self.found[task])

        for (queue, body), times in in_flight(wires, arrived, crashed, late_queues).items():
            self.in_flight[queue, name_of(body.decode())] += times


def name_of(task: str) -> str:
    """Return what tells a task from all others of its run: its text without its work and its padding."""
    return task.partition(".")[0].rstrip(" …")


def told_by(ledger: Ledger) -> dict[Task, Counter[str]]:
    """Return in which places the log has each task."""
    told: dict[Task, Counter[str]] = {}
    for message in ledger:
        told.setdefault((message.queue, name_of(message.task)), Counter())[message.place] += 1
    return told


def audit(books: Books, auto_ack: Mapping[str, bool]) -> Iterator[str]:
    """Yield what the log says that the books deny, a line each.

    Args:
        books: The books, with what the log told.
        auto_ack: For each queue whether what is sent to a worker is settled by that.
    """
    most = could_be_unknown(books, auto_ack)
    for task in {**books.told, **books.sent, **books.found}:
        queue, name = task
        places, found = books.told.get(task, Counter()), books.found[task]
        says = ", ".join(f"{count} {place}" for place, count in sorted(places.items())) or "nothing"
        least = places["waiting"] + places["in hand"]
        if not least <= found <= least + places["unknown"]:
            yield f"{queue}: {name!r} was found {found} times, and the log says {says}"
        if not books.sent[task]:
            yield f"{queue}: {name!r} was sent by nobody, and the log says {says}"
        seen_at_work = books.begun[task] - books.begun_elsewhere[task]
        worked = seen_at_work if auto_ack.get(queue) else books.acked[task]
        if places["done"] > worked:
            yield f"{queue}: {name!r} was done {worked} times, and the log says {says}"
        if places["unknown"] > most[task]:
            yield f"{queue}: {name!r} was in flight {most[task]} times when something broke, and the log says {says}"


def could_be_unknown(books: Books, auto_ack: Mapping[str, bool]) -> Counter[Task]:
    """Return how many copies of each task nobody can know of.

    They were in flight, were sent to who read no more, got to a program that need not say what it does with them, or
    are there and could be those that are gone, for all that anybody saw.
    """
    most = books.in_flight + books.begun_elsewhere
    gone: defaultdict[str, int] = defaultdict(int)
    there: defaultdict[tuple[str, str], list[Task]] = defaultdict(list)
    clients: defaultdict[str, set[str]] = defaultdict(set)
    for task, times in books.sent.items():
        queue, name = task
        worked, at_most = (books.begun, times) if auto_ack.get(queue) else (books.acked, books.held[queue])
        missing = max(0, times - worked[task] - books.found[task])
        gone[queue] += min(missing, at_most + books.in_flight[task])
        most[task] += min(missing, at_most)
        clients[queue].add(name.rpartition(" ")[0])
        if books.found[task]:
            there[queue, name.rpartition(" ")[0]].append(task)
    # A queue is left at its head, and at its tail what was in flight is not; each client's tasks are in their order.
    for (queue, _), tasks in there.items():
        if (number := gone[queue]) and (auto_ack.get(queue) or len(clients[queue]) > 1):
            for task in {*tasks[:number], *tasks[-number:]}:
                most[task] += books.found[task]
    return most


def unknown(books: Books) -> int:
    """Return how many copies the log calls unknown."""
    return sum(places["unknown"] for places in books.told.values())


def most_unknown(books: Books, auto_ack: Mapping[str, bool]) -> int:
    """Return how many copies it may."""
    return sum(could_be_unknown(books, auto_ack).values())
