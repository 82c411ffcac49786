"""`Channel`: what is known of one channel of a client's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from pika.amqp_object import Method

from workq_helpers.log.held import Held
from workq_helpers.log.in_flight import InFlight
from workq_helpers.log.published import Published

__all__ = ["CLOSED_BEFORE", "Channel", "Subscription", "up_to"]

#: Why what was sent on a channel came to nothing.
CLOSED_BEFORE = "RabbitMQ had closed the channel before it came"


class Subscription:
    """A consumer, or the one message that was asked for; `prefetch_count` is 0 where there is no limit of its own."""

    __slots__ = ("auto_ack", "delivered", "prefetch_count", "queue", "settled")

    def __init__(self, queue: str, auto_ack: bool, prefetch_count: int = 0) -> None:
        self.queue = queue
        self.auto_ack = auto_ack
        self.prefetch_count = prefetch_count
        self.delivered = 0
        self.settled = 0  # of which the broker has shown to know


class Channel:
    """What is known of one channel.

    Args:
        on_settled: Called for a delivery that bears no mark and was answered, once that has arrived or came to nothing.
    """

    def __init__(self, on_settled: Callable[[str, str, bytes, object], None]) -> None:
        self._on_settled = on_settled
        self.subscriptions: dict[str, Subscription] = {}
        self.asked_for: deque[Subscription] = deque()  # without a consumer tag: the broker gives one
        self.prefetch_count = 0
        self.own_prefetch_count = 0  # that each further consumer has for itself
        self.fetches: deque[Subscription] = deque()
        self.last_queue = ""  # an empty name stands for the queue that was declared last
        self.requests: deque[tuple[Method, int]] = deque()  # that wait for their answers, and how many methods it had
        self.closed = False  # by the broker, which ignores what comes after
        self.unsettled: dict[int, Held] = {}
        self.recovering = 0  # how many basic.recover are not answered: nothing settles what comes before they are
        self.withdrawn: set[int] = set()  # tags of deliveries whose consumer the broker canceled
        self.confirming = False
        self.published = 0
        self.unconfirmed: dict[int, Published] = {}
        self.transaction: list[Callable[[], None]] | None = None
        self.uncommitted: list[Published] = []
        self.committing = False
        self.in_flight = InFlight(self._arrived)

    def asked(self) -> Method | None:
        """Return what the next answer is to."""
        return self.requests[0][0] if self.requests else None

    def delivered_to(self, subscription: Subscription) -> None:
        """Learn of a delivery: the broker sent it because it knows that enough of those before are settled."""
        subscription.delivered += 1
        if subscription.prefetch_count:
            in_flight = self.in_flight
            while in_flight.sent and subscription.delivered - subscription.settled > subscription.prefetch_count:
                in_flight.first_arrived()

    def went_back(self, held: Held) -> None:
        """Learn that the broker took a delivery back, or knows that it is settled."""
        if (subscription := self.subscriptions.get(held.consumer_tag)) is not None:
            subscription.settled += 1

    def settle(self, tag: int, multiple: bool) -> tuple[Held, ...]:
        """Take out and return the deliveries that a method of this tag settles."""
        if not multiple:
            found = self.unsettled.pop(tag, None)
            return () if found is None else (found,)
        tags = list(self.unsettled) if tag == 0 else up_to(self.unsettled, tag)
        return tuple(self.unsettled.pop(known) for known in tags)

    def under_way(self) -> list[str]:
        """Return the marks of what was published and not shown to have arrived; of what has confirms those tell."""
        return [] if self.confirming else self.in_flight.marks()

    def forget_unconfirmed(self, published: Published) -> None:
        """Wait for no confirm of a message any more."""
        for number, told in list(self.unconfirmed.items()):
            if told is published:
                del self.unconfirmed[number]

    def _arrived(self, held: Held) -> None:
        self.went_back(held)
        if held.body is not None:
            self._on_settled(held.mark, held.queue, held.body, held.turn)


def up_to(numbers: Iterable[int], last: int) -> list[int]:
    """Return the numbers up to `last`; they come in order."""
    found = []
    for number in numbers:
        if number > last:
            break
        found.append(number)
    return found
