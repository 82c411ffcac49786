"""`InHand`: deliveries, from when a client gets them until they are settled or go back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import Delivery, Holder, Message, Place, Queue, Settled
from workq_helpers.log.dead_letters import REJECTED, DeadLetters
from workq_helpers.log.details import ConsumeOptions, FetchOptions, Handback
from workq_helpers.log.events import Row
from workq_helpers.log.fates import UNREAD
from workq_helpers.log.outages import BY_AN_OUTAGE, Outages
from workq_helpers.log.register import MAY_BE_IN_A_QUEUE, Register

__all__ = ["InHand", "key_of"]

#: Where a delivery that was settled went.
_SETTLED = ("done", "discarded", "dead-lettered")

#: A delivery, by its worker, its tag, its message's mark and its queue.
Key = tuple[str, int | None, str | None, str]


class InHand:
    """Moves messages by what clients do with their deliveries.

    Args:
        register: Where the messages are.
        dead_letters: What queues hand on.
        alarms: What the broker has not read.
        outages: Whether the broker goes.

    Attributes:
        last: The delivery that was made last.
    """

    last: Delivery

    def __init__(self, register: Register, dead_letters: DeadLetters, alarms: Alarms, outages: Outages) -> None:
        self._register = register
        self._dead_letters = dead_letters
        self._alarms = alarms
        self._outages = outages
        self._deliveries: dict[Key, Delivery] = {}

    def delivery_of(self, row: Row) -> Delivery | None:
        """Return the delivery that an event is about, as long as it is not settled or its callback is at work."""
        return self._deliveries.get(key_of(row))

    # -- delivering

    def delivered(self, row: Row) -> None:
        """Learn that a message was delivered."""
        _, _, actor, queue_name, mark, _, _, _, detail = row
        queue = self._register.queues[queue_name]
        worker = self._register.workers[actor]
        queue.absent = False
        key = key_of(row)
        if key in self._deliveries:
            self.requeued(row)
        message = self._register.by_mark.get(mark) if mark is not None else None
        if message is None or message.place != "waiting" or message.queue != queue_name:
            if (overtaken := self._overtaken(row)) is not None:
                self._came_late(key, Delivery(overtaken, queue, worker))
                return
            message = self._find(row)
        self._leave_its_place(message, queue, actor)
        delivery = Delivery(message, queue, worker)
        self._hand_over(delivery, row)
        self._deliveries[key] = self.last = delivery
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

    def _leave_its_place(self, message: Message, queue: Queue, client: str) -> None:
        """Take a message from where it was before it was delivered to a client."""
        overtaken = self._register.overtaken
        overtaken.pop(message, None)
        if message.place == "waiting":
            self._register.queues[message.queue].remove(message)
        elif message.place == "in hand":
            if message._delivery is not None:
                if not message._delivery.auto_ack and message.worker != client:
                    overtaken[message] = Holder(message._delivery, message.worker, message.delivery_tag)
                self._register.settle(message._delivery)
        else:
            if message.place in ("unknown", "lost"):
                queue.others += message in queue.lent
                queue.one_is_known()
            elif message.place in _SETTLED and message.worker != client:  # one client's events are in their order
                before = Settled(message.place, message.reason, message.worker, message.delivery_tag)
                message._settled_before = before
            self._register.leave_its_end(message)

    @staticmethod
    def _hand_over(delivery: Delivery, row: Row) -> None:
        """Put a message into the hands of the client that it was delivered to."""
        _, _, actor, queue_name, _, _, tag, redelivered, _ = row
        message, worker = delivery.message, delivery.worker
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
        worker.delivered += 1
        worker.slots[delivery] = None
        worker.unfinished += 1

    def _overtaken(self, row: Row) -> Message | None:
        """Return the message of a first delivery that is read after its redelivery to another, or ``None``."""
        _, _, _, queue, mark, _, _, redelivered, _ = row
        known = next((copy for copy in self._register.copies(mark) if copy.queue == queue), None)
        if known is None or redelivered or not known.redelivered or known.place in MAY_BE_IN_A_QUEUE:
            return None
        twins = (each for each in self._register.twins.get(mark or "", ()) if each.queue == queue)
        return None if any(each.place in MAY_BE_IN_A_QUEUE for each in twins) else known

    def _came_late(self, key: Key, delivery: Delivery) -> None:
        """Take note of a delivery that was over for the broker when its worker read it."""
        delivery.settled = True
        delivery.message.deliveries += 1
        self._deliveries[key] = self.last = delivery
        delivery.worker.delivered += 1
        delivery.worker.unfinished += 1

    def _find(self, row: Row) -> Message:
        """Find the copy of a delivery that is not simply the waiting one of its mark."""
        _, _, _, queue, mark, task, _, redelivered, _ = row
        copies = self._register.copies(mark)
        known = next((copy for copy in reversed(copies) if copy.queue == queue), None)
        keeps = self._register.queues[queue].keeps_what_was_read
        if known is not None and known.place in MAY_BE_IN_A_QUEUE:
            return known
        older = self._register.nameless[queue, task] if mark is None else self._register.twins.get(mark, deque())
        if known is not None and (redelivered or keeps):  # it comes again, unless one waits that was sent before it
            twin = next((each for each in older if each.queue == queue and each.place == "waiting"), None)
            if twin is not None:
                older.remove(twin)
            return twin or known
        for message in [each for each in older if each.queue == queue]:
            older.remove(message)
            if message.place in MAY_BE_IN_A_QUEUE:
                return message
        # What was given up for a restart may still be delivered before the broker goes, or was sent to the next one.
        if known is not None and known.place == "lost" and (self._outages.is_going or known.reason in BY_AN_OUTAGE):
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

    def started(self, row: Row) -> None:
        """Learn that a client's callback has begun."""
        delivery = self._deliveries.get(key_of(row))
        if delivery is not None:
            delivery.started = True
            delivery.started_seconds = row[0]
            delivery.worker.busy_with = delivery
            delivery.message.worked += 1
            if delivery.message._delivery is delivery:
                delivery.message.started = True

    def ended(self, row: Row) -> None:
        """Learn that it has returned or raised, which is all that becomes of a delivery under auto-ack."""
        key = key_of(row)
        delivery = self._deliveries.get(key)
        if delivery is None:
            return
        self._register.over(delivery)
        if delivery.auto_ack and not delivery.settled:
            if row[1] == "finished":
                self._register.complete(delivery)
            else:
                self._register.settle(delivery)
                self._register.arrive(delivery.message, "lost")
        self._forget_settled(key, delivery)

    # -- settling

    def acked(self, row: Row) -> None:
        """Learn that a client acknowledged a delivery."""
        key = key_of(row)
        delivery = self._deliveries.get(key)
        if delivery is None:
            return
        self._may_have_been_last(delivery, row, "done")
        if not delivery.settled:
            if delivery in delivery.queue.fetched:
                delivery.queue.answered[delivery.message] = row[0]
            self._register.complete(delivery)
        self._forget_settled(key, delivery)

    def nacked(self, row: Row) -> None:
        """Learn that it handed one back, or threw it away."""
        key = key_of(row)
        delivery = self._deliveries.get(key)
        if delivery is not None and row[8] is Handback.DISCARD:
            self._may_have_been_last(delivery, row, "discarded")
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

    def _may_have_been_last(self, delivery: Delivery, row: Row, place: Place) -> None:
        """Find out, where a client settles what another seems to have got since, which of them got it last.

        Each client reads at its own pace, and both deliveries were redeliveries. Who settles it has a channel, or
        hears soon that it has none; what the other one's end gave back went to this one, then.
        """
        message = delivery.message
        if not self._register.is_overtaken(delivery):
            return
        if message.place == "waiting":
            self._register.hold_again(message)
        elif message.place == "in hand":
            message._settled_before = Settled(place, "", row[2], row[6])
            delivery.worker.done += place == "done"
            del self._register.overtaken[message]

    def requeued(self, row: Row) -> None:
        """Learn that a delivery went back to its queue."""
        message = self._taken_away(row)
        if message is not None:
            self._goes_back(message)

    def lost(self, row: Row) -> None:
        """Learn that a delivery is nobody's."""
        message = self._taken_away(row)
        if message is not None:
            self._register.arrive(message, "lost", str(row[8]))

    def _taken_away(self, row: Row) -> Message | None:
        """End a delivery that its client did not settle, and return its message; ``None`` if that was settled."""
        delivery = self._deliveries.pop(key_of(row), None)
        if delivery is None:
            return None
        self._register.over(delivery)
        if delivery.settled:
            if self._register.is_overtaken(delivery):
                del self._register.overtaken[delivery.message]
            return None
        self._register.settle(delivery)
        return delivery.message

    def _goes_back(self, message: Message) -> None:
        """Have a message that was delivered wait again, unless that delivery was of no account."""
        if not self._register.was_settled_before(message):
            self._register.wait_again(message)

    def unknown(self, row: Row) -> None:
        """Learn that nobody knows of a delivery, of what was settled, or of a message that waits."""
        delivery = self._deliveries.get(key_of(row))
        message = None if delivery is None or delivery.settled else self._taken_away(row)
        if message is not None:
            if not self._register.was_settled_before(message):
                self._register.arrive(message, "unknown", str(row[8]))
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

    def ack_dropped(self, row: Row) -> None:
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

    def _forget_settled(self, key: Key, delivery: Delivery) -> None:
        if delivery.settled and not delivery.started:
            self._register.over(delivery)  # settled without a callback, as the notebook itself does after basic_get
        if delivery.settled and delivery.over and not self._register.is_overtaken(delivery):
            del self._deliveries[key]
            if delivery.message._delivery is delivery:
                delivery.message._delivery = None  # of all that were ever done, none is kept


def key_of(row: Row) -> Key:
    """Return what tells the delivery that an event is about from others."""
    # The mark keeps a callback that outlives its connection from speaking for the new one's same tag.
    return row[2], row[6], row[4], row[3]
