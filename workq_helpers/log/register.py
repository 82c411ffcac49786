"""`Register`: every copy of a message and where it is, with the queues and the clients that have or had it."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from workq_helpers.log.copies import ENDS, Delivery, Holder, Message, Place, Queue, Worker
from workq_helpers.log.details import QueueOptions

__all__ = ["MAY_BE_IN_A_QUEUE", "Register"]

#: Where a message may be that is delivered, though another of its id was seen later.
MAY_BE_IN_A_QUEUE: Final = ("waiting", "unknown")

#: How many of the messages that came to an end last are remembered for each end.
KEPT_ENDS = 24


class Register:
    """Where everything is, and what moves it; it decides nothing.

    Attributes:
        messages: All copies, in the order in which the log first mentions them.
        by_mark: The first copy of the newest publishing under each mark.
        twins: Older ones under the same mark.
        nameless: Those without a mark, by queue and task.
        queues: The queues by their names.
        workers: Who gets deliveries, by name.
        ended: How many messages are at each end.
        recent: Those that came there last.
        unread: What was settled during an alarm, and how each would end.
        brief: Whether a message was published that may not wait for ever.
        letters: What queues handed on when no queue was known that gets it, and how those queues are declared.
        overtaken: Who seemed to have a message when another client read a delivery of it, and may have got it last.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.by_mark: dict[str, Message] = {}
        self.twins: dict[str, deque[Message]] = {}
        self.nameless: defaultdict[tuple[str, str], deque[Message]] = defaultdict(deque)
        self.queues: defaultdict[str, Queue] = defaultdict(Queue)
        self.workers: defaultdict[str, Worker] = defaultdict(Worker)
        self.ended: dict[Place, int] = dict.fromkeys(ENDS, 0)
        self.recent: dict[Place, deque[Message]] = {place: deque(maxlen=KEPT_ENDS) for place in ENDS}
        self.unread: dict[Message, tuple[Place, str]] = {}
        self.brief = False
        self.letters: dict[Message, QueueOptions] = {}
        self.overtaken: dict[Message, Holder] = {}

    def new(self, mark: str | None, task: str, queue: str) -> Message:
        """Make a message that the log has not mentioned before."""
        message = Message(len(self.messages), mark, task, queue)
        self.messages.append(message)
        if mark is None:
            self.nameless[queue, task].append(message)
            return message
        if mark in self.by_mark:
            older = [copy for copy in self.copies(mark) if copy.place in MAY_BE_IN_A_QUEUE]
            self.twins.setdefault(mark, deque()).extend(older)
        self.by_mark[mark] = message
        return message

    def copy_of(self, message: Message, queue: str) -> Message:
        """Make another copy of a message, which was in the same publishing."""
        copy = Message(len(self.messages), message.mark, message.task, queue)
        self.messages.append(copy)
        copy.publisher, copy.options = message.publisher, message.options
        copy.published_seconds, copy.confirmed = message.published_seconds, message.confirmed
        if message.mark is not None:
            first = self.by_mark[message.mark]
            first._siblings = [*(first._siblings or ()), copy]
        return copy

    def copies(self, mark: str | None) -> list[Message]:
        """Return all copies of the newest publishing under a mark."""
        first = self.by_mark.get(mark or "")
        if first is None:
            return []
        return [first, *first._siblings] if first._siblings else [first]

    def was_settled_before(self, message: Message) -> bool:
        """Take a message for what it was before its last delivery, if an answer settled it that nothing has taken back.

        Either that answer came to nothing, which its client will hear, or the delivery was read after the one that was
        answered.
        """
        before, message._settled_before = message._settled_before, None
        if before is None:
            return False
        message.worker, message.delivery_tag = before.worker, before.delivery_tag
        self.arrive(message, before.place, before.reason)
        return True

    def may_come_back(self, message: Message) -> None:
        """Take note that of those that nobody knows of this one turns up again, if any does: the last come last."""
        queue = self.queues[message.queue]
        queue.missing = {message: None, **queue.missing}
        queue.doubted[message] = None

    def complete(self, delivery: Delivery) -> None:
        """Take note that a delivery was settled, and its message is done."""
        self.settle(delivery)
        self.arrive(delivery.message, "done")
        delivery.worker.done += 1

    def settle(self, delivery: Delivery) -> None:
        """Take note that a delivery is in nobody's hands any more."""
        delivery.settled = True
        delivery.worker.slots.pop(delivery, None)
        if not delivery.auto_ack:
            delivery.queue.unacknowledged -= 1
            delivery.queue.fetched.pop(delivery, None)

    def is_overtaken(self, delivery: Delivery) -> bool:
        """Whether another client read a delivery of its message when this one seemed to be the last."""
        holder = self.overtaken.get(delivery.message)
        return holder is not None and holder.delivery is delivery

    def hold_again(self, message: Message) -> None:
        """Give a waiting message back to who was overtaken: the other delivery was the one before."""
        delivery, message.worker, message.delivery_tag = self.overtaken.pop(message)
        self.queues[message.queue].remove(message)
        message.place = "in hand"
        message._delivery = delivery
        delivery.settled = False
        delivery.worker.slots[delivery] = None
        delivery.queue.unacknowledged += 1

    def over(self, delivery: Delivery) -> None:
        """Take note that the callback of a delivery has returned, or never will."""
        if not delivery.over:
            delivery.over = True
            delivery.worker.unfinished -= 1
            if delivery.worker.busy_with is delivery:
                delivery.worker.busy_with = None

    def wait_again(self, message: Message) -> None:
        """Have a message that was out wait in its queue again."""
        queue = self.queues[message.queue]
        message.place = "waiting"
        message.reason = ""
        message.started = False
        queue.put_back(message)
        if message.mark is None:
            self.nameless[message.queue, message.task].append(message)
        elif message not in self.copies(message.mark):
            self.twins.setdefault(message.mark, deque()).append(message)
        if queue.absent:
            self.end(message, "lost", f"the queue '{message.queue}' was gone when it was to go back to it")

    def end(self, message: Message, place: Place, reason: str = "") -> None:
        """End a waiting message."""
        self.queues[message.queue].remove(message)
        self.arrive(message, place, reason)

    def arrive(self, message: Message, place: Place, reason: str = "") -> None:
        """Take note where a message is that does not wait."""
        message.place = place
        message.reason = reason
        self.ended[place] += 1
        self.recent[place].append(message)
        if place == "unknown":
            self.queues[message.queue].missing[message] = None

    def leave_its_end(self, message: Message) -> None:
        """Take back that a message came to an end."""
        self.ended[message.place] -= 1
        self.unread.pop(message, None)
        self.letters.pop(message, None)
        queue = self.queues[message.queue]
        queue.gone_for_good.discard(message)
        for known in (queue.missing, queue.doubted, queue.lent):
            known.pop(message, None)

    @staticmethod
    def queue_goes(queue: Queue) -> None:
        """Take note that a queue is gone, and what was there with it: one that is declared later has none of it."""
        queue.absent = True
        queue.gone_for_good.update(queue.missing)
        queue.doubted.clear()
        queue.unseen = queue.held_elsewhere = queue.others = 0
        queue.lent.clear()

    def hands_let_go(self, queue: Queue, reason: str) -> None:
        """Take note that nothing settles any more what clients hold of a queue that is gone."""
        for delivery in self.held_of(queue):
            self.settle(delivery)
            self.arrive(delivery.message, "unknown", reason)

    def held_of(self, queue: Queue) -> list[Delivery]:
        """Return the deliveries of a queue that clients hold and have to acknowledge."""
        held = (slot for worker in self.workers.values() for slot in worker.slots)
        return [delivery for delivery in held if delivery.queue is queue and not delivery.auto_ack]

    def end_all(self, queue: Queue, place: Place, reason: str = "") -> None:
        """End all messages that wait in a queue."""
        for message in [*queue.again, *queue.fresh]:
            self.end(message, place, reason)
