"""`Ledger`: where every message is now, counted from the log alone."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, get_args

from workq_helpers.log.details import BrokerChange, ConsumeOptions, FetchOptions, Handback, PublishOptions, QueueOptions
from workq_helpers.log.events import EventLog, Row

__all__ = ["ENDS", "PLACES", "Delivery", "Ledger", "LogCounts", "Message", "Place", "WorkerCounts"]

#: Where a message can be: in its queue, with a worker, at one of five ends, or where nobody can tell.
Place = Literal["waiting", "in hand", "done", "lost", "returned", "refused", "discarded", "unknown"]
PLACES: tuple[Place, ...] = get_args(Place)

#: Those where nothing more happens to it, as a rule: an ack may come too late, and then it is delivered again; what is
#: unknown is known as soon as it is seen again.
ENDS: tuple[Place, ...] = PLACES[2:]

#: A queue that keeps over a restart what is persistent; a durable quorum queue keeps all.
_KEEPS_SOME = QueueOptions(durable=True, type="classic")

#: Where a message may be that is delivered, though another of its id was seen later.
_MAY_BE_IN_A_QUEUE = ("waiting", "unknown")

#: How many of the messages that came to an end last are remembered for each end.
KEPT_ENDS = 24


class LogCounts(NamedTuple):
    """A queue's messages as the log sees them.

    Attributes:
        ready: Published or requeued, and not delivered since.
        unacknowledged: Delivered to a worker that acknowledges, and not settled.
    """

    ready: int
    unacknowledged: int


class WorkerCounts(NamedTuple):
    """A worker's deliveries as the log sees them.

    Attributes:
        delivered: All that it ever got, redeliveries included.
        in_hand: Those not settled: acks the broker still waits for, or auto-ack work that is not finished.
        unfinished: Those whose callback has not returned, settled or not.
        done: Those it acknowledged, or with auto-ack finished.
    """

    delivered: int
    in_hand: int
    unfinished: int
    done: int


class Message:
    """One message and where it is.

    Attributes:
        mark: Its id, or ``None`` where a program outside gave it none.
        task: Its body as text, shortened.
        queue: The queue it was last seen in.
        place: One of `PLACES`.
        reason: Why it came to that end, where the log says so.
        worker: The worker that has or had it last, ``""`` before its first delivery.
        delivery_tag: That delivery's tag, or ``None``.
        started: Whether the callback has begun with that delivery.
        deliveries: How often it was delivered.
        number: Its place in the order in which the log first mentions messages, from 0.
        persistent: Whether it asked to be kept on disk, or ``None`` where its publishing was not seen.
        redelivered: Whether the broker marked its last delivery as not the first.
        worked: How often a callback began with it.
    """

    __slots__ = (
        "_delivery",
        "deliveries",
        "delivery_tag",
        "mark",
        "number",
        "persistent",
        "place",
        "queue",
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
        self.persistent: bool | None = None
        self.redelivered = False
        self.worked = 0
        self._delivery: Delivery | None = None

    def __repr__(self) -> str:
        where = f" at {self.worker}" if self.place == "in hand" else ""
        return f"<Message {self.task!r} {self.place}{where}>"


class _Queue:
    """A queue's messages; dicts stand for ordered sets, from which any member is removed at once."""

    __slots__ = ("absent", "again", "fresh", "oldest_last", "options", "unacknowledged")

    def __init__(self) -> None:
        self.fresh: dict[Message, None] = {}
        self.again: dict[Message, None] = {}  # put back: RabbitMQ gives them their old places at the head
        self.oldest_last: list[Message] | None = []  # those, and some that have left since; none after an addition
        self.unacknowledged = 0
        self.options: QueueOptions | None = None
        self.absent = False

    @property
    def ready(self) -> int:
        return len(self.fresh) + len(self.again)

    @property
    def transient(self) -> bool:
        return self.options is not None and not self.options.durable

    def remove(self, message: Message) -> None:
        if message in self.fresh:
            del self.fresh[message]
        else:
            del self.again[message]

    def put_back(self, message: Message) -> None:
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


