"""`RestingQueues`: the queues of a part that is over, though the broker still has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workq_helpers.log.events import Row

__all__ = ["RestingQueues"]

#: Kinds that show a client at work with the queue.
_USES = frozenset({"starting", "connected", "published", "delivered"})


class RestingQueues:
    """The queues that were used and then left: since another one was declared, no client has turned to them."""

    def __init__(self) -> None:
        self._declared: set[str] = set()
        self._used: set[str] = set()
        self._left: set[str] = set()

    def __contains__(self, queue: str) -> bool:
        return queue in self._left

    def update(self, rows: Iterable[Row], alike: Mapping[tuple[str, str, str, bool], int]) -> None:
        """Take in the rows that follow those taken in before.

        Args:
            rows: The rows.
            alike: How many of them are alike, as `narration.count_alike` has it.
        """
        order_matters = any(kind == "declared" for kind, *_ in alike)
        told = [(row[1], row[3]) for row in rows] if order_matters else [(kind, queue) for kind, _, queue, _ in alike]
        for kind, queue in told:
            if queue and (kind in _USES or kind == "declared"):
                self._turn_to(queue, declares=kind == "declared")

    def _turn_to(self, queue: str, declares: bool) -> None:
        if declares and queue not in self._declared:
            self._declared.add(queue)
            self._left |= self._used
        if not declares:
            self._used.add(queue)
        self._left.discard(queue)
