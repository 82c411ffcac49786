"""`Outages`: what does not outlive a broker that goes, and whom that cut off."""

from __future__ import annotations

from workq_helpers.log.copies import Message, Queue
from workq_helpers.log.exchanges import Exchanges
from workq_helpers.log.fates import MAY_BE_KEPT, NOT_KEPT, NOT_KEPT_QUEUE
from workq_helpers.log.register import Register

__all__ = ["BY_AN_OUTAGE", "Outages"]

#: Why a message is lost that its broker did not keep.
BY_AN_OUTAGE = (NOT_KEPT, NOT_KEPT_QUEUE)


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


class Outages:
    """Forgets, as a broker does that goes, the queues and the messages that do not outlive it.

    Args:
        register: Where the messages are.
        exchanges: The exchanges and bindings.
    """

    def __init__(self, register: Register, exchanges: Exchanges) -> None:
        self._register = register
        self._exchanges = exchanges
        self._outage = _Outage()

    @property
    def is_going(self) -> bool:
        """Whether the broker is asked to go, and nobody whom it cut off is back yet."""
        return self._outage.going

    def connected(self, client: str) -> None:
        """Learn that a client has connected, perhaps again."""
        if client in self._outage.cut_off:
            self._outage.going = False
            self._outage.back.add(client)

    def disconnected(self, client: str) -> None:
        """Learn that a client has lost its connection, perhaps by this."""
        if self._outage.going or client in self._outage.back:
            self._outage.going = True
            self._outage.cut_off.setdefault(client, len(self._register.messages))
            self._outage.before = len(self._register.messages)

    def declared(self, queue: Queue) -> None:
        """Learn that a queue was declared, and so is there."""
        self._outage.declared.add(queue)

    def begin(self) -> None:
        """Learn that the broker goes."""
        self._outage = _Outage(going=True, asked=len(self._register.messages))
        self._exchanges.forget_transient()
        for name, queue in self._register.queues.items():
            if queue.transient:
                self._queue_goes(name, queue)
                self._register.end_all(queue, "lost", NOT_KEPT_QUEUE)

    def end(self) -> None:
        """Learn that it is up again."""
        if self._outage.going:  # nobody whom it cut off has told since which of them it is
            self._outage.before = len(self._register.messages)
        for name, queue in self._register.queues.items():
            if queue.keeps_some or (queue.transient and queue not in self._outage.declared):
                self._forget_what_was_not_kept(name, queue)
        self._outage = _Outage()

    def _queue_goes(self, name: str, queue: Queue) -> None:
        self._register.queue_goes(queue)
        self._exchanges.forget_queue(name)

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