class _Worker:
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

    def __init__(self, message: Message, queue: _Queue, worker: _Worker) -> None:
        self.message = message
        self.queue = queue
        self.worker = worker
        self.auto_ack = worker.auto_ack
        self.started = False
        self.started_seconds = 0.0
        self.settled = False
        self.over = False


class _Outage:
    """The broker's absence that is under way, if one is.

    Attributes:
        going: Whether it is asked to go and nobody whom it cut off is back yet.
        before: How many messages were published before it went; those after are the next broker's.
        cut_off: Who lost the connection by it.
        declared: The queues that were declared since, and so are there.
    """

    __slots__ = ("before", "cut_off", "declared", "going")

    def __init__(self, going: bool = False, before: int = 0) -> None:
        self.going = going
        self.before = before
        self.cut_off: set[str] = set()
        self.declared: set[_Queue] = set()


class Ledger:
    """An incremental fold over a log's rows: feed it new rows, ask it where the messages are.

    It trusts the order of recording. A message is known by its id, and a delivery by its worker, tag and
    message, so a report that comes late (a kill's `requeued` after the redelivery to somebody else) changes
    nothing that has moved on. Use one from one thread at a time.
    """

    def __init__(self) -> None:
        self._read = 0
        self._all: list[Message] = []
        self._by_id: dict[str, Message] = {}
        self._twins: dict[str, deque[Message]] = {}
        self._nameless: defaultdict[tuple[str, str], deque[Message]] = defaultdict(deque)
        self._deliveries: dict[tuple[str, int | None, str | None], Delivery] = {}
        self._last_delivery: Delivery
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        self._workers: defaultdict[str, _Worker] = defaultdict(_Worker)
        self._outage = _Outage()
        self._ended: dict[Place, int] = dict.fromkeys(ENDS, 0)
        self._recent: dict[Place, deque[Message]] = {place: deque(maxlen=KEPT_ENDS) for place in ENDS}
        self._handlers: dict[str, Callable[[Row], None]] = {
            "published": self._published,
            "returned": self._went_back,
            "refused": self._went_back,
            "delivered": self._delivered,
            "started": self._started,
            "finished": self._finished,
            "failed": self._failed,
            "acked": self._acked,
            "nacked": self._nacked,
            "rejected": self._nacked,
            "requeued": self._requeued,
            "lost": self._lost,
            "unknown": self._unknown,
            "ack dropped": self._ack_dropped,
            "starting": self._connected,
            "connected": self._connected,
            "disconnected": self._disconnected,
            "declared": self._declared,
            "purged": self._emptied,
            "deleted": self._emptied,
            "broker": self._broker,
        }

    # -- feeding

    def update(self, rows: Iterable[Row]) -> None:
        """Take in the rows that follow those taken in before."""
        handlers = self._handlers
        read = 0
        for row in rows:
            read += 1
            handler = handlers.get(row[1])
            if handler is not None:
                handler(row)
        self._read += read

    def catch_up(self, log: EventLog) -> None:
        """Take in what `log` recorded since the last call."""
        self.update(log.rows(self._read))

    # -- asking

    def pending(self, queue: str) -> int:
        """Return how many messages wait in `queue`: published or requeued, and not delivered since."""
        known = self._queues.get(queue)
        return known.ready if known else 0

    def in_hand(self, worker: str) -> int:
        """Return how many deliveries `worker` has not settled."""
        known = self._workers.get(worker)
        return len(known.slots) if known else 0

    def unfinished(self, worker: str) -> int:
        """Return for how many deliveries `worker`'s callback has not returned yet, or not begun."""
        known = self._workers.get(worker)
        return known.unfinished if known else 0

    def queues(self) -> dict[str, LogCounts]:
        """Return the counts of every queue the log mentions."""
        return {name: LogCounts(queue.ready, queue.unacknowledged) for name, queue in self._queues.items()}

    def workers(self) -> dict[str, WorkerCounts]:
        """Return the counts of every worker the log mentions."""
        return {
            name: WorkerCounts(worker.delivered, len(worker.slots), worker.unfinished, worker.done)
            for name, worker in self._workers.items()
        }

    def places(self) -> dict[Place, int]:
        """Return how many messages are in each of `PLACES`."""
        waiting = sum(queue.ready for queue in self._queues.values())
        in_hand = len(self._all) - waiting - sum(self._ended.values())
        return {"waiting": waiting, "in hand": in_hand, **self._ended}

    def waiting(self, queue: str, most: int) -> list[Message]:
        """Return the first messages that wait in `queue`, `most` at most, the next to be delivered first."""
        known = self._queues.get(queue)
        return known.head(most) if known else []

    def slots(self, worker: str, most: int) -> list[Delivery]:
        """Return the deliveries that `worker` has not settled, in their order, `most` at most."""
        known = self._workers.get(worker)
        return list(itertools.islice(known.slots, most)) if known else []

    def busy_with(self, worker: str) -> Delivery | None:
        """Return the delivery in `worker`'s callback, settled or not, or ``None``."""
        known = self._workers.get(worker)
        return known.busy_with if known else None

    def auto_ack(self, worker: str) -> bool:
        """Whether a delivery to `worker` counts as acknowledged when it is sent."""
        known = self._workers.get(worker)
        return known is not None and known.auto_ack

    def recent(self, place: Place) -> list[Message]:
        """Return the last messages that came to the end `place` and are still there, newest first."""
        unique = dict.fromkeys(reversed(self._recent[place]))
        return [message for message in unique if message.place == place]

    def declared(self, queue: str) -> QueueOptions | None:
        """Return how `queue` was declared last, or ``None``."""
        known = self._queues.get(queue)
        return known.options if known else None

    def declarations(self) -> dict[str, QueueOptions]:
        """Return for each queue that is there how it was declared."""
        return {name: queue.options for name, queue in self._queues.items() if queue.options and not queue.absent}

    def absent(self, queue: str) -> bool:
        """Whether `queue` was deleted, or went with its broker."""
        known = self._queues.get(queue)
        return known is not None and known.absent

    def message(self, mark: str) -> Message | None:
        """Return the message of that id (the newest, should several share it), or ``None``."""
        return self._by_id.get(mark)

    @property
    def last_new(self) -> Message:
        """The message that the log mentioned last for the first time."""
        return self._all[-1]

    @property
    def last_delivered(self) -> Message:
        """The message delivered last."""
        return self._last_delivery.message

    def __iter__(self) -> Iterator[Message]:
        """Iterate over all messages in the order in which the log first mentions them."""
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    # -- publishing

    def _published(self, row: Row) -> None:
        message = self._new(row[4], row[5], row[3])
        message.persistent = isinstance(row[8], PublishOptions) and row[8].persistent
        queue = self._queues[row[3]]
        queue.fresh[message] = None
        if queue.absent:
            self._end(message, "lost")

    def _new(self, mark: str | None, task: str, queue: str) -> Message:
        message = Message(len(self._all), mark, task, queue)
        self._all.append(message)
        if mark is None:
            self._nameless[queue, task].append(message)
            return message
        older = self._by_id.get(mark)
        if older is not None and older.place in _MAY_BE_IN_A_QUEUE:
            self._twins.setdefault(mark, deque()).append(older)
        self._by_id[mark] = message
        return message

    def _went_back(self, row: Row) -> None:
        message = self._by_id.get(row[4] or "")
        if message is not None and message.place == "waiting":
            self._end(message, "returned" if row[1] == "returned" else "refused", str(row[8]))

    # -- delivering

    def _delivered(self, row: Row) -> None:
        _, _, actor, queue_name, mark, _, tag, redelivered, detail = row
        queue = self._queues[queue_name]
        worker = self._workers[actor]
        queue.absent = False
        key = (actor, tag, mark)
        if key in self._deliveries:
            self._requeued(row)
        message = self._by_id.get(mark) if mark is not None else None
        if message is None or message.place != "waiting":
            message = self._find(message, row)
        if message.place == "waiting":
            self._queues[message.queue].remove(message)
        elif message.place != "in hand":
            self._ended[message.place] -= 1
        elif message._delivery is not None:
            self._settle(message._delivery)
        delivery = Delivery(message, queue, worker)
        message.queue = queue_name
        message.place = "in hand"
        message.reason = ""
        message.worker = actor
        message.delivery_tag = tag
        message.started = False
        message.redelivered = redelivered
        message.deliveries += 1
        message._delivery = delivery
        self._deliveries[key] = self._last_delivery = delivery
        worker.delivered += 1
        worker.slots[delivery] = None
        worker.unfinished += 1
        fetched = isinstance(detail, FetchOptions) and detail.auto_ack  # nobody else has it, and no callback follows
        delivery.auto_ack = delivery.auto_ack or fetched or (isinstance(detail, ConsumeOptions) and detail.auto_ack)
        if not delivery.auto_ack:
            queue.unacknowledged += 1
        if fetched:
            self._complete(delivery)
            self._forget_settled(row, delivery)

    def _find(self, known: Message | None, row: Row) -> Message:
        """Find the message of a delivery that is not simply the waiting one of its id."""
        _, _, _, queue, mark, task, _, redelivered, _ = row
        if known is not None and (known.place == "unknown" or redelivered):
            return known
        others = self._nameless[queue, task] if mark is None else self._twins.get(mark, deque())
        while others:
            message = others.popleft()
            if message.place in _MAY_BE_IN_A_QUEUE:
                return message
        # What was given up when a restart was asked for may still be delivered before the broker goes.
        if known is not None and known.place == "lost" and self._outage.going:
            return known
        message = self._new(mark, task, queue)
        self._queues[queue].fresh[message] = None
        return message

    def _delivery_of(self, row: Row) -> Delivery | None:
        # The id keeps a callback that outlives its connection from speaking for the new one's same tag.
        return self._deliveries.get((row[2], row[6], row[4]))

    def _started(self, row: Row) -> None:
        delivery = self._delivery_of(row)
        if delivery is not None:
            delivery.started = True
            delivery.started_seconds = row[0]
            delivery.worker.busy_with = delivery
            delivery.message.worked += 1
            if delivery.message._delivery is delivery:
                delivery.message.started = True

    def _finished(self, row: Row) -> None:
        delivery = self._delivery_of(row)
        if delivery is not None:
            self._over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._complete(delivery)
            self._forget_settled(row, delivery)

    def _failed(self, row: Row) -> None:
        delivery = self._delivery_of(row)
        if delivery is not None:
            self._over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._settle(delivery)
                self._arrive(delivery.message, "lost")
            self._forget_settled(row, delivery)

    # -- settling

    def _acked(self, row: Row) -> None:
        delivery = self._delivery_of(row)
        if delivery is not None and not delivery.settled:
            self._complete(delivery)
            self._forget_settled(row, delivery)

    def _nacked(self, row: Row) -> None:
        delivery = self._delivery_of(row)
        if delivery is not None and not delivery.settled:
            self._settle(delivery)
            if row[8] is Handback.DISCARD:
                self._arrive(delivery.message, "discarded")
            else:
                self._wait_again(delivery.message)
            self._forget_settled(row, delivery)

    def _requeued(self, row: Row) -> None:
        delivery = self._deliveries.pop((row[2], row[6], row[4]), None)
        if delivery is not None:
            self._over(delivery)
            if not delivery.settled:
                self._settle(delivery)
                self._wait_again(delivery.message)

    def _lost(self, row: Row) -> None:
        delivery = self._deliveries.pop((row[2], row[6], row[4]), None)
        if delivery is not None:
            self._over(delivery)
            if not delivery.settled:
                self._settle(delivery)
                self._arrive(delivery.message, "lost", str(row[8]))

    def _unknown(self, row: Row) -> None:
        delivery = self._deliveries.pop((row[2], row[6], row[4]), None)
        if delivery is not None:
            self._over(delivery)
            if not delivery.settled:
                self._settle(delivery)
                self._arrive(delivery.message, "unknown", str(row[8]))
        elif row[6] is None and (message := self._by_id.get(row[4] or "")) is not None and message.place == "waiting":
            self._end(message, "unknown", str(row[8]))

    def _ack_dropped(self, row: Row) -> None:
        """Take back what was settled on a channel that the broker had closed by then."""
        message = self._by_id.get(row[4] or "")
        if message is None or message.place not in ("done", "discarded") or message.deliveries == 0:
            return
        if (message.worker, message.delivery_tag) == (row[2], row[6]):
            self._ended[message.place] -= 1
            if message.place == "done":
                self._workers[row[2]].done -= 1
            self._wait_again(message)

    def _complete(self, delivery: Delivery) -> None:
        self._settle(delivery)
        self._arrive(delivery.message, "done")
        delivery.worker.done += 1

    def _settle(self, delivery: Delivery) -> None:
        delivery.settled = True
        delivery.worker.slots.pop(delivery, None)
        if not delivery.auto_ack:
            delivery.queue.unacknowledged -= 1

    def _over(self, delivery: Delivery) -> None:
        if not delivery.over:
            delivery.over = True
            delivery.worker.unfinished -= 1
            if delivery.worker.busy_with is delivery:
                delivery.worker.busy_with = None

    def _forget_settled(self, row: Row, delivery: Delivery) -> None:
        if delivery.settled and not delivery.started:
            self._over(delivery)  # settled without a callback, as the notebook itself does after basic_get
        if delivery.settled and delivery.over:
            del self._deliveries[row[2], row[6], row[4]]

    def _wait_again(self, message: Message) -> None:
        queue = self._queues[message.queue]
        message.place = "waiting"
        message.started = False
        queue.put_back(message)
        if message.mark is None:
            self._nameless[message.queue, message.task].append(message)
        elif self._by_id[message.mark] is not message:
            self._twins.setdefault(message.mark, deque()).append(message)
        if queue.absent:
            self._end(message, "lost")

    def _end(self, message: Message, place: Place, reason: str = "") -> None:
        """End a waiting message."""
        self._queues[message.queue].remove(message)
        self._arrive(message, place, reason)

    def _arrive(self, message: Message, place: Place, reason: str = "") -> None:
        message.place = place
        message.reason = reason
        self._ended[place] += 1
        self._recent[place].append(message)

    # -- workers, queues and the broker

    def _connected(self, row: Row) -> None:
        if isinstance(row[8], ConsumeOptions):  # publishers connect too
            self._workers[row[2]].auto_ack = row[8].auto_ack
        if row[1] == "connected" and row[2] in self._outage.cut_off:
            self._outage.going = False

    def _disconnected(self, row: Row) -> None:
        if self._outage.going:
            self._outage.cut_off.add(row[2])
            self._outage.before = len(self._all)

    def _declared(self, row: Row) -> None:
        queue = self._queues[row[3]]
        queue.options = row[8] if isinstance(row[8], QueueOptions) else None
        queue.absent = False
        self._outage.declared.add(queue)

    def _emptied(self, row: Row) -> None:
        queue = self._queues[row[3]]
        queue.absent = row[1] == "deleted"
        self._end_all(queue, "discarded")

    def _broker(self, row: Row) -> None:
        """Forget, as the broker does, the queues and the messages that do not outlive it."""
        change = row[8]
        if isinstance(change, BrokerChange) and change.is_outage:
            self._outage = _Outage(going=True, before=len(self._all))
            for queue in self._queues.values():
                if queue.transient:
                    queue.absent = True
                    self._end_all(queue, "lost")
        elif change is BrokerChange.UP:
            for queue in self._queues.values():
                if queue.options == _KEEPS_SOME or (queue.transient and queue not in self._outage.declared):
                    self._forget_what_was_not_kept(queue)
            self._outage = _Outage()

    def _forget_what_was_not_kept(self, queue: _Queue) -> None:
        """Forget what `queue` had in memory alone when the broker went, what workers held of it included."""
        held = [slot for worker in self._workers.values() for slot in worker.slots]
        for delivery in held:
            if delivery.queue is queue and not delivery.auto_ack and self._was_not_kept(delivery.message, queue):
                self._settle(delivery)
                self._arrive(delivery.message, "lost")
        for message in [*queue.again, *queue.fresh]:
            if self._was_not_kept(message, queue):
                self._end(message, "lost")
        queue.absent = queue.absent or queue.transient

    def _was_not_kept(self, message: Message, queue: _Queue) -> bool:
        return queue.transient or (message.persistent is False and message.number < self._outage.before)

    def _end_all(self, queue: _Queue, place: Place) -> None:
        for message in [*queue.again, *queue.fresh]:
            self._end(message, place)
