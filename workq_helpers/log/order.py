"""`Order`: in which order messages leave a queue, as far as that is known."""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable

from workq_helpers.log.copies import Message, Queue
from workq_helpers.log.details import QueueOptions

__all__ = ["Order", "last_sent", "lines", "ranked", "ranks", "was_there", "without"]

#: What a message without a priority has in a quorum queue, which orders by them from RabbitMQ 4.0 on.
_USUAL_PRIORITY = 4
#: The highest that a quorum queue tells from others; seen on RabbitMQ 4.3.6.
_HIGHEST_PRIORITY = 31


class Order:
    """In which order messages leave a queue, as far as that is known.

    Args:
        options: How the queue was declared.
        together: Those of its messages that were there at one time, and have not left since.
    """

    def __init__(self, options: QueueOptions | None, together: Iterable[Message] = ()) -> None:
        self._options = options
        self._together = set(together)

    def first(self, messages: list[Message], count: int) -> list[Message]:
        """Return which messages, `ranked`, may be among the first `count` that left.

        A message leaves after another if that was there whenever it was, and goes first. What has a higher priority and
        came later may have come when it was gone: of that nobody sees the time. Nor whose turn it was, where a queue
        takes turns.
        """
        return [message for line in lines(messages, self._options) for message in self._first_of(line, count)]

    def _first_of(self, line: list[Message], count: int) -> list[Message]:
        found, before, ahead = [], _Came(), 0
        for _, peers in itertools.groupby(line, functools.partial(_priority, options=self._options)):
            before_among_peers, together = _Came(), 0
            for message in peers:
                was_there = message in self._together
                if (ahead + before_among_peers.of(message) if was_there else before.of(message)) < count:
                    found.append(message)
                before.add(message, -1 if was_there else message.arrived)
                before_among_peers.add(message, message.arrived)
                together += was_there
            ahead += together
        return found

    def taken(self, messages: list[Message], count: int) -> list[Message]:
        """Return which messages may be those `count` that went; what was delivered once may have been in hand then."""
        if count == 0:
            return []
        again = [message for message in messages if message.deliveries]
        return [*again, *self.first(without(again, messages), count)]


class _Came:
    """When messages came to a queue: those of each client in their order, and nobody sees that of several.

    But where one was known to be there before another was sent. When a dead letter came, or one of others, nobody saw.
    """

    def __init__(self) -> None:
        self._there: list[float] = []
        self._there_of: defaultdict[str, list[float]] = defaultdict(list)
        self._came_of: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, message: Message, arrived: float) -> None:
        """Take in a message, with how many there were when it was known to be there."""
        insort(self._there, arrived)
        insort(self._there_of[message.publisher], arrived)
        insort(
            self._came_of[message.publisher], min(arrived, math.inf if _came_unseen(message) else message.number + 1)
        )

    def of(self, message: Message) -> int:
        """Return how many of them came before another message."""
        nobody_knows = -2 if message.deliveries else -1  # of two that were delivered neither has to be the first
        sent = nobody_knows if _came_unseen(message) else message.number
        before = nobody_knows if message.deliveries else sent
        own, there = self._came_of[message.publisher], self._there_of[message.publisher]
        return bisect_right(own, sent) + bisect_right(self._there, before) - bisect_right(there, before)


def _came_unseen(message: Message) -> bool:
    """Whether nobody saw when a message came to its queue: a dead letter, or one that others published."""
    return bool(message.deaths) or message.published_seconds is None


def last_sent(messages: list[Message], count: int) -> list[Message]:
    """Return which messages may be among the last `count`: before each goes what its client sent later."""
    later: Counter[str] = Counter()
    found = []
    for message in messages:
        if later[message.publisher] < count:
            found.append(message)
        later[message.publisher] += 1
    return found


def was_there(message: Message, queue: Queue, agreed_seconds: float) -> bool:
    """Whether a message has been in its queue without a break since the broker last counted what the log had."""
    return message in queue.fresh and message.queued_seconds is not None and message.queued_seconds <= agreed_seconds


def without(some: list[Message], messages: list[Message]) -> list[Message]:
    """Return messages but for some of them."""
    left_out = set(some)
    return [message for message in messages if message not in left_out]


def ranked(waiting: list[Message], options: QueueOptions | None) -> list[Message]:
    """Return messages in the order in which their queue gives them out."""
    if not ranks(options):
        return waiting
    return sorted(waiting, key=lambda message: _priority(message, options), reverse=True)


def lines(in_turn: list[Message], options: QueueOptions | None) -> list[list[Message]]:
    """Return messages, `ranked`, as their queue lines them up: in one line, or in two that take turns."""
    if options is None or not options.takes_turns:
        return [in_turn]
    return [list(peers) for _, peers in itertools.groupby(in_turn, functools.partial(_priority, options=options))]


def ranks(options: QueueOptions | None) -> bool:
    """Whether a queue orders its messages by anything but their arrival."""
    if options is None or options.in_order:
        return False
    return options.max_priority is not None or options.type == "quorum"


def _priority(message: Message, options: QueueOptions | None) -> int:
    """Return what its queue orders a message by, before the order of arrival."""
    own = message.options.priority if message.options else None
    if options is None or options.in_order:
        return 0
    if options.max_priority is not None:
        return min(own or 0, options.max_priority)
    if options.type != "quorum":
        return 0
    priority = _USUAL_PRIORITY if own is None else own
    return priority > _USUAL_PRIORITY if options.takes_turns else min(priority, _HIGHEST_PRIORITY)
