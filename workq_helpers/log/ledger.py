"""`Ledger`: where every copy of a message is now, told from the log alone.

A copy is a message in one queue: what an exchange sends to two queues are two. Copies are known by the message's mark
and the queue. What is known of a queue and nobody saw happen comes as an event too, when the broker's counts differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import ENDS, PLACES, Delivery, Message, Place
from workq_helpers.log.dead_letters import DeadLetters
from workq_helpers.log.details import (
    Binding,
    BrokerChange,
    ConsumeOptions,
    Counted,
    ExchangeOptions,
    QueueOptions,
)
from workq_helpers.log.events import EventLog, Row
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import gone_in_hand, may_be_displaced
from workq_helpers.log.in_hand import InHand
from workq_helpers.log.outages import Outages
from workq_helpers.log.reckoning import Reckoning
from workq_helpers.log.register import Register
from workq_helpers.log.routing import NO_QUEUES, Routing

__all__ = ["BROKER", "ENDS", "PLACES", "Delivery", "Ledger", "LogCounts", "Message", "Place", "WorkerCounts"]


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
        self._routing = Routing(self._register, self._exchanges, self._dead_letters, self._alarms)
        self._outages = Outages(self._register, self._exchanges)
        self._in_hand = InHand(self._register, self._dead_letters, self._alarms, self._outages)
        self._handlers: dict[str, Callable[[Row], None]] = {
            "published": self._routing.published,
            "confirmed": self._routing.confirmed,
            "dead-lettered": lambda row: self._dead_letters.arrived(row[3], row[4], str(row[8])),
            "returned": self._routing.went_back,
            "refused": self._routing.went_back,
            "delivered": self._in_hand.delivered,
            "started": self._in_hand.started,
            "finished": self._in_hand.ended,
            "failed": self._in_hand.ended,
            "acked": self._in_hand.acked,
            "nacked": self._in_hand.nacked,
            "rejected": self._in_hand.nacked,
            "requeued": self._in_hand.requeued,
            "lost": self._in_hand.lost,
            "unknown": self._in_hand.unknown,
            "ack dropped": self._in_hand.ack_dropped,
            "starting": self._connected,
            "connected": self._connected,
            "disconnected": self._disconnected,
            "blocked": lambda row: self._alarms.blocked(row[2]),
            "unblocked": lambda row: self._alarms.unblocked(row[2], row[0]),
            "stopped": self._said_goodbye,
            "hung up": lambda row: self._alarms.left(row[2]),
            "killed": lambda row: self._alarms.left(row[2]),
            "crashed": lambda row: self._alarms.left(row[2]),
            "under way": self._routing.was_under_way,
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
            if name not in NO_QUEUES or queue.ready or queue.unacknowledged
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
        return len(self._routing.adrift) + (known.published if known else 0)

    def routes(self) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return each exchange that is known, and each binding with the queue that it leads to."""
        return self._exchanges.known()

    def held_up(self) -> int:
        """Return how many messages were published that the broker has not read, for an alarm of memory or disk."""
        return len(self._alarms.held_up)

    def has_adrift(self) -> bool:
        """Whether an exchange took a message, or may have, and no queue is known that got it."""
        return bool(self._register.letters) or any(message.adrift for message in self._routing.adrift)

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
        return self._routing.newest

    @property
    def last_delivered(self) -> Message:
        """The message delivered last."""
        return self._in_hand.last.message

    def __iter__(self) -> Iterator[Message]:
        """Iterate over all messages in the order in which the log first mentions them."""
        return iter(self._register.messages)

    def __len__(self) -> int:
        return len(self._register.messages)

    # -- workers, queues and the broker

    def _connected(self, row: Row) -> None:
        if isinstance(row[8], ConsumeOptions):  # publishers connect too
            self._register.workers[row[2]].auto_ack = row[8].auto_ack
            self._register.queues[row[3]].auto_acked |= row[8].auto_ack
        if row[1] == "connected":
            self._outages.connected(row[2])

    def _said_goodbye(self, row: Row) -> None:
        self._routing.said_goodbye(row[2])
        self._alarms.left(row[2])

    def _disconnected(self, row: Row) -> None:
        self._alarms.left(row[2])
        self._outages.disconnected(row[2])

    def _declared(self, row: Row) -> None:
        """Learn how a queue is declared, unless the broker told more of it: no client's declaration has its policy."""
        queue = self._register.queues[row[3]]
        asked = row[8] if isinstance(row[8], QueueOptions) else None
        if queue.options is None or queue.absent or queue.asked not in (None, asked):
            queue.options = asked
        queue.asked = asked
        queue.absent = False
        self._outages.declared(queue)

    def _emptied(self, row: Row) -> None:
        queue = self._register.queues[row[3]]
        if isinstance(row[8], int):  # of what goes, others have published what was not seen yet
            queue.published += max(0, row[8] - queue.ready - queue.unseen)
        queue.others = max(0, queue.others - queue.unseen)
        queue.unseen = 0
        if row[1] == "deleted":
            self._register.hands_let_go(queue, gone_in_hand(row[3]))
            self._register.queue_goes(queue)
            self._exchanges.forget_queue(row[3])
        self._register.end_all(queue, "discarded")

    def _exchange_declared(self, row: Row) -> None:
        if isinstance(row[8], ExchangeOptions):
            self._exchanges.declare(row[8])
            self._route_again(row[2])

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
        self._route_again(row[2])

    def _route_again(self, teller: str) -> None:
        """Look where messages may be that nobody could place, if the broker told of an exchange or a binding."""
        if teller == BROKER:
            self._routing.route_again()

    def _counted(self, row: Row) -> None:
        if isinstance(row[8], Counted):
            self._reckoning.take_in(row[3], row[8], row[0])

    def _broker(self, row: Row) -> None:
        change = row[8]
        if not isinstance(change, BrokerChange):
            return
        if change is BrokerChange.BLOCKED:
            self._alarms.begin()
        elif change.is_alarm:
            self._alarms.end(row[0])
        elif change.is_outage:
            self._alarms.broker_went()
            self._outages.begin()
        elif change is BrokerChange.UP:
            self._outages.end()


#: Who counts queues and tells of bindings.
BROKER = "broker"
