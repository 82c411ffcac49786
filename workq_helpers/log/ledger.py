"""`Ledger`: where every copy of a message is now, told from the log alone.

A copy is a message in one queue: what an exchange sends to two queues are two. Copies are known by the message's mark
and the queue. What is known of a queue and nobody saw happen comes as an event too, when the broker's counts differ.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from workq_helpers.log.copies import (
    ENDS,
    PLACES,
    Death,
    Delivery,
    Message,
    Place,
    Queue,
    Settled,
    Worker,
    goes_in_a_circle,
)
from workq_helpers.log.details import (
    Binding,
    BrokerChange,
    CloseReason,
    ConsumeOptions,
    Counted,
    ExchangeOptions,
    FetchOptions,
    Handback,
    PublishOptions,
    QueueOptions,
    UnderWay,
)
from workq_helpers.log.events import EventLog, Row
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import (
    DIRECT_REPLY,
    ELSEWHERE,
    ELSEWHERE_BEFORE,
    HELD_UP,
    MIXED,
    REJECTED,
    REPLACED,
    TAKEN,
    UNREAD,
    Suspicion,
    dead_letters_go_to,
    dead_letters_were_lost,
    first_out,
    is_full,
    may_be_displaced,
    missing_queue,
    overdue,
    pick,
    refuses_new,
)

__all__ = ["BROKER", "ENDS", "PLACES", "Delivery", "Ledger", "LogCounts", "Message", "Place", "WorkerCounts"]

#: Where a message may be that is delivered, though another of its id was seen later.
_MAY_BE_IN_A_QUEUE = ("waiting", "unknown")

#: Where a delivery that was settled went.
_SETTLED = ("done", "discarded", "dead-lettered")

#: Where a message is, as far as was seen, that turns out to be dead-lettered.
_MAY_BE_DEAD = ("waiting", "unknown", "discarded")

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


class _Outage:
    """The broker's absence that is under way, if one is.

    Attributes:
        going: Whether it is asked to go and nobody whom it cut off is back yet.
        asked: How many messages were published before it was asked to go; it had those.
        before: How many were before it went, perhaps; those after are the next broker's.
        cut_off: Who lost the connection by it, and how many messages were published before they first did.
        back: Who of those connected again, to the next broker or to the one that had not gone yet.
        declared: The queues that were declared since, and so are there.
    """

    __slots__ = ("asked", "back", "before", "cut_off", "declared", "going")

    def __init__(self, going: bool = False, asked: int = 0) -> None:
        self.going = going
        self.asked = self.before = asked
        self.cut_off: dict[str, int] = {}
        self.back: set[str] = set()
        self.declared: set[Queue] = set()

    def had(self, message: Message) -> bool:
        """Whether a message was sent to the broker that went, for sure."""
        return message.number < max(self.asked, self.cut_off.get(message.publisher, 0))


class Ledger:
    """An incremental fold over a log's rows: feed it new rows, ask it where the messages are.

    It trusts the order of recording. A message is known by its id, and a delivery by its worker, tag and
    message, so a report that comes late (a kill's `requeued` after the redelivery to somebody else) changes
    nothing that has moved on. Use one from one thread at a time.
    """

    def __init__(self) -> None:
        #: How many rows it has taken in.
        self.events = 0
        self._all: list[Message] = []
        self._by_id: dict[str, Message] = {}
        self._twins: dict[str, deque[Message]] = {}
        self._nameless: defaultdict[tuple[str, str], deque[Message]] = defaultdict(deque)
        self._deliveries: dict[_Key, Delivery] = {}
        self._exchanges = Exchanges()
        self._held_up: dict[Message, None] = {}  # published during an alarm: the broker has not read them
        self._unread: dict[Message, tuple[Place, str]] = {}  # settled during an alarm, and how each would end
        self._sent_by: defaultdict[str, list[Message]] = defaultdict(list)  # by client, since its last goodbye
        self._adrift: list[Message] = []  # what exchanges took, when no queue was known that gets it
        self._letters: dict[Message, QueueOptions] = {}  # what queues handed on, when no queue was known that gets it
        self._brief = False  # whether a message was published that may not wait for ever
        self._newest: list[Message] = []
        self._suspicion = Suspicion()
        self._last_delivery: Delivery
        self._queues: defaultdict[str, Queue] = defaultdict(Queue)
        self._workers: defaultdict[str, Worker] = defaultdict(Worker)
        self._outage = _Outage()
        self._ended: dict[Place, int] = dict.fromkeys(ENDS, 0)
        self._recent: dict[Place, deque[Message]] = {place: deque(maxlen=KEPT_ENDS) for place in ENDS}
        self._handlers: dict[str, Callable[[Row], None]] = {
            "published": self._published,
            "confirmed": self._confirmed,
            "dead-lettered": self._dead_lettered,
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
            "blocked": self._was_blocked,
            "unblocked": self._was_unblocked,
            "stopped": self._said_goodbye,
            "hung up": self._left,
            "killed": self._left,
            "crashed": self._left,
            "under way": self._was_under_way,
            "declared": self._declared,
            "purged": self._emptied,
            "deleted": self._emptied,
            "exchange declared": self._exchange_declared,
            "exchange deleted": self._exchange_deleted,
            "bound": self._bound,
            "unbound": self._unbound,
            "counted": self._counted,
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
        self.events += read

    def catch_up(self, log: EventLog) -> None:
        """Take in what `log` recorded since the last call."""
        self.update(log.rows(self.events))

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
        return {
            name: LogCounts(queue.ready, queue.unacknowledged)
            for name, queue in self._queues.items()
            if name not in _NO_QUEUES or queue.ready or queue.unacknowledged
        }

    def unseen(self, queue: str) -> int:
        """Return how many messages wait in `queue` that nobody here has seen; the broker counts them."""
        known = self._queues.get(queue)
        return known.unseen if known else 0

    def held_elsewhere(self, queue: str) -> int:
        """Return how many messages of `queue` are unacknowledged with others; the broker counts them."""
        known = self._queues.get(queue)
        return known.held_elsewhere if known else 0

    def missing(self, queue: str, most: int) -> list[Message]:
        """Return the messages that were seen in `queue` last and are `unknown` now, `most` at most, newest first."""
        known = self._queues.get(queue)
        return list(itertools.islice(reversed(known.missing), most)) if known else []

    def missing_count(self, queue: str) -> int:
        """Return how many messages were seen in `queue` last and are `unknown` now."""
        known = self._queues.get(queue)
        return len(known.missing) if known else 0

    def in_doubt(self, queue: str) -> int:
        """Return how many messages of `queue` were settled, and neither client nor counts showed that this arrived."""
        known = self._queues.get(queue)
        return len(known.doubted) if known else 0

    def mixed_up(self, queue: str, ready: int, seconds: float) -> bool:
        """Whether messages wait in `queue` that RabbitMQ may have no more though it counts as many."""
        known = self._queues.get(queue)
        if known is None or not known.ready:
            return False
        return may_be_displaced(known.options, ready, known.unseen) or self._overdue(known, seconds) > 0

    def published_to(self, queue: str) -> int:
        """Return how many messages may have been published to `queue`, as far as was seen, or counted by the broker."""
        known = self._queues.get(queue)
        return len(self._adrift) + (known.published if known else 0)

    def routes(self) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return each exchange that is known, and each binding with the queue that it leads to."""
        return self._exchanges.known()

    def held_up(self) -> int:
        """Return how many messages were published that the broker has not read, for an alarm of memory or disk."""
        return len(self._held_up)

    def has_adrift(self) -> bool:
        """Whether an exchange took a message, or may have, and no queue is known that got it."""
        return bool(self._letters) or any(message.adrift for message in self._adrift)

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
        """Return the message of that mark (the first copy of the newest, should several share it), or ``None``."""
        return self._by_id.get(mark)

    @property
    def newest(self) -> list[Message]:
        """The copies of the message that was published last."""
        return self._newest

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
        options = row[8] if isinstance(row[8], PublishOptions) else None
        if options is not None and options.ttl_seconds is not None:
            self._brief = True
        if options is None or not (options.exchange or options.further_keys):
            message = self._enter(self._new(row[4], row[5], row[3]), row, options)
            self._newest = [message]
            if options is not None and row[3] in _NO_QUEUES and message.place == "waiting":
                self._end(message, "unknown", _NO_QUEUES[row[3]])
            self._hold_up(row[2])
            return
        named = dict.fromkeys((row[3], *options.further_keys))
        queues = self._routed(options) if options.exchange else [name for name in named if name]
        first = self._enter(self._new(row[4], row[5], queues[0] if queues else ""), row, options)
        self._newest = [first]
        for queue in queues[1:] if queues else ():
            self._newest.append(self._enter(self._copy_of(first, queue), row, options))
        if not queues:
            self._adrift.append(first)
            self._end(first, "unknown", _adrift_reason(options.exchange, queues))
        self._hold_up(row[2])

    def _routed(self, options: PublishOptions) -> list[str] | None:
        """Return the queues that a message goes to that was published so, or ``None`` where that can't be told."""
        return self._exchanges.route(options.exchange, options.routing_keys, options.headers)

    def _enter(self, message: Message, row: Row, options: PublishOptions | None) -> Message:
        """Put a message that was just published into its queue."""
        message.publisher, message.options = row[2], options
        message.published_seconds = message.queued_seconds = row[0]
        queue = self._queues[message.queue]
        queue.published += 1
        queue.fresh[message] = None
        self._sent_by[row[2]].append(message)
        if queue.absent:
            self._end(message, "lost", _came_too_late(message))
        return message

    def _new(self, mark: str | None, task: str, queue: str) -> Message:
        message = Message(len(self._all), mark, task, queue)
        self._all.append(message)
        if mark is None:
            self._nameless[queue, task].append(message)
            return message
        if mark in self._by_id:
            older = [copy for copy in self._copies(mark) if copy.place in _MAY_BE_IN_A_QUEUE]
            self._twins.setdefault(mark, deque()).extend(older)
        self._by_id[mark] = message
        return message

    def _copy_of(self, message: Message, queue: str) -> Message:
        """Make another copy of a message, which was in the same publishing."""
        copy = Message(len(self._all), message.mark, message.task, queue)
        self._all.append(copy)
        copy.publisher, copy.options = message.publisher, message.options
        copy.published_seconds, copy.confirmed = message.published_seconds, message.confirmed
        if message.mark is not None:
            first = self._by_id[message.mark]
            first._siblings = [*(first._siblings or ()), copy]
        return copy

    def _copies(self, mark: str | None) -> list[Message]:
        """Return all copies of the newest publishing under a mark."""
        first = self._by_id.get(mark or "")
        if first is None:
            return []
        return [first, *first._siblings] if first._siblings else [first]

    def _confirmed(self, row: Row) -> None:
        first = self._by_id.get(row[4] or "")
        if first is not None:
            first.confirmed = True
            first.arrived = len(self._all)
            for sibling in first._siblings or ():
                sibling.confirmed, sibling.arrived = True, first.arrived
            if self._held_up:
                self._let_in(self._copies(row[4]), row[0])

    def _went_back(self, row: Row) -> None:
        copies = self._copies(row[4])
        kind: Place = "returned" if row[1] == "returned" else "refused"
        reason = str(row[8])
        if kind == "refused" and len(copies) > 1 and not isinstance(row[8], CloseReason | str):
            kind = "unknown"
        for message in copies:
            if message.place == "waiting":
                self._end(message, kind, reason)
            elif message.adrift or message.reason == _came_too_late(message):
                self._leave_its_end(message)
                self._arrive(message, kind, reason)

    # -- delivering

    def _delivered(self, row: Row) -> None:
        _, _, actor, queue_name, mark, _, tag, redelivered, detail = row
        queue = self._queues[queue_name]
        worker = self._workers[actor]
        queue.absent = False
        key = _key(row)
        if key in self._deliveries:
            self._requeued(row)
        message = self._by_id.get(mark) if mark is not None else None
        if message is None or message.place != "waiting" or message.queue != queue_name:
            if (overtaken := self._overtaken(row)) is not None:
                self._came_late(key, Delivery(overtaken, queue, worker))
                return
            message = self._find(row)
        if message.place == "waiting":
            self._queues[message.queue].remove(message)
        elif message.place != "in hand":
            if message.place in ("unknown", "lost"):
                queue.unseen = max(0, queue.unseen - 1)
            elif message.place in _SETTLED and message.worker != actor:  # one client's events are in their order
                before = Settled(message.place, message.reason, message.worker, message.delivery_tag)
                message._settled_before = before
            self._leave_its_end(message)
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
        message.arrived = -1  # before all that was not delivered yet
        message._delivery = delivery
        self._deliveries[key] = self._last_delivery = delivery
        worker.delivered += 1
        worker.slots[delivery] = None
        worker.unfinished += 1
        if queue.answered:
            queue.answered.clear()  # it is there, and what came before has arrived
        fetched = isinstance(detail, FetchOptions)
        if isinstance(detail, (ConsumeOptions, FetchOptions)) and detail.auto_ack:
            delivery.auto_ack = True
        if delivery.auto_ack:
            queue.auto_acked = True
        else:
            queue.unacknowledged += 1
            if fetched:
                queue.fetched[delivery] = None
        if fetched and delivery.auto_ack:  # nobody else has it, and no callback follows
            self._complete(delivery)
            self._forget_settled(key, delivery)

    def _overtaken(self, row: Row) -> Message | None:
        """Return the message of a first delivery that is read after its redelivery to another, or ``None``."""
        _, _, _, queue, mark, _, _, redelivered, _ = row
        known = next((copy for copy in self._copies(mark) if copy.queue == queue), None)
        if known is None or redelivered or not known.redelivered or known.place in _MAY_BE_IN_A_QUEUE:
            return None
        twins = (each for each in self._twins.get(mark or "", ()) if each.queue == queue)
        return None if any(each.place in _MAY_BE_IN_A_QUEUE for each in twins) else known

    def _came_late(self, key: _Key, delivery: Delivery) -> None:
        """Take note of a delivery that was over for the broker when its worker read it."""
        delivery.settled = True
        delivery.message.deliveries += 1
        self._deliveries[key] = self._last_delivery = delivery
        delivery.worker.delivered += 1
        delivery.worker.unfinished += 1

    def _find(self, row: Row) -> Message:
        """Find the copy of a delivery that is not simply the waiting one of its mark."""
        _, _, _, queue, mark, task, _, redelivered, _ = row
        copies = self._copies(mark)
        known = next((copy for copy in reversed(copies) if copy.queue == queue), None)
        keeps = self._queues[queue].keeps_what_was_read
        if known is not None and (known.place in _MAY_BE_IN_A_QUEUE or redelivered or keeps):
            return known
        older = self._nameless[queue, task] if mark is None else self._twins.get(mark, deque())
        for message in [each for each in older if each.queue == queue]:
            older.remove(message)
            if message.place in _MAY_BE_IN_A_QUEUE:
                return message
        # What was given up for a restart may still be delivered before the broker goes, or was sent to the next one.
        if known is not None and known.place == "lost" and (self._outage.going or known.reason in _BY_A_RESTART):
            return known
        adrift = next((copy for copy in copies if copy.adrift), None)
        if adrift is not None:
            return adrift
        counted = self._queues[queue]
        if counted.unseen:
            counted.unseen -= 1
        else:
            counted.published += 1
        message = self._copy_of(copies[0], queue) if copies and known is None else self._new(mark, task, queue)
        counted.fresh[message] = None
        return message

    def _started(self, row: Row) -> None:
        delivery = self._deliveries.get(_key(row))
        if delivery is not None:
            delivery.started = True
            delivery.started_seconds = row[0]
            delivery.worker.busy_with = delivery
            delivery.message.worked += 1
            if delivery.message._delivery is delivery:
                delivery.message.started = True

    def _finished(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is not None:
            self._over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._complete(delivery)
            self._forget_settled(key, delivery)

    def _failed(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is not None:
            self._over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._settle(delivery)
                self._arrive(delivery.message, "lost")
            self._forget_settled(key, delivery)

    # -- settling

    def _acked(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is None:
            return
        if not delivery.settled:
            if delivery in delivery.queue.fetched:
                delivery.queue.answered[delivery.message] = row[0]
            self._complete(delivery)
        self._forget_settled(key, delivery)

    def _nacked(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is not None and not delivery.settled:
            self._settle(delivery)
            if row[8] is not Handback.DISCARD:
                delivery.message.nacks += row[1] == "nacked"
                self._goes_back(delivery.message)
            elif delivery.queue.options is not None and delivery.queue.options.dead_letter_exchange is not None:
                self._dead_letter(delivery.message, delivery.queue.options, REJECTED, row[0])
            else:
                self._arrive(delivery.message, "discarded")
            self._forget_settled(key, delivery)

    def _requeued(self, row: Row) -> None:
        delivery = self._deliveries.pop(_key(row), None)
        if delivery is not None:
            self._over(delivery)
            if not delivery.settled:
                self._settle(delivery)
                self._goes_back(delivery.message)

    def _goes_back(self, message: Message) -> None:
        """Have a message that was delivered wait again, unless that delivery was of no account."""
        if not self._was_settled_before(message):
            self._wait_again(message)

    def _was_settled_before(self, message: Message) -> bool:
        """Take a message for what it was before its last delivery, if an answer settled it that nothing has taken back.

        Either that answer came to nothing, which its client will hear, or the delivery was read after the one that was
        answered.
        """
        before, message._settled_before = message._settled_before, None
        if before is None:
            return False
        message.worker, message.delivery_tag = before.worker, before.delivery_tag
        self._arrive(message, before.place, before.reason)
        return True

    def _lost(self, row: Row) -> None:
        delivery = self._deliveries.pop(_key(row), None)
        if delivery is not None:
            self._over(delivery)
            if not delivery.settled:
                self._settle(delivery)
                self._arrive(delivery.message, "lost", str(row[8]))

    def _unknown(self, row: Row) -> None:
        delivery = self._deliveries.get(_key(row))
        if delivery is not None and not delivery.settled:
            del self._deliveries[_key(row)]
            self._over(delivery)
            self._settle(delivery)
            if not self._was_settled_before(delivery.message):
                self._arrive(delivery.message, "unknown", str(row[8]))
        elif row[6] is not None:
            self._doubt(row)
        else:
            for message in self._copies(row[4]):
                if message.place == "waiting":
                    self._end(message, "unknown", str(row[8]))

    def _doubt(self, row: Row) -> None:
        """Take note that the broker may not know what was settled, or does not yet."""
        for message in self._copies(row[4]):
            if message in self._unread and _is_last_of(message, row):  # its connection ended during the alarm
                del self._unread[message]
                message.reason = str(row[8])
        if row[8] == UNREAD:
            self._hand_back_later(row)
        for message in self._unsettle(row):
            if row[8] == UNREAD:
                self._unread[message] = message.place, message.reason
            self._arrive(message, "unknown", str(row[8]))
            self._may_come_back(message)

    def _may_come_back(self, message: Message) -> None:
        """Take note that of those that nobody knows of this one turns up again, if any does: the last come last."""
        queue = self._queues[message.queue]
        queue.missing = {message: None, **queue.missing}
        queue.doubted[message] = None

    def _hand_back_later(self, row: Row) -> None:
        """Take note that what a client handed back is not in its queue again before the broker reads of that."""
        for message in self._copies(row[4]):
            if message.place == "waiting" and message.deliveries and _is_last_of(message, row):
                self._end(message, "unknown", str(row[8]))
                self._unread[message] = "waiting", ""

    def _read_on(self, messages: Iterable[Message]) -> None:
        """Take note that the broker reads now what settled messages during an alarm."""
        for message in messages:
            place, reason = self._unread[message]
            self._leave_its_end(message)
            if place == "waiting":
                self._wait_again(message)
            else:
                self._arrive(message, place, reason)
                self._workers[message.worker].done += place == "done"

    def _comes_back_anyway(self, messages: Iterable[Message]) -> None:
        """Take note that the connection is gone on which messages were to be handed back: so they are."""
        self._read_on([message for message in messages if self._unread[message][0] == "waiting"])

    def _ack_dropped(self, row: Row) -> None:
        """Take back what was settled on a channel that the broker had closed by then."""
        for message in self._unsettle(row):
            self._wait_again(message)

    def _unsettle(self, row: Row) -> Iterator[Message]:
        """Yield the message that a client settled, and that is not for sure; it needs another place."""
        for message in self._copies(row[4]):
            before = message._settled_before
            if before is not None and (before.worker, before.delivery_tag, message.queue) == (row[2], row[6], row[3]):
                message._settled_before = None
                self._workers[row[2]].done -= before.place == "done"
            elif (
                (message.place in _SETTLED or message in self._letters)
                and message.deliveries
                and _is_last_of(message, row)
            ):
                self._workers[row[2]].done -= message.place == "done"
                self._leave_its_end(message)
                if not self._was_settled_before(message):
                    yield message

    def _complete(self, delivery: Delivery) -> None:
        self._settle(delivery)
        self._arrive(delivery.message, "done")
        delivery.worker.done += 1

    def _settle(self, delivery: Delivery) -> None:
        delivery.settled = True
        delivery.worker.slots.pop(delivery, None)
        if not delivery.auto_ack:
            delivery.queue.unacknowledged -= 1
            delivery.queue.fetched.pop(delivery, None)

    def _over(self, delivery: Delivery) -> None:
        if not delivery.over:
            delivery.over = True
            delivery.worker.unfinished -= 1
            if delivery.worker.busy_with is delivery:
                delivery.worker.busy_with = None

    def _forget_settled(self, key: _Key, delivery: Delivery) -> None:
        if delivery.settled and not delivery.started:
            self._over(delivery)  # settled without a callback, as the notebook itself does after basic_get
        if delivery.settled and delivery.over:
            del self._deliveries[key]
            if delivery.message._delivery is delivery:
                delivery.message._delivery = None  # of all that were ever done, none is kept

    def _wait_again(self, message: Message) -> None:
        queue = self._queues[message.queue]
        message.place = "waiting"
        message.reason = ""
        message.started = False
        queue.put_back(message)
        if message.mark is None:
            self._nameless[message.queue, message.task].append(message)
        elif message not in self._copies(message.mark):
            self._twins.setdefault(message.mark, deque()).append(message)
        if queue.absent:
            self._end(message, "lost", f"the queue '{message.queue}' was gone when it was to go back to it")

    def _end(self, message: Message, place: Place, reason: str = "") -> None:
        """End a waiting message."""
        self._queues[message.queue].remove(message)
        self._arrive(message, place, reason)

    def _arrive(self, message: Message, place: Place, reason: str = "") -> None:
        message.place = place
        message.reason = reason
        self._ended[place] += 1
        self._recent[place].append(message)
        if place == "unknown":
            self._queues[message.queue].missing[message] = None

    def _leave_its_end(self, message: Message) -> None:
        """Take back that a message came to an end."""
        self._ended[message.place] -= 1
        self._unread.pop(message, None)
        self._letters.pop(message, None)
        queue = self._queues[message.queue]
        queue.gone_for_good.discard(message)
        for known in (queue.missing, queue.doubted):
            known.pop(message, None)

    # -- dead letters

    def _dead_letter(self, message: Message, options: QueueOptions, reason: str, seconds: float) -> None:
        """End a message that its queue hands on, and put copies into the queues that get it, where they are known."""
        deaths = (Death(message.queue, rejected=reason == REJECTED), *message.deaths)
        targets = self._led_to(message, options)
        onward = [target for target in targets or () if not goes_in_a_circle(deaths, target)]
        if targets and not onward:
            self._arrive(message, "discarded", reason + _IN_A_CIRCLE)
        elif not targets:
            self._had_nowhere_to_go(message, options, reason, targets)
        else:
            self._arrive(message, "dead-lettered", reason)
        for target in onward:
            copy = self._copy_of(message, target)
            # RabbitMQ takes its time off, lest it expire again.
            copy.options = replace(message.options or PublishOptions(), ttl_seconds=None)
            copy.deaths = deaths
            copy.queued_seconds = seconds
            self._queues[target].fresh[copy] = None

    def _led_to(self, message: Message, options: QueueOptions) -> list[str] | None:
        """Return the queues that get what a queue hands on, or ``None`` where that can't be told."""
        keys = _keys_of_a_dead_letter(message, options)
        if options.dead_letter_exchange:
            headers = message.options.headers if message.options else ()
            return self._exchanges.route(options.dead_letter_exchange, keys, headers)
        return [key for key in keys if key in self._queues and not self._queues[key].absent]

    def _had_nowhere_to_go(
        self, message: Message, options: QueueOptions, reason: str, targets: list[str] | None
    ) -> None:
        """End a message that its queue hands on, and nobody knows of a queue that gets it: RabbitMQ drops it then."""
        exchange = options.dead_letter_exchange or ""
        keys = [exchange] if exchange else _keys_of_a_dead_letter(message, options)
        are_gone = self._exchanges.is_gone(exchange) if exchange else all(map(self.absent, keys))
        if are_gone and not options.keeps_dead_letters:
            self._arrive(message, "discarded", reason + dead_letters_were_lost(exchange, keys))
        else:
            self._letters[message] = options
            self._arrive(message, "unknown", reason + dead_letters_go_to(exchange, keys, seen=targets is not None))
            self._queues[message.queue].gone_for_good.add(message)

    def _dead_lettered(self, row: Row) -> None:
        """Learn from where it arrives that a message was taken from another queue."""
        copies = [copy for copy in self._copies(row[4]) if copy.queue == row[3]]
        message = next((copy for copy in copies if copy.place in _MAY_BE_DEAD), None)
        if message is None:
            return
        if message.place == "waiting":
            self._queues[message.queue].remove(message)
        else:
            self._leave_its_end(message)
        self._arrive(message, "dead-lettered", str(row[8]))

    # -- workers, queues and the broker

    def _connected(self, row: Row) -> None:
        if isinstance(row[8], ConsumeOptions):  # publishers connect too
            self._workers[row[2]].auto_ack = row[8].auto_ack
            self._queues[row[3]].auto_acked |= row[8].auto_ack
        if row[1] == "connected" and row[2] in self._outage.cut_off:
            self._outage.going = False
            self._outage.back.add(row[2])

    def _was_under_way(self, row: Row) -> None:
        if isinstance(row[8], UnderWay):
            self._suspicion.were_under_way(row[8].marks)
            for message in itertools.chain.from_iterable(map(self._copies, row[8].marks)):
                message.arrived = message.arrived if message.deliveries else math.inf

    # -- alarms, while which the broker reads nothing from those who publish

    def _hold_up(self, client: str) -> None:
        """Take note that what was just published is not read yet, if the broker takes nothing from its client."""
        if self._suspicion.holds_up(client):
            for message in self._newest:
                if message.place == "waiting":
                    self._end(message, "unknown", HELD_UP)
                    self._held_up[message] = None

    def _let_in(self, messages: Iterable[Message], seconds: float) -> None:
        """Let those messages that were held up wait in their queues, unless more is known of them by now."""
        for message in messages:
            if message in self._held_up:
                del self._held_up[message]
                if message.place == "unknown":
                    self._leave_its_end(message)
                    message.place, message.reason, message.queued_seconds = "waiting", "", seconds
                    self._queues[message.queue].fresh[message] = None

    def _was_blocked(self, row: Row) -> None:
        self._suspicion.blocked(row[2], len(self._all))

    def _was_unblocked(self, row: Row) -> None:
        self._suspicion.unblocked(row[2])
        self._let_in([each for each in self._held_up if each.publisher == row[2]], row[0])
        self._read_on([each for each in self._unread if each.worker == row[2]])

    def _said_goodbye(self, row: Row) -> None:
        """Take note that what a client has sent is where it belongs, but for what was under way."""
        for message in self._sent_by.pop(row[2], ()):
            if message.place == "waiting" and not self._suspicion.falls_on(message):
                message.arrived = min(message.arrived, len(self._all))
        self._left(row)

    def _left(self, row: Row) -> None:
        """Take note that what a client has sent and the broker had not read will hardly be."""
        self._suspicion.unblocked(row[2])
        for message in [each for each in self._held_up if each.publisher == row[2]]:
            del self._held_up[message]
            if message.place == "unknown":
                message.reason = _NEVER_READ
        self._comes_back_anyway([each for each in self._unread if each.worker == row[2]])
        for message in [each for each in self._unread if each.worker == row[2]]:
            del self._unread[message]
            message.reason = _NEVER_READ

    def _disconnected(self, row: Row) -> None:
        self._left(row)
        if self._outage.going or row[2] in self._outage.back:
            self._outage.going = True
            self._outage.cut_off.setdefault(row[2], len(self._all))
            self._outage.before = len(self._all)

    def _declared(self, row: Row) -> None:
        """Learn how a queue is declared, unless the broker told more of it: no client's declaration has its policy."""
        queue = self._queues[row[3]]
        asked = row[8] if isinstance(row[8], QueueOptions) else None
        if queue.options is None or queue.absent or queue.asked not in (None, asked):
            queue.options = asked
        queue.asked = asked
        queue.absent = False
        self._outage.declared.add(queue)

    def _emptied(self, row: Row) -> None:
        queue = self._queues[row[3]]
        if isinstance(row[8], int):  # of what goes, others have published what was not seen yet
            queue.published += max(0, row[8] - queue.ready - queue.unseen)
        queue.unseen = 0
        if row[1] == "deleted":
            self._goes(row[3], queue)
            self._hands_let_go(queue, _gone_in_hand(row[3]))
        self._end_all(queue, "discarded")

    def _goes(self, name: str, queue: Queue) -> None:
        queue.absent = True
        queue.unseen = queue.held_elsewhere = 0
        self._exchanges.forget_queue(name)

    def _hands_let_go(self, queue: Queue, reason: str) -> None:
        """Take note that nothing settles any more what clients hold of a queue that is gone."""
        for delivery in self._held_of(queue):
            self._settle(delivery)
            self._arrive(delivery.message, "unknown", reason)

    def _held_of(self, queue: Queue) -> list[Delivery]:
        """Return the deliveries of a queue that clients hold and have to acknowledge."""
        held = (slot for worker in self._workers.values() for slot in worker.slots)
        return [delivery for delivery in held if delivery.queue is queue and not delivery.auto_ack]

    def _doubt_what_was_answered(self, name: str, queue: Queue, agreed_seconds: float) -> None:
        """Doubt acks of which nothing shows that they came before a queue was gone: RabbitMQ takes any in silence.

        A consumer is told that its queue is gone; who fetched is not.
        """
        for message, seconds in queue.answered.items():
            if message.place == "done" and seconds > agreed_seconds:
                self._workers[message.worker].done -= 1
                self._leave_its_end(message)
                self._arrive(message, "unknown", f"acknowledged, before or after the queue '{name}' was gone")
        queue.answered.clear()

    def _exchange_declared(self, row: Row) -> None:
        if isinstance(row[8], ExchangeOptions):
            self._exchanges.declare(row[8])
            self._route_again(row)

    def _exchange_deleted(self, row: Row) -> None:
        if isinstance(row[8], ExchangeOptions):
            self._exchanges.delete(row[8].name)

    def _unbound(self, row: Row) -> None:
        if isinstance(row[8], Binding):
            self._exchanges.unbind(row[3], row[8])

    def _bound(self, row: Row) -> None:
        """Learn of a binding; one that the broker tells of may be older than messages that nobody could place."""
        if not isinstance(row[8], Binding):
            return
        self._exchanges.bind(row[3], row[8])
        self._route_again(row)

    def _route_again(self, row: Row) -> None:
        """Look where messages may be that nobody could place, now that the broker tells of exchanges and bindings."""
        for message in self._adrift if row[2] == BROKER else ():
            if message.options is not None:
                for queue in self._routed(message.options) or ():
                    self._may_be_in(message, queue)
        for message, options in self._letters.items() if row[2] == BROKER else ():
            for queue in self._led_to(message, options) or ():
                self._may_be_in(message, queue)

    def _may_be_in(self, message: Message, queue: str) -> None:
        """Take note that a message may be in a queue too, until the counts or a delivery tell."""
        if any(copy.queue == queue for copy in self._copies(message.mark)):
            return
        reason = f"an exchange may have routed it to '{queue}'"
        if message.adrift:
            self._leave_its_end(message)
            message.queue = queue
            self._arrive(message, "unknown", reason)
        elif message.mark is not None:
            self._arrive(self._copy_of(message, queue), "unknown", reason)

    # -- what the broker counts

    def _counted(self, row: Row) -> None:
        """Take in what the broker counts once all is still: what it has not is gone, what it has besides is unseen."""
        counted, queue = row[8], self._queues[row[3]]
        if not isinstance(counted, Counted):
            return
        if not counted.present:
            reason = missing_queue(row[3], queue.options, self._present())
            self._goes(row[3], queue)
            self._end_all(queue, "unknown", reason)
            self._hands_let_go(queue, _gone_in_hand(row[3]))
            self._doubt_what_was_answered(row[3], queue, counted.agreed_seconds)
            return
        queue.absent = False
        queue.options = counted.options or queue.options
        queue.held_elsewhere = max(0, counted.unacknowledged - queue.unacknowledged)
        back = _found_again(queue, counted.ready - queue.ready)
        for message in back:
            self._leave_its_end(message)
            self._wait_again(message)
        self._clear_doubts(queue, counted)
        gone = max(queue.ready - counted.ready, self._overdue(queue, row[0]))
        if gone > 0:
            self._miss(queue, gone, row[0], counted.agreed_seconds)
        unseen = max(0, counted.ready - queue.ready)
        self._tell_of_others(queue, unseen)
        queue.published += max(0, unseen - queue.unseen) + counted.unaccounted
        full = is_full(queue.options, counted.ready)
        for message in first_out(queue, 0 if refuses_new(queue.options) else counted.unaccounted):
            self._end(message, "unknown", MIXED if full else REPLACED)
            queue.gone_for_good.add(message)
        if may_be_displaced(queue.options, counted.ready, unseen):
            queue.gone_for_good.update(queue.head(queue.ready))
            self._end_all(queue, "unknown", MIXED)
        queue.unseen = max(0, counted.ready - queue.ready)

    def _overdue(self, queue: Queue, seconds: float) -> int:
        """Return how many messages of `queue` are past their time to live, which is looked for where there is one."""
        has_one = self._brief or (queue.options is not None and queue.options.ttl_seconds is not None)
        return overdue(queue, seconds) if has_one else 0

    def _clear_doubts(self, queue: Queue, counted: Counted) -> None:
        """Say of what was settled that the broker has it no more; if it has some of it, nobody can tell which.

        What others hold may be just that, unless all that they hold is what waits by the log and is not ready.
        """
        has_no_more = counted.ready + queue.held_elsewhere <= queue.ready and not queue.unseen
        if queue.held_elsewhere and not has_no_more:
            return
        if has_no_more:
            self._read_on([message for message in queue.doubted if message in self._unread])
            for message in list(queue.doubted):
                if message.reason == _MAY_BE_KEPT:
                    self._leave_its_end(message)
                    self._arrive(message, "lost", _NOT_KEPT)
                else:
                    message.reason += _NOT_THERE
            queue.gone_for_good.update(queue.doubted)
        queue.doubted.clear()

    @staticmethod
    def _tell_of_others(queue: Queue, unseen: int) -> None:
        """Say of what others held, and hold no more, what may have become of it; what was found again has left."""
        held = [each for each in queue.missing if each.reason.startswith((ELSEWHERE, ELSEWHERE_BEFORE))]
        if len(held) > queue.held_elsewhere:
            is_gone = not queue.held_elsewhere and not unseen
            for message in held:
                message.reason = TAKEN if is_gone else ELSEWHERE_BEFORE
            queue.gone_for_good.update(held if is_gone else ())

    def _miss(self, queue: Queue, count: int, seconds: float, agreed_seconds: float) -> None:
        """Find out which messages of `queue` are gone, as far as its arguments and its order tell, and why."""
        options = queue.options
        for found in pick(queue, count, seconds, self._suspicion, agreed_seconds):
            message: Message = found.message
            queue.remove(message)
            if options is not None and options.dead_letter_exchange is not None and found.by_the_queue:
                self._dead_letter(message, options, found.reason, seconds)
            else:
                self._arrive(message, "unknown", found.reason)
                if found.for_good:
                    queue.gone_for_good.add(message)
                if HELD_UP in found.reason:
                    self._held_up[message] = None

    def _present(self) -> list[str]:
        return [name for name, queue in self._queues.items() if name and queue.options and not queue.absent]

    def _broker(self, row: Row) -> None:
        """Forget, as the broker does, the queues and the messages that do not outlive it."""
        change = row[8]
        if isinstance(change, BrokerChange) and change.is_alarm:
            if change is BrokerChange.BLOCKED:
                self._suspicion.alarm(len(self._all))
            else:
                # Who reads seldom, as a notebook between two cells, has not heard of it yet: it is so all the same.
                self._suspicion.alarms_are_over()
                self._let_in(list(self._held_up), row[0])
                self._read_on(list(self._unread))
        elif isinstance(change, BrokerChange) and change.is_outage:
            self._suspicion.alarms_are_over()
            self._comes_back_anyway(list(self._unread))
            self._unread.clear()
            self._outage = _Outage(going=True, asked=len(self._all))
            self._suspicion.broker_went(len(self._all))
            self._exchanges.forget_transient()
            for name, queue in self._queues.items():
                if queue.transient:
                    self._goes(name, queue)
                    self._end_all(queue, "lost", _NOT_KEPT_QUEUE)
        elif change is BrokerChange.UP:
            if self._outage.going:  # nobody whom it cut off has told since which of them it is
                self._outage.before = len(self._all)
            for name, queue in self._queues.items():
                if queue.keeps_some or (queue.transient and queue not in self._outage.declared):
                    self._forget_what_was_not_kept(name, queue)
            self._outage = _Outage()

    def _forget_what_was_not_kept(self, name: str, queue: Queue) -> None:
        """Forget what `queue` had in memory alone when the broker went, what workers held of it included."""
        for delivery in self._held_of(queue):
            if self._was_not_kept(delivery.message, queue):
                self._settle(delivery)
                self._arrive(delivery.message, "lost", _NOT_KEPT_QUEUE if queue.transient else _NOT_KEPT)
        for message in [*queue.again, *queue.fresh]:
            if self._was_not_kept(message, queue):
                self._end(message, "lost", _NOT_KEPT_QUEUE if queue.transient else _NOT_KEPT)
            elif message.persistent is False and message.number < self._outage.before:
                self._end(message, "unknown", _MAY_BE_KEPT)
                self._may_come_back(message)
        if queue.transient:
            self._goes(name, queue)

    def _was_not_kept(self, message: Message, queue: Queue) -> bool:
        return queue.transient or (message.persistent is False and self._outage.had(message))

    def _end_all(self, queue: Queue, place: Place, reason: str = "") -> None:
        for message in [*queue.again, *queue.fresh]:
            self._end(message, place, reason)


#: A delivery, by its worker, its tag, its message's mark and its queue.
_Key = tuple[str, int | None, str | None, str]

#: Who counts queues and tells of bindings.
BROKER = "broker"

_NAMELESS = "it was sent to the default exchange with an empty routing key, and no queue has an empty name"
_STRAIGHT = "sent straight to the channel of who had asked for it (direct reply-to), and not seen there yet"
_NO_QUEUES = {"": _NAMELESS, DIRECT_REPLY: _STRAIGHT}
_NEVER_READ = "its client's connection ended while RabbitMQ took no messages, for want of memory or disk"
_NOT_THERE = "; RabbitMQ has the message no more: what settled it had arrived, or it went another way"
_NOT_KEPT = "it was not persistent, and RabbitMQ was restarted"
_NOT_KEPT_QUEUE = "its queue was not durable, and RabbitMQ was restarted"
_MAY_BE_KEPT = "it was not persistent, and sent while RabbitMQ was restarted: before, and it is lost, or after"
_IN_A_CIRCLE = ", and RabbitMQ ends what would go round in a circle as a dead letter"
_BY_A_RESTART = (_NOT_KEPT, _NOT_KEPT_QUEUE)


def _found_again(queue: Queue, count: int) -> list[Message]:
    """Return which messages that nobody knows of are among so many more that the broker has; none if many answers fit.

    All that may be are, or of what one client sent the last: it arrives in its order.
    """
    may_be = [message for message in queue.missing if message not in queue.gone_for_good]
    clients = {each.worker or each.publisher for each in may_be}
    in_order = all(message in queue.doubted for message in may_be) and len(clients) == 1
    return may_be[: max(0, count)] if count >= len(may_be) or in_order else []


def _gone_in_hand(name: str) -> str:
    return f"the queue '{name}' is gone, and it with it: no answer settles it any more"


def _keys_of_a_dead_letter(message: Message, options: QueueOptions) -> list[str]:
    """Return the routing keys with which a queue hands a message on."""
    if options.dead_letter_routing_key:
        return [options.dead_letter_routing_key]
    published = message.options or PublishOptions()
    return list(dict.fromkeys((published.routing_key or message.queue, *published.further_keys)))


def _key(row: Row) -> _Key:
    # The mark keeps a callback that outlives its connection from speaking for the new one's same tag.
    return row[2], row[6], row[4], row[3]


def _is_last_of(message: Message, row: Row) -> bool:
    """Whether an event is about the last delivery of a message."""
    return (message.worker, message.delivery_tag, message.queue) == (row[2], row[6], row[3])


def _came_too_late(message: Message) -> str:
    return f"the queue '{message.queue}' was gone when it was published"


def _adrift_reason(exchange: str, queues: list[str] | None) -> str:
    if queues is None:
        return f"the exchange '{exchange}' took it, and nobody here saw where that leads"
    return f"the exchange '{exchange}' took it, and no binding for it was seen here"
