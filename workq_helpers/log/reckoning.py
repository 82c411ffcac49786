"""`Reckoning`: what the broker's counts tell of the messages in a queue: which are gone, found again, or in doubt."""

from __future__ import annotations

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import Message, Queue
from workq_helpers.log.dead_letters import DeadLetters
from workq_helpers.log.details import Counted
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import (
    ELSEWHERE,
    ELSEWHERE_BEFORE,
    HELD_UP,
    MAY_BE_KEPT,
    MIXED,
    NOT_KEPT,
    REPLACED,
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
        queue.held_elsewhere = max(0, counted.unacknowledged - queue.unacknowledged)
        may_be_back = counted.ready - queue.ready - _others_own(queue)
        back = _found_again(queue, may_be_back)
        for message in back:
            self._register.leave_its_end(message)
            self._register.wait_again(message)
        self._clear_doubts(queue, counted)
        gone = max(queue.ready - counted.ready, self.overdue(queue, seconds))
        if gone > 0:
            self._miss(queue, gone, seconds, counted.agreed_seconds)
        unseen = max(0, counted.ready - queue.ready)
        self._tell_of_others(queue, may_be_back > len(back))
        queue.published += max(0, unseen - queue.unseen) + counted.unaccounted
        replaced = 0 if refuses_new(queue.options) else counted.unaccounted
        full = is_full(queue.options, counted.ready)
        self._may_be_gone(queue, first_out(queue, replaced), MIXED if full else REPLACED)
        if may_be_displaced(queue.options, counted.ready, unseen):
            self._may_be_gone(queue, queue.head(queue.ready), MIXED)
        queue.unseen = max(0, counted.ready - queue.ready)

    def overdue(self, queue: Queue, seconds: float) -> int:
        """Return how many messages of `queue` are past their time to live, which is looked for where there is one."""
        has_one = self._register.brief or (queue.options is not None and queue.options.ttl_seconds is not None)
        return overdue(queue, seconds) if has_one else 0

    def _queue_is_gone(self, name: str, queue: Queue, agreed_seconds: float) -> None:
        reason = missing_queue(name, queue.options, self._present())
        self._register.queue_goes(queue)
        self._exchanges.forget_queue(name)
        self._register.end_all(queue, "unknown", reason)
        self._register.hands_let_go(queue, gone_in_hand(name))
        self._doubt_what_was_answered(name, queue, agreed_seconds)

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

    @staticmethod
    def _tell_of_others(queue: Queue, may_be_there: bool) -> None:
        """Say of what others held, and hold no more, what may have become of it; what was found again has left."""
        held = [message for message in queue.missing if _was_with_others(message)]
        sure = [message for message in held if message not in queue.gone_for_good]  # the others may be still there
        if len(sure) > queue.held_elsewhere or not queue.held_elsewhere:
            is_gone = not queue.held_elsewhere and not may_be_there
            for message in held:
                message.reason = TAKEN if is_gone else ELSEWHERE_BEFORE
            queue.gone_for_good.update(held if is_gone else ())

    def _miss(self, queue: Queue, count: int, seconds: float, agreed_seconds: float) -> None:
        """Find out which messages of `queue` are gone, as far as its arguments and its order tell, and why."""
        options = queue.options
        for found in pick(queue, count, seconds, self._alarms.suspicion, agreed_seconds):
            message: Message = found.message
            queue.remove(message)
            if options is not None and options.dead_letter_exchange is not None and found.by_the_queue:
                self._dead_letters.hand_on(message, options, found.reason, seconds)
            else:
                self._register.arrive(message, "unknown", found.reason)
                if found.for_good:
                    queue.gone_for_good.add(message)
                if HELD_UP in found.reason:
                    self._alarms.held_up[message] = None

    def _may_be_gone(self, queue: Queue, messages: list[Message], reason: str) -> None:
        for message in messages:
            self._register.end(message, "unknown", reason)
            queue.gone_for_good.add(message)

    def _present(self) -> list[str]:
        return [name for name, queue in self._register.queues.items() if name and queue.options and not queue.absent]


def _was_with_others(message: Message) -> bool:
    return message.reason.startswith((ELSEWHERE, ELSEWHERE_BEFORE))


def _others_own(queue: Queue) -> int:
    """Return how many of the unseen are none of the missing, for sure: others held all of those till now."""
    in_question = (each for each in queue.missing if each not in queue.gone_for_good or _was_with_others(each))
    return queue.unseen if all(message.reason == ELSEWHERE for message in in_question) else 0


def _found_again(queue: Queue, count: int) -> list[Message]:
    """Return which messages that nobody knows of are among so many more that the broker has; none if many answers fit.

    All that may be are, or of what one client sent the last: it arrives in its order. What others held is not, while
    they hold any.
    """
    may_be = [message for message in queue.missing if message not in queue.gone_for_good]
    if queue.held_elsewhere:
        may_be = [message for message in may_be if not _was_with_others(message)]
    clients = {each.worker or each.publisher for each in may_be}
    in_order = all(message in queue.doubted for message in may_be) and len(clients) == 1
    return may_be[: max(0, count)] if count >= len(may_be) or in_order else []
