"""`Routing`: into which queues what clients publish went, as far as that can be told."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

from workq_helpers.log.alarms import Alarms
from workq_helpers.log.copies import Message, Place
from workq_helpers.log.dead_letters import DeadLetters
from workq_helpers.log.details import CloseReason, PublishOptions, UnderWay
from workq_helpers.log.events import Row
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import DIRECT_REPLY
from workq_helpers.log.register import Register

__all__ = ["NO_QUEUES", "Routing"]

_NAMELESS = "it was sent to the default exchange with an empty routing key, and no queue has an empty name"
_STRAIGHT = "sent straight to the channel of who had asked for it (direct reply-to), and not seen there yet"

#: What is no queue's name, and why nobody knows of what is sent there.
NO_QUEUES = {"": _NAMELESS, DIRECT_REPLY: _STRAIGHT}


class Routing:
    """Makes a copy of each message for each queue that gets it.

    Args:
        register: Where the messages are.
        exchanges: The exchanges and bindings.
        dead_letters: What queues hand on.
        alarms: What the broker has not read.

    Attributes:
        newest: The copies of the message that was published last.
        adrift: What exchanges took, when no queue was known that gets it.
    """

    def __init__(self, register: Register, exchanges: Exchanges, dead_letters: DeadLetters, alarms: Alarms) -> None:
        self._register = register
        self._exchanges = exchanges
        self._dead_letters = dead_letters
        self._alarms = alarms
        self._sent_by: defaultdict[str, list[Message]] = defaultdict(list)  # by client, since its last goodbye
        self.newest: list[Message] = []
        self.adrift: list[Message] = []

    def published(self, row: Row) -> None:
        """Learn that a message was published."""
        options = row[8] if isinstance(row[8], PublishOptions) else None
        if options is not None and options.ttl_seconds is not None:
            self._register.brief = True
        if options is None or not (options.exchange or options.further_keys):
            self.newest = [self._sent_to_a_queue(row, options)]
        else:
            self.newest = self._sent_to_queues(row, options)
        self._alarms.hold_up(row[2], self.newest)

    def _sent_to_a_queue(self, row: Row, options: PublishOptions | None) -> Message:
        message = self._enter(self._register.new(row[4], row[5], row[3]), row, options)
        if options is not None and row[3] in NO_QUEUES and message.place == "waiting":
            self._register.end(message, "unknown", NO_QUEUES[row[3]])
        return message

    def _sent_to_queues(self, row: Row, options: PublishOptions) -> list[Message]:
        named = dict.fromkeys((row[3], *options.further_keys))
        queues = self._routed(options) if options.exchange else [name for name in named if name]
        first = self._enter(self._register.new(row[4], row[5], queues[0] if queues else ""), row, options)
        if not queues:
            self.adrift.append(first)
            self._register.end(first, "unknown", _adrift_reason(options.exchange, queues))
            return [first]
        return [first, *(self._enter(self._register.copy_of(first, queue), row, options) for queue in queues[1:])]

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

    def confirmed(self, row: Row) -> None:
        """Learn that the broker has a message."""
        first = self._register.by_mark.get(row[4] or "")
        if first is not None:
            first.confirmed = True
            first.arrived = len(self._register.messages)
            for sibling in first._siblings or ():
                sibling.confirmed, sibling.arrived = True, first.arrived
            if self._alarms.held_up:
                self._alarms.let_in(self._register.copies(row[4]), row[0])

    def went_back(self, row: Row) -> None:
        """Learn that a message was returned or refused."""
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

    def was_under_way(self, row: Row) -> None:
        """Learn what may not have arrived before its connection was lost."""
        if isinstance(row[8], UnderWay):
            self._alarms.suspicion.were_under_way(row[8].marks)
            for message in itertools.chain.from_iterable(map(self._register.copies, row[8].marks)):
                message.arrived = message.arrived if message.deliveries else math.inf

    def said_goodbye(self, client: str) -> None:
        """Take note that what a client has sent is where it belongs, but for what was under way."""
        for message in self._sent_by.pop(client, ()):
            if message.place == "waiting" and not self._alarms.suspicion.falls_on(message):
                message.arrived = min(message.arrived, len(self._register.messages))

    def route_again(self) -> None:
        """Look where messages may be that nobody could place, now that the broker tells of exchanges and bindings."""
        for message in self.adrift:
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


def _came_too_late(message: Message) -> str:
    return f"the queue '{message.queue}' was gone when it was published"


def _adrift_reason(exchange: str, queues: list[str] | None) -> str:
    if queues is None:
        return f"the exchange '{exchange}' took it, and nobody here saw where that leads"
    return f"the exchange '{exchange}' took it, and no binding for it was seen here"
