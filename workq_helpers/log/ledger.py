"""`Ledger`: where every copy of a message is now, told from the log alone.

A copy is a message in one queue: what an exchange sends to two queues are two. Copies are known by the message's mark
and the queue. What is known of a queue and nobody saw happen comes as an event too, when the broker's counts differ.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import ENDS, PLACES, Delivery, Message, Place, Queue, Settled
from workq_helpers.log.dead_letters import REJECTED, DeadLetters
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
    MAY_BE_KEPT,
    NOT_KEPT,
    NOT_KEPT_QUEUE,
    UNREAD,
    gone_in_hand,
    may_be_displaced,
)
from workq_helpers.log.reckoning import Reckoning
from workq_helpers.log.register import MAY_BE_IN_A_QUEUE, Register

__all__ = ["BROKER", "ENDS", "PLACES", "Delivery", "Ledger", "LogCounts", "Message", "Place", "WorkerCounts"]

#: Where a delivery that was settled went.
_SETTLED = ("done", "discarded", "dead-lettered")


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
        self._register = Register()
        self._exchanges = Exchanges()
        self._dead_letters = DeadLetters(self._register, self._exchanges)
        self._alarms = Alarms(self._register)
        self._reckoning = Reckoning(self._register, self._exchanges, self._dead_letters, self._alarms)
        self._deliveries: dict[_Key, Delivery] = {}
        self._sent_by: defaultdict[str, list[Message]] = defaultdict(list)  # by client, since its last goodbye
        self._adrift: list[Message] = []  # what exchanges took, when no queue was known that gets it
        self._newest: list[Message] = []
        self._last_delivery: Delivery
        self._outage = _Outage()
        self._handlers: dict[str, Callable[[Row], None]] = {
            "published": self._published,
            "confirmed": self._confirmed,
            "dead-lettered": lambda row: self._dead_letters.arrived(row[3], row[4], str(row[8])),
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
            "blocked": lambda row: self._alarms.blocked(row[2]),
            "unblocked": lambda row: self._alarms.unblocked(row[2], row[0]),
            "stopped": self._said_goodbye,
            "hung up": lambda row: self._alarms.left(row[2]),
            "killed": lambda row: self._alarms.left(row[2]),
            "crashed": lambda row: self._alarms.left(row[2]),
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
        known = self._register.queues.get(queue)
        return known.ready if known else 0

    def in_hand(self, worker: str) -> int:
        """Return how many deliveries `worker` has not settled."""
        known = self._register.workers.get(worker)
        return len(known.slots) if known else 0

    def unfinished(self, worker: str) -> int:
        """Return for how many deliveries `worker`'s callback has not returned yet, or not begun."""
        known = self._register.workers.get(worker)
        return known.unfinished if known else 0

    def queues(self) -> dict[str, LogCounts]:
        """Return the counts of every queue the log mentions."""
        return {
            name: LogCounts(queue.ready, queue.unacknowledged)
            for name, queue in self._register.queues.items()
            if name not in _NO_QUEUES or queue.ready or queue.unacknowledged
        }

    def unseen(self, queue: str) -> int:
        """Return how many messages wait in `queue` that nobody here has seen; the broker counts them."""
        known = self._register.queues.get(queue)
        return known.unseen if known else 0

    def held_elsewhere(self, queue: str) -> int:
        """Return how many messages of `queue` are unacknowledged with others; the broker counts them."""
        known = self._register.queues.get(queue)
        return known.held_elsewhere if known else 0

    def missing(self, queue: str, most: int) -> list[Message]:
        """Return the messages that were seen in `queue` last and are `unknown` now, `most` at most, newest first."""
        known = self._register.queues.get(queue)
        return list(itertools.islice(reversed(known.missing), most)) if known else []

    def missing_count(self, queue: str) -> int:
        """Return how many messages were seen in `queue` last and are `unknown` now."""
        known = self._register.queues.get(queue)
        return len(known.missing) if known else 0

    def in_doubt(self, queue: str) -> int:
        """Return how many messages of `queue` were settled, and neither client nor counts showed that this arrived."""
        known = self._register.queues.get(queue)
        return len(known.doubted) if known else 0

    def mixed_up(self, queue: str, ready: int, seconds: float) -> bool:
        """Whether messages wait in `queue` that RabbitMQ may have no more though it counts as many."""
        known = self._register.queues.get(queue)
        if known is None or not known.ready:
            return False
        return may_be_displaced(known.options, ready, known.unseen) or self._reckoning.overdue(known, seconds) > 0

    def published_to(self, queue: str) -> int:
        """Return how many messages may have been published to `queue`, as far as was seen, or counted by the broker."""
        known = self._register.queues.get(queue)
        return len(self._adrift) + (known.published if known else 0)

    def routes(self) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return each exchange that is known, and each binding with the queue that it leads to."""
        return self._exchanges.known()

    def held_up(self) -> int:
        """Return how many messages were published that the broker has not read, for an alarm of memory or disk."""
        return len(self._alarms.held_up)

    def has_adrift(self) -> bool:
        """Whether an exchange took a message, or may have, and no queue is known that got it."""
        return bool(self._register.letters) or any(message.adrift for message in self._adrift)

    def workers(self) -> dict[str, WorkerCounts]:
        """Return the counts of every worker the log mentions."""
        return {
            name: WorkerCounts(worker.delivered, len(worker.slots), worker.unfinished, worker.done)
            for name, worker in self._register.workers.items()
        }

    def places(self) -> dict[Place, int]:
        """Return how many messages are in each of `PLACES`."""
        waiting = sum(queue.ready for queue in self._register.queues.values())
        in_hand = len(self._register.messages) - waiting - sum(self._register.ended.values())
        return {"waiting": waiting, "in hand": in_hand, **self._register.ended}

    def waiting(self, queue: str, most: int) -> list[Message]:
        """Return the first messages that wait in `queue`, `most` at most, the next to be delivered first."""
        known = self._register.queues.get(queue)
        return known.head(most) if known else []

    def slots(self, worker: str, most: int) -> list[Delivery]:
        """Return the deliveries that `worker` has not settled, in their order, `most` at most."""
        known = self._register.workers.get(worker)
        return list(itertools.islice(known.slots, most)) if known else []

    def busy_with(self, worker: str) -> Delivery | None:
        """Return the delivery in `worker`'s callback, settled or not, or ``None``."""
        known = self._register.workers.get(worker)
        return known.busy_with if known else None

    def auto_ack(self, worker: str) -> bool:
        """Whether a delivery to `worker` counts as acknowledged when it is sent."""
        known = self._register.workers.get(worker)
        return known is not None and known.auto_ack

    def recent(self, place: Place) -> list[Message]:
        """Return the last messages that came to the end `place` and are still there, newest first."""
        unique = dict.fromkeys(reversed(self._register.recent[place]))
        return [message for message in unique if message.place == place]

    def declared(self, queue: str) -> QueueOptions | None:
        """Return how `queue` was declared last, or ``None``."""
        known = self._register.queues.get(queue)
        return known.options if known else None

    def declarations(self) -> dict[str, QueueOptions]:
        """Return for each queue that is there how it was declared."""
        return {
            name: queue.options for name, queue in self._register.queues.items() if queue.options and not queue.absent
        }

    def absent(self, queue: str) -> bool:
        """Whether `queue` was deleted, or went with its broker."""
        known = self._register.queues.get(queue)
        return known is not None and known.absent

    def message(self, mark: str) -> Message | None:
        """Return the message of that mark (the first copy of the newest, should several share it), or ``None``."""
        return self._register.by_mark.get(mark)

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
        return iter(self._register.messages)

    def __len__(self) -> int:
        return len(self._register.messages)

    # -- publishing

    def _published(self, row: Row) -> None:
        options = row[8] if isinstance(row[8], PublishOptions) else None
        if options is not None and options.ttl_seconds is not None:
            self._register.brief = True
        if options is None or not (options.exchange or options.further_keys):
            message = self._enter(self._register.new(row[4], row[5], row[3]), row, options)
            self._newest = [message]
            if options is not None and row[3] in _NO_QUEUES and message.place == "waiting":
                self._register.end(message, "unknown", _NO_QUEUES[row[3]])
            self._alarms.hold_up(row[2], self._newest)
            return
        named = dict.fromkeys((row[3], *options.further_keys))
        queues = self._routed(options) if options.exchange else [name for name in named if name]
        first = self._enter(self._register.new(row[4], row[5], queues[0] if queues else ""), row, options)
        self._newest = [first]
        for queue in queues[1:] if queues else ():
            self._newest.append(self._enter(self._register.copy_of(first, queue), row, options))
        if not queues:
            self._adrift.append(first)
            self._register.end(first, "unknown", _adrift_reason(options.exchange, queues))
        self._alarms.hold_up(row[2], self._newest)

    def _routed(self, options: PublishOptions) -> list[str] | None:
        """Return the queues that a message goes to that was published so, or ``None`` where that can't be told."""
        return self._exchanges.route(options.exchange, options.routing_keys, options.headers)

    def _enter(self, message: Message, row: Row, options: PublishOptions | None) -> Message:
        """Put a message that was just published into its queue."""
        message.publisher, message.options = row[2], options
        message.published_seconds = message.queued_seconds = row[0]
        queue = self._register.queues[message.queue]
        queue.published += 1
        queue.fresh[message] = None
        self._sent_by[row[2]].append(message)
        if queue.absent:
            self._register.end(message, "lost", _came_too_late(message))
        return message

    def _confirmed(self, row: Row) -> None:
        first = self._register.by_mark.get(row[4] or "")
        if first is not None:
            first.confirmed = True
            first.arrived = len(self._register.messages)
            for sibling in first._siblings or ():
                sibling.confirmed, sibling.arrived = True, first.arrived
            if self._alarms.held_up:
                self._alarms.let_in(self._register.copies(row[4]), row[0])

    def _went_back(self, row: Row) -> None:
        copies = self._register.copies(row[4])
        kind: Place = "returned" if row[1] == "returned" else "refused"
        reason = str(row[8])
        if kind == "refused" and len(copies) > 1 and not isinstance(row[8], CloseReason | str):
            kind = "unknown"
        for message in copies:
            if message.place == "waiting":
                self._register.end(message, kind, reason)
            elif message.adrift or message.reason == _came_too_late(message):
                self._register.leave_its_end(message)
                self._register.arrive(message, kind, reason)

    # -- delivering

    def _delivered(self, row: Row) -> None:
        _, _, actor, queue_name, mark, _, tag, redelivered, detail = row
        queue = self._register.queues[queue_name]
        worker = self._register.workers[actor]
        queue.absent = False
        key = _key(row)
        if key in self._deliveries:
            self._requeued(row)
        message = self._register.by_mark.get(mark) if mark is not None else None
        if message is None or message.place != "waiting" or message.queue != queue_name:
            if (overtaken := self._overtaken(row)) is not None:
                self._came_late(key, Delivery(overtaken, queue, worker))
                return
            message = self._find(row)
        if message.place == "waiting":
            self._register.queues[message.queue].remove(message)
        elif message.place != "in hand":
            if message.place in ("unknown", "lost"):
                queue.others += message in queue.lent
                queue.one_is_known()
            elif message.place in _SETTLED and message.worker != actor:  # one client's events are in their order
                before = Settled(message.place, message.reason, message.worker, message.delivery_tag)
                message._settled_before = before
            self._register.leave_its_end(message)
        elif message._delivery is not None:
            self._register.settle(message._delivery)
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
            self._register.complete(delivery)
            self._forget_settled(key, delivery)

    def _overtaken(self, row: Row) -> Message | None:
        """Return the message of a first delivery that is read after its redelivery to another, or ``None``."""
        _, _, _, queue, mark, _, _, redelivered, _ = row
        known = next((copy for copy in self._register.copies(mark) if copy.queue == queue), None)
        if known is None or redelivered or not known.redelivered or known.place in MAY_BE_IN_A_QUEUE:
            return None
        twins = (each for each in self._register.twins.get(mark or "", ()) if each.queue == queue)
        return None if any(each.place in MAY_BE_IN_A_QUEUE for each in twins) else known

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
        copies = self._register.copies(mark)
        known = next((copy for copy in reversed(copies) if copy.queue == queue), None)
        keeps = self._register.queues[queue].keeps_what_was_read
        if known is not None and (known.place in MAY_BE_IN_A_QUEUE or redelivered or keeps):
            return known
        older = self._register.nameless[queue, task] if mark is None else self._register.twins.get(mark, deque())
        for message in [each for each in older if each.queue == queue]:
            older.remove(message)
            if message.place in MAY_BE_IN_A_QUEUE:
                return message
        # What was given up for a restart may still be delivered before the broker goes, or was sent to the next one.
        if known is not None and known.place == "lost" and (self._outage.going or known.reason in _BY_A_RESTART):
            return known
        adrift = next((copy for copy in copies if copy.adrift), None)
        if adrift is not None:
            return adrift
        counted = self._register.queues[queue]
        counted.published += not counted.unseen
        counted.one_is_known()
        message = (
            self._register.copy_of(copies[0], queue)
            if copies and known is None
            else self._register.new(mark, task, queue)
        )
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
            self._register.over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._register.complete(delivery)
            self._forget_settled(key, delivery)

    def _failed(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is not None:
            self._register.over(delivery)
            if delivery.auto_ack and not delivery.settled:
                self._register.settle(delivery)
                self._register.arrive(delivery.message, "lost")
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
            self._register.complete(delivery)
        self._forget_settled(key, delivery)

    def _nacked(self, row: Row) -> None:
        key = _key(row)
        delivery = self._deliveries.get(key)
        if delivery is not None and not delivery.settled:
            self._register.settle(delivery)
            if row[8] is not Handback.DISCARD:
                delivery.message.nacks += row[1] == "nacked"
                self._goes_back(delivery.message)
            elif delivery.queue.options is not None and delivery.queue.options.dead_letter_exchange is not None:
                self._dead_letters.hand_on(delivery.message, delivery.queue.options, REJECTED, row[0])
            else:
                self._register.arrive(delivery.message, "discarded")
            self._forget_settled(key, delivery)

    def _requeued(self, row: Row) -> None:
        delivery = self._deliveries.pop(_key(row), None)
        if delivery is not None:
            self._register.over(delivery)
            if not delivery.settled:
                self._register.settle(delivery)
                self._goes_back(delivery.message)

    def _goes_back(self, message: Message) -> None:
        """Have a message that was delivered wait again, unless that delivery was of no account."""
        if not self._register.was_settled_before(message):
            self._register.wait_again(message)

    def _lost(self, row: Row) -> None:
        delivery = self._deliveries.pop(_key(row), None)
        if delivery is not None:
            self._register.over(delivery)
            if not delivery.settled:
                self._register.settle(delivery)
                self._register.arrive(delivery.message, "lost", str(row[8]))

    def _unknown(self, row: Row) -> None:
        delivery = self._deliveries.get(_key(row))
        if delivery is not None and not delivery.settled:
            del self._deliveries[_key(row)]
            self._register.over(delivery)
            self._register.settle(delivery)
            if not self._register.was_settled_before(delivery.message):
                self._register.arrive(delivery.message, "unknown", str(row[8]))
        elif row[6] is not None:
            self._doubt(row)
        else:
            for message in self._register.copies(row[4]):
                if message.place == "waiting":
                    self._register.end(message, "unknown", str(row[8]))

    def _doubt(self, row: Row) -> None:
        """Take note that the broker may not know what was settled, or does not yet."""
        for message in self._register.copies(row[4]):
            # Its connection ended during the alarm.
            if message in self._register.unread and message.was_last_delivered(row):
                del self._register.unread[message]
                message.reason = str(row[8])
        if row[8] == UNREAD:
            self._alarms.hand_back_later(row)
        for message in self._unsettle(row):
            if row[8] == UNREAD:
                self._register.unread[message] = message.place, message.reason
            self._register.arrive(message, "unknown", str(row[8]))
            self._register.may_come_back(message)

    def _ack_dropped(self, row: Row) -> None:
        """Take back what was settled on a channel that the broker had closed by then."""
        for message in self._unsettle(row):
            self._register.wait_again(message)

    def _unsettle(self, row: Row) -> Iterator[Message]:
        """Yield the message that a client settled, and that is not for sure; it needs another place."""
        for message in self._register.copies(row[4]):
            before = message._settled_before
            if before is not None and (before.worker, before.delivery_tag, message.queue) == (row[2], row[6], row[3]):
                message._settled_before = None
                self._register.workers[row[2]].done -= before.place == "done"
            elif (
                (message.place in _SETTLED or message in self._register.letters)
                and message.deliveries
                and message.was_last_delivered(row)
            ):
                self._register.workers[row[2]].done -= message.place == "done"
                self._register.leave_its_end(message)
                if not self._register.was_settled_before(message):
                    yield message

    def _forget_settled(self, key: _Key, delivery: Delivery) -> None:
        if delivery.settled and not delivery.started:
            self._register.over(delivery)  # settled without a callback, as the notebook itself does after basic_get
        if delivery.settled and delivery.over:
            del self._deliveries[key]
            if delivery.message._delivery is delivery:
                delivery.message._delivery = None  # of all that were ever done, none is kept

    # -- workers, queues and the broker

    def _connected(self, row: Row) -> None:
        if isinstance(row[8], ConsumeOptions):  # publishers connect too
            self._register.workers[row[2]].auto_ack = row[8].auto_ack
            self._register.queues[row[3]].auto_acked |= row[8].auto_ack
        if row[1] == "connected" and row[2] in self._outage.cut_off:
            self._outage.going = False
            self._outage.back.add(row[2])

    def _was_under_way(self, row: Row) -> None:
        if isinstance(row[8], UnderWay):
            self._alarms.suspicion.were_under_way(row[8].marks)
            for message in itertools.chain.from_iterable(map(self._register.copies, row[8].marks)):
                message.arrived = message.arrived if message.deliveries else math.inf

    def _said_goodbye(self, row: Row) -> None:
        """Take note that what a client has sent is where it belongs, but for what was under way."""
        for message in self._sent_by.pop(row[2], ()):
            if message.place == "waiting" and not self._alarms.suspicion.falls_on(message):
                message.arrived = min(message.arrived, len(self._register.messages))
        self._alarms.left(row[2])

    def _disconnected(self, row: Row) -> None:
        self._alarms.left(row[2])
        if self._outage.going or row[2] in self._outage.back:
            self._outage.going = True
            self._outage.cut_off.setdefault(row[2], len(self._register.messages))
            self._outage.before = len(self._register.messages)

    def _declared(self, row: Row) -> None:
        """Learn how a queue is declared, unless the broker told more of it: no client's declaration has its policy."""
        queue = self._register.queues[row[3]]
        asked = row[8] if isinstance(row[8], QueueOptions) else None
        if queue.options is None or queue.absent or queue.asked not in (None, asked):
            queue.options = asked
        queue.asked = asked
        queue.absent = False
        self._outage.declared.add(queue)

    def _emptied(self, row: Row) -> None:
        queue = self._register.queues[row[3]]
        if isinstance(row[8], int):  # of what goes, others have published what was not seen yet
            queue.published += max(0, row[8] - queue.ready - queue.unseen)
        queue.others = max(0, queue.others - queue.unseen)
        queue.unseen = 0
        if row[1] == "deleted":
            self._register.hands_let_go(queue, gone_in_hand(row[3]))
            self._queue_goes(row[3], queue)
        self._register.end_all(queue, "discarded")

    def _queue_goes(self, name: str, queue: Queue) -> None:
        self._register.queue_goes(queue)
        self._exchanges.forget_queue(name)

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
        if row[2] != BROKER:
            return
        for message in self._adrift:
            if message.options is not None:
                for queue in self._routed(message.options) or ():
                    self._may_be_in(message, queue)
        for message, options in self._register.letters.items():
            for queue in self._dead_letters.led_to(message, options) or ():
                self._may_be_in(message, queue)

    def _may_be_in(self, message: Message, queue: str) -> None:
        """Take note that a message may be in a queue too, until the counts or a delivery tell."""
        if any(copy.queue == queue for copy in self._register.copies(message.mark)):
            return
        reason = f"an exchange may have routed it to '{queue}'"
        known = self._register.queues[queue]
        known.others = max(0, known.others - 1)  # it may be one of those that were counted
        if message.adrift:
            self._register.leave_its_end(message)
            message.queue = queue
            self._register.arrive(message, "unknown", reason)
        elif message.mark is not None:
            is_letter = message in self._register.letters
            copy = (self._dead_letters.may_have_gone if is_letter else self._register.copy_of)(message, queue)
            if copy is not None:
                self._register.arrive(copy, "unknown", reason)

    def _counted(self, row: Row) -> None:
        if isinstance(row[8], Counted):
            self._reckoning.take_in(row[3], row[8], row[0])

    def _broker(self, row: Row) -> None:
        """Forget, as the broker does, the queues and the messages that do not outlive it."""
        change = row[8]
        if isinstance(change, BrokerChange) and change.is_alarm:
            if change is BrokerChange.BLOCKED:
                self._alarms.begin()
            else:
                self._alarms.end(row[0])
        elif isinstance(change, BrokerChange) and change.is_outage:
            self._alarms.broker_went()
            self._outage = _Outage(going=True, asked=len(self._register.messages))
            self._exchanges.forget_transient()
            for name, queue in self._register.queues.items():
                if queue.transient:
                    self._queue_goes(name, queue)
                    self._register.end_all(queue, "lost", NOT_KEPT_QUEUE)
        elif change is BrokerChange.UP:
            if self._outage.going:  # nobody whom it cut off has told since which of them it is
                self._outage.before = len(self._register.messages)
            for name, queue in self._register.queues.items():
                if queue.keeps_some or (queue.transient and queue not in self._outage.declared):
                    self._forget_what_was_not_kept(name, queue)
            self._outage = _Outage()

    def _forget_what_was_not_kept(self, name: str, queue: Queue) -> None:
        """Forget what `queue` had in memory alone when the broker went, what workers held of it included."""
        for delivery in self._register.held_of(queue):
            if self._was_not_kept(delivery.message, queue):
                self._register.settle(delivery)
                self._register.arrive(delivery.message, "lost", NOT_KEPT_QUEUE if queue.transient else NOT_KEPT)
        for message in [*queue.again, *queue.fresh]:
            if self._was_not_kept(message, queue):
                self._register.end(message, "lost", NOT_KEPT_QUEUE if queue.transient else NOT_KEPT)
            elif message.persistent is False and message.number < self._outage.before:
                self._register.end(message, "unknown", MAY_BE_KEPT)
                self._register.may_come_back(message)
        if queue.transient:
            self._queue_goes(name, queue)

    def _was_not_kept(self, message: Message, queue: Queue) -> bool:
        return queue.transient or (message.persistent is False and self._outage.had(message))


#: A delivery, by its worker, its tag, its message's mark and its queue.
_Key = tuple[str, int | None, str | None, str]

#: Who counts queues and tells of bindings.
BROKER = "broker"

_NAMELESS = "it was sent to the default exchange with an empty routing key, and no queue has an empty name"
_STRAIGHT = "sent straight to the channel of who had asked for it (direct reply-to), and not seen there yet"
_NO_QUEUES = {"": _NAMELESS, DIRECT_REPLY: _STRAIGHT}
_BY_A_RESTART = (NOT_KEPT, NOT_KEPT_QUEUE)


def _key(row: Row) -> _Key:
    # The mark keeps a callback that outlives its connection from speaking for the new one's same tag.
    return row[2], row[6], row[4], row[3]


def _came_too_late(message: Message) -> str:
    return f"the queue '{message.queue}' was gone when it was published"


def _adrift_reason(exchange: str, queues: list[str] | None) -> str:
    if queues is None:
        return f"the exchange '{exchange}' took it, and nobody here saw where that leads"
    return f"the exchange '{exchange}' took it, and no binding for it was seen here"
