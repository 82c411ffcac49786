"""`Message`: one copy of a message and where it is; and what the ledger knows of queues, workers and deliveries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from workq_helpers.log.details import PublishOptions, QueueOptions
from workq_helpers.log.events import Row

__all__ = [
    "ENDS",
    "PLACES",
    "Death",
    "Delivery",
    "Holder",
    "Message",
    "Place",
    "Queue",
    "Settled",
    "Worker",
    "goes_in_a_circle",
]

#: Where a message can be: in its queue, with a worker, at one of six ends, or where nobody can tell.
Place = Literal["waiting", "in hand", "done", "lost", "returned", "refused", "discarded", "dead-lettered", "unknown"]
PLACES: tuple[Place, ...] = get_args(Place)

#: Those where nothing more happens to it, as a rule: an ack may come too late, and then it is delivered again; what is
#: unknown is known as soon as it is seen again.
ENDS: tuple[Place, ...] = PLACES[2:]


class Settled(NamedTuple):
    """How a delivery was settled: where its message went by that, and whose it was."""

    place: Place
    reason: str
    worker: str
    delivery_tag: int | None


class Death(NamedTuple):
    """That a queue handed a message on as a dead letter: which queue, and whether a client had rejected it."""

    queue: str
    rejected: bool


def goes_in_a_circle(deaths: Sequence[Death], queue: str) -> bool:
    """Whether a dead letter was in a queue before, and no client has rejected it since: RabbitMQ ends it then."""
    since = list(itertools.takewhile(lambda death: death.queue != queue, deaths))
    there = deaths[len(since) : len(since) + 1]
    return bool(there) and not any(death.rejected for death in (*since, *there))


class Message:
    """One copy of a message and where it is.

    Attributes:
        mark: The log's name for the message, or ``None`` where it has none; all copies of a message share it.
        task: Its body as text, shortened.
        queue: The queue it was last seen in; ``""`` where an exchange took it and no queue is known that got it.
        place: One of `PLACES`.
        reason: Why it came to that end, where the log says so.
        worker: The worker that has or had it last, ``""`` before its first delivery.
        delivery_tag: That delivery's tag, or ``None``.
        started: Whether the callback has begun with that delivery.
        deliveries: How often it was delivered.
        nacks: How often it was handed back with ``basic_nack``.
        number: Its place in the order in which the log first mentions messages, from 0.
        publisher: Who published it, ``""`` where that was not seen.
        options: How it was published, or ``None`` where that was not seen.
        published_seconds: When, in the log's seconds.
        queued_seconds: When it came into its queue.
        confirmed: Whether the broker confirmed it.
        arrived: How many messages there were when it was known to be in its queue; infinite before that.
        redelivered: Whether the broker marked its last delivery as not the first.
        worked: How often a callback began with it.
        deaths: How it came here as a dead letter, the last one first; empty where it was published here.
    """

    __slots__ = (
        "_delivery",
        "_settled_before",
        "_siblings",
        "arrived",
        "confirmed",
        "deaths",
        "deliveries",
        "delivery_tag",
        "mark",
        "nacks",
        "number",
        "options",
        "place",
        "published_seconds",
        "publisher",
        "queue",
        "queued_seconds",
        "reason",
        "redelivered",
        "started",
        "task",
        "worked",
        "worker",
    )

    def __init__(self, number: int, mark: str | None, task: str, queue: str) -> None:
        self.number = number
        self.mark = mark
        self.task = task
        self.queue = queue
        self.place: Place = "waiting"
        self.reason = ""
        self.worker = ""
        self.delivery_tag: int | None = None
        self.started = False
        self.deliveries = 0
        self.nacks = 0
        self.publisher = ""
        self.options: PublishOptions | None = None
        self.published_seconds: float | None = None
        self.queued_seconds: float | None = None
        self.confirmed = False
        self.arrived = math.inf
        self.redelivered = False
        self.worked = 0
        self.deaths: tuple[Death, ...] = ()
        self._delivery: Delivery | None = None
        self._settled_before: Settled | None = None  # told before its last delivery, and not taken back
        self._siblings: list[Message] | None = None  # further copies of one publishing, with the first of them

    @property
    def persistent(self) -> bool | None:
        """Whether it asked to be kept on disk, or ``None`` where its publishing was not seen."""
        return None if self.options is None else self.options.persistent

    @property
    def adrift(self) -> bool:
        """Whether an exchange took it, and no queue is known that got it."""
        return self.place == "unknown" and self.queue == ""

    def was_last_delivered(self, row: Row) -> bool:
        """Whether an event is about its last delivery."""
        return (self.worker, self.delivery_tag, self.queue) == (row[2], row[6], row[3])

    def __repr__(self) -> str:
        where = f" at {self.worker}" if self.place == "in hand" else ""
        return f"<Message {self.task!r} {self.place}{where}>"


class Queue:
    """A queue's messages; dicts stand for ordered sets, from which any member is removed at once."""

    __slots__ = (
        "absent",
        "again",
        "answered",
        "asked",
        "auto_acked",
        "doubted",
        "fetched",
        "fresh",
        "gone_for_good",
        "held_elsewhere",
        "lent",
        "letters",
        "missing",
        "oldest_last",
        "options",
        "others",
        "published",
        "unacknowledged",
        "unseen",
    )

    def __init__(self) -> None:
        self.missing: dict[Message, None] = {}  # whose fate is unknown, seen here last
        self.doubted: dict[Message, None] = {}  # those of them that were settled, and the counts have not told of
        self.gone_for_good: set[Message] = set()  # those of them that it dropped, or that were settled by the counts
        self.lent: dict[Message, None] = {}  # those of them that are there for sure, ready again or with others
        self.others = 0  # that were there when the broker counted last, and are none of those that wait or are lent
        self.unseen = 0  # that the broker counts as ready and nobody here has seen
        self.published = 0  # that may have been published to it, as far as was seen or counted
        self.letters = 0  # that other queues handed on to it, as far as is known
        self.held_elsewhere = 0  # that the broker counts as unacknowledged and nobody here has
        self.fetched: dict[Delivery, None] = {}  # with basic.get, and not settled
        self.answered: dict[Message, float] = {}  # those acknowledged since it was last seen to be there, and when
        self.fresh: dict[Message, None] = {}
        self.again: dict[Message, None] = {}  # put back: RabbitMQ gives them their old places at the head
        self.oldest_last: list[Message] | None = []  # those, and some that have left since; none after an addition
        self.unacknowledged = 0
        self.options: QueueOptions | None = None  # as it was declared, or as the broker told since
        self.asked: QueueOptions | None = None  # how a client declared it last
        self.absent = False
        self.auto_acked = False  # whether it sent messages that were settled by that, read or not

    @property
    def ready(self) -> int:
        """How many messages wait."""
        return len(self.fresh) + len(self.again)

    @property
    def accounted(self) -> int:
        """How many messages are there by what is known, ready or with others; what is in hand here does not count."""
        return self.ready + len(self.lent) + self.others

    @property
    def transient(self) -> bool:
        """Whether it was declared, and not durable."""
        return self.options is not None and not self.options.durable

    @property
    def keeps_some(self) -> bool:
        """Whether it keeps over a restart what is persistent; a durable quorum queue keeps all."""
        return self.options is not None and self.options.durable and self.options.type == "classic"

    @property
    def keeps_what_was_read(self) -> bool:
        """Whether it gives the same message to each who reads it, as a stream does."""
        return self.options is not None and self.options.type == "stream"

    def one_is_known(self) -> None:
        """Take note that a message is one of those that are there, and that nobody here had seen."""
        self.unseen, self.others = max(0, self.unseen - 1), max(0, self.others - 1)

    def remove(self, message: Message) -> None:
        """Take out a message that waits."""
        if message in self.fresh:
            del self.fresh[message]
        else:
            del self.again[message]

    def put_back(self, message: Message) -> None:
        """Take in a message that was out."""
        self.again[message] = None
        self.oldest_last = None

    def head(self, most: int) -> list[Message]:
        """Return its first messages; a look costs little as long as none is put back."""
        if self.oldest_last is None:
            self.oldest_last = sorted(self.again, key=lambda message: message.number, reverse=True)
        while self.oldest_last and self.oldest_last[-1] not in self.again:
            self.oldest_last.pop()
        again = (message for message in reversed(self.oldest_last) if message in self.again)
        return list(itertools.islice(itertools.chain(again, self.fresh), most))


