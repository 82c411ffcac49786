"""Why a message may be gone that nobody saw go: what its queue's arguments, its age and its connection allow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from workq_helpers.log.copies import Message, Queue
from workq_helpers.log.details import QueueOptions
from workq_helpers.log.order import Order, last_sent, lines, ranked, ranks, was_there, without
from workq_helpers.text import did_you_mean

__all__ = [
    "DIRECT_REPLY",
    "ELSEWHERE",
    "ELSEWHERE_BEFORE",
    "HELD_UP",
    "MAY_BE_KEPT",
    "MIXED",
    "NOT_KEPT",
    "NOT_KEPT_QUEUE",
    "REPLACED",
    "SHARED",
    "TAKEN",
    "UNREAD",
    "Gone",
    "Suspicion",
    "first_out",
    "gone_in_hand",
    "is_full",
    "may_be_displaced",
    "missing_queue",
    "no_queue",
    "overdue",
    "pick",
    "refuses_new",
]

#: How often a message may come back to a quorum queue that was declared without a limit, from RabbitMQ 4.0 on.
_USUAL_DELIVERY_LIMIT = 20

#: What RabbitMQ lets a client consume from without a queue: the answers to what it asked go to its channel at once.
DIRECT_REPLY = "amq.rabbitmq.reply-to"

#: Why a message is nowhere yet that was published during an alarm.
HELD_UP = "RabbitMQ takes no messages now, for want of memory or disk: it is on its way until that is over"

#: Why a message is nowhere that was settled during an alarm.
UNREAD = "settled, and RabbitMQ does not know yet: it reads nothing from its client, for want of memory or disk"

#: Why a message may be gone from a queue whose count tells nothing of it.
MIXED = "its queue is full, and others publish to it too: it is still there, or it was dropped for one of theirs"

#: Why a message may be gone though its queue has as many as before.
REPLACED = (
    "more was published to its queue than was seen here, and as much is gone: it is still there, or was taken or purged"
)

#: Why a message may be gone where messages of others are, and some of all those are not.
SHARED = (
    "others' messages were in its queue too, and some of all are gone, or with others: it is one of those, or was not"
)

#: Why a message is gone that nothing else explains.
TAKEN = "RabbitMQ has it no more: taken or purged by others, or sent to a consumer that has not read it"

#: Why a message is gone that others hold, and why once some of those that they held are not theirs any more.
ELSEWHERE = (
    "RabbitMQ has sent it, or another one in its place since, to a client that has not read it, or that nobody here "
    "observes"
)
ELSEWHERE_BEFORE = (
    "RabbitMQ may have sent it to a client that had not read it, or that nobody here observes; some of those were "
    "handed back or taken since, and nothing that was seen tells which"
)

#: Why a message is lost that did not outlive a restart, or may be.
NOT_KEPT = "it was not persistent, and RabbitMQ was restarted"
NOT_KEPT_QUEUE = "its queue was not durable, and RabbitMQ was restarted"
MAY_BE_KEPT = "it was not persistent, and sent while RabbitMQ was restarted: before, and it is lost, or after"
_HELD_BACK = "its queue holds it back before it gives it again (delayed retry)"
_IN_FLIGHT = "never confirmed: on its way, or not yet written, when the connection was lost"


class Gone(NamedTuple):
    """A message that is gone from its queue.

    Attributes:
        message: Which.
        reason: What may have become of it, in words.
        by_the_queue: Whether its queue dropped it, or handed it on as a dead letter.
        for_good: Whether a later count that is higher says nothing of it.
        with_others: Whether others have it or took it, since nothing else explains that it is gone.
        held_up: Whether the broker may not have read it yet, for want of memory or disk.
    """

    message: Message
    reason: str
    by_the_queue: bool = False
    for_good: bool = False
    with_others: bool = False
    held_up: bool = False


class Suspicion:
    """Which messages may have been under way when a connection was lost; numbers are of messages, in their order."""

    def __init__(self) -> None:
        self._under_way: set[str | None] = set()
        self._outage = 0
        self._blocked: dict[str, int] = {}
        self._alarm: int | None = None

    def were_under_way(self, marks: Iterable[str]) -> None:
        """Learn which messages were under way when their channel was lost, by their marks."""
        self._under_way.update(marks)

    def broker_went(self, before: int) -> None:
        """Learn that the broker went when there were so many messages."""
        self._outage = before

    def blocked(self, client: str, before: int) -> None:
        """Learn that the broker told a client to wait when there were so many messages."""
        self._blocked[client] = before

    def unblocked(self, client: str) -> None:
        """Learn that the broker takes messages from a client again, or has lost it."""
        self._blocked.pop(client, None)

    def alarm(self, before: int) -> None:
        """Learn that the broker takes no messages, and how many there were by then."""
        self._alarm = before

    def alarms_are_over(self) -> None:
        """Learn that the broker takes messages from everybody."""
        self._alarm = None
        self._blocked.clear()

    def holds_up(self, client: str) -> bool:
        """Whether the broker takes no messages from a client."""
        return self._alarm is not None or client in self._blocked

    def falls_on(self, message: Message) -> str:
        """Return why `message` may not have arrived, or not have been written; ``""`` if there is no reason."""
        if message.confirmed or message.deliveries:
            return ""
        if message.number < max(self._blocked.get(message.publisher, 0), self._alarm or 0):
            return HELD_UP
        return _IN_FLIGHT if message.mark in self._under_way or message.number < self._outage else ""


def pick(queue: Queue, count: int, seconds: float, suspicion: Suspicion, agreed_seconds: float) -> list[Gone]:
    """Return which of the messages that the log has waiting in a queue are gone, or may be, and why.

    A queue drops and hands out what is at its head, by priority where it has them. At its tail is what was under way
    when a connection was lost, and what a full queue did not take, if it was declared to refuse. Those come first that
    have a reason of their own. Where more of them may be gone than are, because of several clients' messages nobody
    sees the order, or because head and tail are in question, all those are returned.

    Args:
        queue: The queue.
        count: How many messages the broker has fewer.
        seconds: When the broker counted, on the log's clock.
        suspicion: Which messages may never have arrived.
        agreed_seconds: When the broker last counted what the log had.
    """
    options, waiting = queue.options, queue.head(queue.ready)
    in_turn = ranked(waiting, options)
    dropped = {message: causes for message in in_turn if (causes := _dropped(message, options, seconds))}
    held_back = [m for m in in_turn if m.deliveries and m not in dropped] if options and options.delayed_retry else []
    in_flight = {message: why for message in reversed(waiting) if (why := suspicion.falls_on(message))}
    refuses = refuses_new(options)
    not_taken = dict.fromkeys(m for m in reversed(waiting) if not m.confirmed and m.deliveries == 0) if refuses else {}
    limit = _limit(options) if _was_ever_full(queue) else ""
    is_full = not (options and options.max_length) or queue.ready - count >= options.max_length
    held, new_with_others = queue.held_elsewhere, max(0, queue.held_elsewhere - len(queue.lent))

    def gone(message: Message, elsewhere: bool, doubt: str) -> Gone:
        too_much = (
            bool(limit) and (not refuses or message in not_taken) and not (elsewhere and count <= new_with_others)
        )
        causes = [*dropped.get(message, ()), *([limit] if too_much else ())]
        by_the_queue = not doubt and (message in dropped or (too_much and _hands_on_what_is_too_much(options)))
        if message in in_flight:
            causes.append(in_flight[message])
            by_the_queue = False
        with_others = not causes
        if with_others:
            causes.append(ELSEWHERE if elsewhere else TAKEN)
        elif new_with_others and (too_much or message in dropped):
            causes.append(ELSEWHERE)
            by_the_queue &= message in dropped
        elif too_much and not is_full:
            causes.append(TAKEN)
        for_good = by_the_queue or bool(doubt) or (too_much and bool(new_with_others)) or (with_others and not held)
        held_up = in_flight.get(message) == HELD_UP
        return Gone(message, ", or ".join(causes) + doubt, by_the_queue, for_good, with_others, held_up)

    found = [gone(message, False, "") for message in itertools.islice(dropped, count)]
    back_later = min(count - len(found), len(held_back))
    if back_later:
        found += [Gone(message, _HELD_BACK) for message in held_back]
    left = count - min(count, len(dropped)) - back_later
    heads = [message for message in without(held_back, in_turn) if message not in dropped]
    tails = [message for message in dict.fromkeys([*in_flight, *not_taken]) if message not in dropped]
    order = Order(options, [message for message in heads if was_there(message, queue, agreed_seconds)])
    for group, number, elsewhere in _suspects(heads, tails, left, queue, order):
        doubt = _one_of(number, len(group)) if len(group) > number else ""
        found += [gone(message, elsewhere, doubt) for message in group]
    return found


def _suspects(
    heads: list[Message], tails: list[Message], count: int, queue: Queue, order: Order
) -> list[tuple[list[Message], int, bool]]:
    """Return groups of messages, how many of each are gone, and whether others hold those."""
    if tails and queue.auto_acked:  # what was sent to a consumer and not read is as likely as what did not arrive
        either = dict.fromkeys([*order.first(heads, count), *last_sent(tails, count)])
        return [(list(either), count, bool(queue.held_elsewhere))]
    from_tail = min(max(0, count - queue.held_elsewhere), len(tails))
    last = last_sent(tails, from_tail)
    held = min(count - from_tail, queue.held_elsewhere)
    first = order.first(without(last, heads), held)
    taken = count - from_tail - held
    drops_its_head = _limit(queue.options) and not refuses_new(queue.options)  # with what comes back, if that is oldest
    leave = order.first if drops_its_head else order.taken
    between = leave(without([*first, *last], heads), taken)
    return [(first, held, True), (between, taken, False), (last, from_tail, False)]


def _was_ever_full(queue: Queue) -> bool:
    """Whether so many messages came to a queue, as far as is known, that it may have had more than its limit."""
    limit = queue.options.max_length if queue.options else None
    return limit is None or queue.published + queue.letters > limit


def _one_of(number: int, of: int) -> str:
    return f"; or it is still there: {number} of {of} such messages are gone, and nothing that was seen tells which"


def overdue(queue: Queue, seconds: float) -> int:
    """Return how many messages at the head of a queue are past their time to live: RabbitMQ keeps none of those.

    A classic queue with priorities may: it does not look at the time of what came to its head by overtaking others.
    """

    def is_over(message: Message) -> bool:
        return bool(_expired(message, queue.options, seconds))

    if queue.options is not None and queue.options.max_priority is not None:
        return 0
    if not ranks(queue.options) and not any(map(is_over, queue.head(1))):
        return 0
    kept = []
    for line in lines(ranked(queue.head(queue.ready), queue.options), queue.options):
        over = sum(1 for _ in itertools.takewhile(is_over, line))
        kept += [over] if over < len(line) else []
    return min(kept, default=queue.ready)  # whichever line's turn it is, that many went before one that is kept


def may_be_displaced(options: QueueOptions | None, ready: int, unseen: int) -> bool:
    """Whether each message in a queue may be gone for one that others published, and the count be the same.

    Args:
        options: How the queue was declared, where that was seen.
        ready: How many messages the broker counts in it.
        unseen: How many of them nobody here has seen.
    """
    if options is None or not unseen or options.overflow != "drop-head":
        return False
    return options.max_length_bytes is not None or is_full(options, ready)


def is_full(options: QueueOptions | None, ready: int) -> bool:
    """Whether a queue drops a message for each that comes.

    Args:
        options: How the queue was declared, where that was seen.
        ready: How many messages the broker counts in it.
    """
    limit = None if options is None or options.overflow != "drop-head" else options.max_length
    return limit is not None and ready >= limit


def refuses_new(options: QueueOptions | None) -> bool:
    """Whether a queue refuses what comes when it is full; RabbitMQ counts that as published to it all the same."""
    if options is None or options.overflow == "drop-head":
        return False
    return options.max_length is not None or options.max_length_bytes is not None


def first_out(queue: Queue, count: int) -> list[Message]:
    """Return the messages that may be among the first `count` that leave a queue."""
    return Order(queue.options).taken(ranked(queue.head(queue.ready), queue.options), count)


def _expired(message: Message, options: QueueOptions | None, seconds: float) -> str:
    own = message.options.ttl_seconds if message.options else None
    times = [ttl for ttl in (own, options.ttl_seconds if options else None) if ttl is not None]
    if times and message.queued_seconds is not None and seconds - message.queued_seconds >= min(times):
        return f"expired: it may wait for {min(times):g} s"
    return ""


def _dropped(message: Message, options: QueueOptions | None, seconds: float) -> list[str]:
    """Return why its queue may have dropped a message, by what is known of the message."""
    causes = [expired] if (expired := _expired(message, options, seconds)) else []
    if options is not None and options.type == "quorum":
        usual = None if options.unlimited else _USUAL_DELIVERY_LIMIT
        limit = usual if options.delivery_limit is None else options.delivery_limit
        counted = message.deliveries - (message.nacks if options.free_nacks else 0)
        if limit is not None and 0 <= limit < counted:
            causes.append(f"delivered {message.deliveries} times, more often than its queue allows")
    return causes


def _hands_on_what_is_too_much(options: QueueOptions | None) -> bool:
    """Whether what a full queue drops is dead-lettered."""
    return options is None or options.overflow != "reject-publish"


def _limit(options: QueueOptions | None) -> str:
    if options is None:
        return ""
    if options.max_length is not None:
        return f"over its queue's limit of {options.max_length} messages"
    return "" if options.max_length_bytes is None else f"over its queue's limit of {options.max_length_bytes:,} bytes"


def gone_in_hand(name: str) -> str:
    """Return why nobody knows of what clients hold of a queue that is gone."""
    return f"the queue '{name}' is gone, and it with it: no answer settles it any more"


def missing_queue(name: str, options: QueueOptions | None, present: Iterable[str]) -> str:
    """Return why messages for a queue are nowhere that the broker does not have."""
    if options is None:
        return no_queue(name, present)
    if options.exclusive:
        return f"the queue '{name}' is gone: it was exclusive to a connection that is closed"
    if options.auto_delete:
        return f"the queue '{name}' is gone: it deletes itself with its last consumer"
    if options.expires_seconds is not None:
        return f"the queue '{name}' is gone: it expires after {options.expires_seconds:g} s unused"
    return f"the queue '{name}' is gone, and nobody here saw who deleted it"


def no_queue(name: str, present: Iterable[str]) -> str:
    """Return that there is no such queue, with the one that may be meant."""
    return f"there is no queue {name!r}{did_you_mean(name, present)}"
