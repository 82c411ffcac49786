"""`Reckoning`: what the broker's counts tell of the messages in a queue: which are gone, found again, or in doubt."""

from __future__ import annotations

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import Message, Queue
from workq_helpers.log.dead_letters import DeadLetters
from workq_helpers.log.details import Counted
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import (
    ELSEWHERE_BEFORE,
    MAY_BE_KEPT,
    MIXED,
    NOT_KEPT,
    REPLACED,
    SHARED,
    TAKEN,
    first_out,
    gone_in_hand,
    is_full,
    may_be_displaced,
    missing_queue,
    overdue,
    pick,
    refuses_new,
)
from workq_helpers.log.register import Register

__all__ = ["Reckoning"]

_NOT_THERE = "; RabbitMQ has the message no more: what settled it had arrived, or it went another way"


class Reckoning:
    """Holds what the log has in a queue against what the broker counts there.

    Args:
        register: Where the messages are.
        exchanges: Where exchanges lead to.
        dead_letters: Ends what a queue hands on.
        alarms: What the broker has not read.
    """

    def __init__(self, register: Register, exchanges: Exchanges, dead_letters: DeadLetters, alarms: Alarms) -> None:
        self._register = register
        self._exchanges = exchanges
        self._dead_letters = dead_letters
        self._alarms = alarms

    def take_in(self, name: str, counted: Counted, seconds: float) -> None:
        """Take in what the broker counts once all is still: what it has not is gone, what it has besides is unseen."""
        queue = self._register.queues[name]
        if not counted.present:
            self._queue_is_gone(name, queue, counted.agreed_seconds)
            return
        queue.absent = False
        queue.options = counted.options or queue.options
        self._hold_again(queue, counted)
        held_before, mixed = queue.held_elsewhere, queue.unseen
        queue.held_elsewhere = max(0, counted.unacknowledged - queue.unacknowledged)
        there = counted.ready + queue.held_elsewhere
        back = _found_again(queue, min(there - queue.accounted, counted.ready - queue.ready))
        for message in back:
            self._register.leave_its_end(message)
            self._register.wait_again(message)
        self._clear_doubts(queue, counted)
        accounted = queue.accounted
        out = max(queue.ready + queue.unseen - counted.ready, queue.held_elsewhere - held_before)
        missed = max(0, queue.ready - counted.ready, self.overdue(queue, seconds))
        left, explained = self._miss(queue, missed, seconds, counted.agreed_seconds)
        come = there - (accounted - explained)
        if mixed or come > 0:
            left += self._may_be_among(queue, out - missed)
        self._account_for(queue, left, there, gone=come < 0, let_go=queue.held_elsewhere < held_before)
        unseen = max(0, counted.ready - queue.ready)
        queue.published += max(0, come) + counted.unaccounted
        replaced = 0 if refuses_new(queue.options) else counted.unaccounted
        full = is_full(queue.options, counted.ready)
        self._may_be_gone(queue, first_out(queue, replaced), MIXED if full else REPLACED)
        if may_be_displaced(queue.options, counted.ready, unseen):
            self._may_be_gone(queue, queue.head(queue.ready), MIXED)
        queue.unseen = max(0, counted.ready - queue.ready)
        queue.others = max(0, there - queue.ready - len(queue.lent) - len(_in_question(queue)))

    def _hold_again(self, queue: Queue, counted: Counted) -> None:
        """Give back to clients what the broker counts as theirs and the log has in the queue."""
        for message in [each for each in self._register.overtaken if each.place == "waiting"]:
            is_held = counted.unacknowledged > queue.unacknowledged and counted.ready < queue.ready
            if is_held and self._register.queues[message.queue] is queue:
                self._register.hold_again(message)

    def _may_be_among(self, queue: Queue, count: int) -> list[Message]:
        """End those of ours that may be among so many messages that left a queue, beside others'."""
        messages = first_out(queue, max(0, count))
        for message in messages:
            self._register.end(message, "unknown", SHARED)
        return messages

    def _account_for(self, queue: Queue, left: list[Message], there: int, *, gone: bool, let_go: bool) -> None:
        """Say of what left a queue, or had before, whether others have it: all of it, if nothing is gone since then."""
        lent = [*queue.lent]
        queue.lent.clear()
        if gone:
            is_sure = there <= queue.ready
            for message in lent if not queue.held_elsewhere else [*lent, *left]:
                message.reason = TAKEN if is_sure else ELSEWHERE_BEFORE
            queue.gone_for_good.update((*lent, *left))
        elif queue.held_elsewhere:
            queue.lent.update(dict.fromkeys((*lent, *left)))
            if let_go:
                for message in lent:
                    message.reason = ELSEWHERE_BEFORE
        else:
            queue.gone_for_good.update(left)
            for message in lent:
                self._register.leave_its_end(message)
                self._register.wait_again(message)

    def overdue(self, queue: Queue, seconds: float) -> int:
        """Return how many messages of `queue` are past their time to live, which is looked for where there is one."""
        has_one = self._register.brief or (queue.options is not None and queue.options.ttl_seconds is not None)
        return overdue(queue, seconds) if has_one else 0

    def _queue_is_gone(self, name: str, queue: Queue, agreed_seconds: float) -> None:
        reason = missing_queue(name, queue.options, self._present())
        self._exchanges.forget_queue(name)
        self._register.end_all(queue, "unknown", reason)
        self._register.hands_let_go(queue, gone_in_hand(name))
        self._doubt_what_was_answered(name, queue, agreed_seconds)
        self._register.queue_goes(queue)

    def _doubt_what_was_answered(self, name: str, queue: Queue, agreed_seconds: float) -> None:
        """Doubt acks of which nothing shows that they came before a queue was gone: RabbitMQ takes any in silence.

        A consumer is told that its queue is gone; who fetched is not.
        """
        for message, seconds in queue.answered.items():
            if message.place == "done" and seconds > agreed_seconds:
                self._register.workers[message.worker].done -= 1
                self._register.leave_its_end(message)
                self._register.arrive(message, "unknown", f"acknowledged, before or after the queue '{name}' was gone")
        queue.answered.clear()

    def _clear_doubts(self, queue: Queue, counted: Counted) -> None:
        """Say of what was settled that the broker has it no more; if it has some of it, nobody can tell which.

        What others hold may be just that, unless all that they hold is what waits by the log and is not ready.
        """
        has_no_more = counted.ready + queue.held_elsewhere <= queue.ready and not queue.unseen
        if queue.held_elsewhere and not has_no_more:
            return
        if has_no_more:
            self._alarms.read_on([message for message in queue.doubted if message in self._register.unread])
            for message in list(queue.doubted):
                if message.reason == MAY_BE_KEPT:
                    self._register.leave_its_end(message)
                    self._register.arrive(message, "lost", NOT_KEPT)
                else:
                    message.reason += _NOT_THERE
            queue.gone_for_good.update(queue.doubted)
        queue.doubted.clear()

    def _miss(self, queue: Queue, count: int, seconds: float, agreed_seconds: float) -> tuple[list[Message], int]:
        """Find out which messages of `queue` are gone, as far as its arguments and its order tell, and why.

        Returns:
            Those that others may have, and how many others are gone.
        """
        options = queue.options
        left, explained = [], 0
        for found in pick(queue, count, seconds, self._alarms.suspicion, agreed_seconds):
            message: Message = found.message
            queue.remove(message)
            if options is not None and options.dead_letter_exchange is not None and found.by_the_queue:
                for target in self._dead_letters.hand_on(message, options, found.reason, seconds):
                    self._register.queues[target].one_is_known()  # it may have been counted there
            else:
                self._register.arrive(message, "unknown", found.reason)
                if found.held_up:
                    self._alarms.held_up[message] = None
            if found.with_others:
                left.append(message)
            else:
                explained += 1
                if found.for_good:
                    queue.gone_for_good.add(message)
        new_with_others = max(0, queue.held_elsewhere - len(queue.lent) - len(left))
        return left, min(explained, max(0, count - new_with_others))

    def _may_be_gone(self, queue: Queue, messages: list[Message], reason: str) -> None:
        for message in messages:
            self._register.end(message, "unknown", reason)
            queue.gone_for_good.add(message)

    def _present(self) -> list[str]:
        return [name for name, queue in self._register.queues.items() if name and queue.options and not queue.absent]


def _in_question(queue: Queue) -> list[Message]:
    """Return what was seen in a queue, and may be there again without anybody's handing it back."""
    return [each for each in queue.missing if each not in queue.gone_for_good and each not in queue.lent]


def _found_again(queue: Queue, count: int) -> list[Message]:
    """Return which messages that nobody knows of are among so many more that the broker has; none if many answers fit.

    All that may be are, or of what one client sent the last: it arrives in its order.
    """
    may_be = _in_question(queue)
    clients = {each.worker or each.publisher for each in may_be}
    in_order = all(message in queue.doubted for message in may_be) and len(clients) == 1
    return may_be[: max(0, count)] if count >= len(may_be) or in_order else []