class Worker:
    """A worker's deliveries."""

    __slots__ = ("auto_ack", "busy_with", "delivered", "done", "slots", "unfinished")

    def __init__(self) -> None:
        self.auto_ack = False
        self.delivered = 0
        self.slots: dict[Delivery, None] = {}
        self.busy_with: Delivery | None = None
        self.unfinished = 0
        self.done = 0


class Delivery:
    """A delivery to a worker; for the ledger and what is made from it.

    Attributes:
        message: What was delivered.
        auto_ack: Whether sending it settled it for the broker.
        started: Whether the callback has begun with it.
        started_seconds: When, in the log's seconds.
        settled: Whether it was acknowledged, put back or given up.
        over: Whether the callback has returned, or never will.
    """

    __slots__ = ("auto_ack", "message", "over", "queue", "settled", "started", "started_seconds", "worker")

    def __init__(self, message: Message, queue: Queue, worker: Worker) -> None:
        self.message = message
        self.queue = queue
        self.worker = worker
        self.auto_ack = worker.auto_ack
        self.started = False
        self.started_seconds = 0.0
        self.settled = False
        self.over = False


class Holder(NamedTuple):
    """Who seems to have a message.

    Attributes:
        delivery: The delivery.
        client: To whom.
        delivery_tag: Its number.
    """

    delivery: Delivery
    client: str
    delivery_tag: int | None
