"""`InFlight`: the methods that a channel sent and that nothing has shown to have arrived."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable

from pika import spec
from pika.amqp_object import Method

from workq_helpers.log.held import Held
from workq_helpers.log.published import Published
from workq_helpers.log.settling import takes_away

__all__ = ["InFlight", "Sent"]

#: How many of the methods sent last are remembered, for the case that the broker closes the channel for one of them.
_REMEMBERED = 5_000

#: A method that the broker may close the channel for: the how-manieth it was, itself, and what it published or settled.
Sent = tuple[int, Method, Published | None, tuple[Held, ...]]


class InFlight:
    """What the broker may not have come to yet; it comes to methods in their order.

    Args:
        on_settled: Called for each delivery that was settled, once that has arrived or came to nothing.
    """

    def __init__(self, on_settled: Callable[[Held], None]) -> None:
        self._on_settled = on_settled
        #: How many methods were sent, those that arrived included.
        self.count = 0
        self.sent: deque[Sent] = deque()
        self._published_before: list[str] = []  # marks of what is not remembered any more, nor shown to have arrived

    def remember(self, method: Method, told: Published | None, settled: tuple[Held, ...]) -> int:
        """Remember a method, and return its number."""
        self.count += 1
        if len(self.sent) == _REMEMBERED:
            if (first := self.sent[0][2]) is not None:
                self._published_before.append(first.mark)
            self._forget_first()
        self.sent.append((self.count, method, told, settled))
        return self.count

    def arrived_up_to(self, number: int) -> None:
        """Forget methods that the broker has shown to have taken."""
        while self.sent and self.sent[0][0] <= number:
            self.first_arrived()

    def first_arrived(self) -> None:
        """Forget the oldest method: the broker has shown to have taken it."""
        self._published_before.clear()
        self._forget_first()

    def all_arrived(self) -> None:
        """Forget all of them."""
        self.arrived_up_to(self.count)

    def marks(self) -> list[str]:
        """Return the marks of what was published."""
        return [*self._published_before, *(told.mark for _, _, told, _ in self.sent if told is not None)]

    def takes_away(self) -> bool:
        """Whether there is one that takes deliveries from their queues for good."""
        return any(takes_away(each[1]) for each in self.sent)

    def suspects(self, method: spec.Channel.Close, text: str) -> list[int]:
        """Return which of `sent` the broker closed the channel for: the one, or if that can't be told all it may be."""
        index = method.class_id << 16 | method.method_id
        alike = [at for at, each in enumerate(self.sent) if index == each[1].INDEX]
        meant = (at for at in alike if _is_meant(self.sent[at], text))
        return [*itertools.islice(meant, 1)] or alike

    def _forget_first(self) -> None:
        for held in self.sent.popleft()[3]:
            self._on_settled(held)


def _is_meant(sent: Sent, text: str) -> bool:
    """Whether the broker's words for closing a channel fit this method and hardly another."""
    _, method, told, settled = sent
    if told is None:
        tag = getattr(method, "delivery_tag", 0)
        return not settled and bool(re.search(rf"unknown delivery tag {tag}\b", text))
    if "no exchange" in text:
        return f"no exchange '{told.exchange}'" in text
    if "user_id" in text:
        return told.user_id is not None and f"set to '{told.user_id}'" in text
    if "invalid expiration" in text:
        return told.expiration is not None and f"invalid expiration '{told.expiration}'" in text
    size = re.search(r"message size (\d+)", text)
    return size is not None and told.size == int(size[1])
