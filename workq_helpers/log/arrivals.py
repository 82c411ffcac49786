"""`Arrivals`: what came into the queues by the broker's statistics, beyond what the log knows of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from workq_helpers.log.ledger import Ledger

__all__ = ["Arrivals"]

#: Statistics are seconds old: for so many looks at an unchanged log they are not asked for again.
_LOOKS = 5


class Arrivals:
    """Compares what the broker counts as published to each queue with what the log knows of.

    More of it than the log knows means that others publish, and where a queue has no more messages by that, as many
    are gone from it: ours, perhaps. The statistics come late, and never tell of too much.

    Args:
        ask: Asks the broker how many messages were published to each queue; it may have heard of fewer so far.
    """

    def __init__(self, ask: Callable[[], Mapping[str, int]]) -> None:
        self._ask = ask
        self._told: Mapping[str, int] = {}
        self._events = -1
        self._looks = 0
        self._before: dict[str, int] = {}  # what came into each queue and went, and concerns none that waits

    def beyond(self, ledger: Ledger, queues: Iterable[str]) -> dict[str, int]:
        """Return how many more messages came into each of these queues than the log knows of, where some of it wait.

        Args:
            ledger: Where the messages are, as the log has it now.
            queues: The queues in which as many messages are as the log has there.
        """
        told = self._statistics(ledger)
        found = {}
        for queue in queues:
            before = self._before.get(queue, 0)
            more = told.get(queue, 0) - ledger.published_to(queue) - before
            if more > 0 and ledger.pending(queue):
                found[queue] = more
            elif more > 0:
                self._before[queue] = before + more
        return found

    def ask_anew(self) -> None:
        """Have the next look ask, though the log has not changed since the last one."""
        self._events = -1

    def begin_again(self, ledger: Ledger) -> None:
        """Learn that a new log begins, in which nothing is that `ledger` knows of."""
        for queue in ledger.queues():
            self._before[queue] = self._before.get(queue, 0) + ledger.published_to(queue)
        self.ask_anew()

    def _statistics(self, ledger: Ledger) -> Mapping[str, int]:
        self._looks += 1
        if self._events != ledger.events or self._looks > _LOOKS:
            self._told, self._events, self._looks = self._ask(), ledger.events, 0
        return self._told
