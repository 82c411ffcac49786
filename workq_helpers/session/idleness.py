"""`Idleness`: whether anything is left to happen, and if so what; and waiting until nothing is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from workq_helpers.clients.publisher import Publisher
from workq_helpers.clients.worker import Worker
from workq_helpers.errors import WaitTimeoutError
from workq_helpers.log.ledger import Ledger
from workq_helpers.log.stocktaking import Stocktaking, disagreements
from workq_helpers.session.virtual_host import COUNT_INTERVAL_SECONDS
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["Idleness"]

#: A message that was delivered so often and is still there goes round in a circle.
_OFTEN = 5


class Idleness:
    """Whether nothing is left to happen: all is published, delivered and worked on.

    Args:
        workers: Who works; it may grow meanwhile.
        publishers: Who publishes; it may grow too.
        ledger: Returns where the messages are, as the log has it now.
    """

    def __init__(
        self, workers: Collection[Worker], publishers: Collection[Publisher], ledger: Callable[[], Ledger]
    ) -> None:
        self._workers = workers
        self._publishers = publishers
        self._ledger = ledger

    def wait(self, timeout: float, stock: Stocktaking) -> None:
        """Wait until it is so, and the log agrees with the broker's counts.

        Args:
            timeout: Seconds to wait at most.
            stock: Holds the log against the counts.

        Raises:
            WaitTimeoutError: Something still went on, or log and broker differ; the message says what, or in what.
        """
        stock.ask()

        def is_idle() -> bool:
            return self._seems_so() and stock.look() and self._is_so(stock.counts)

        if not wait_until(is_idle, timeout, interval_seconds=COUNT_INTERVAL_SECONDS):
            raise WaitTimeoutError(
                f"Not idle after {timeout} seconds: {self._what_goes_on(stock.counts)}. "
                f"Wait longer with wait_until_idle(timeout=...)."
            )

    def _seems_so(self) -> bool:
        """Whether nobody here is at work, as far as can be told without the broker."""
        return not any(publisher.alive for publisher in self._publishers) and not any(
            worker.in_hand or worker.leaving or worker.state in ("starting", "reconnecting")
            for worker in self._workers
            if worker.alive and worker.state != "frozen"
        )

    def _is_so(self, counts: Mapping[str, QueueCounts]) -> bool:
        """Whether log and broker agree too, and no worker would still take a message."""
        ledger = self._ledger()
        return (
            self._seems_so()
            and not ledger.held_up()
            and not disagreements(ledger, counts)
            and not any(ledger.pending(queue) + ledger.unseen(queue) for queue in self._consumed_queues(ledger))
        )

    def _what_goes_on(self, counts: Mapping[str, QueueCounts]) -> str:
        ledger = self._ledger()
        clauses = [*self._busy(), *_round_in_a_circle(ledger), *_held_up(ledger)]
        if pending := sum(ledger.pending(queue) for queue in self._consumed_queues(ledger)):
            clauses.append(f"{pending} messages have not been delivered")
        return ", ".join(clauses + disagreements(ledger, counts)) or "something happened at each look"

    def _consumed_queues(self, ledger: Ledger) -> set[str]:
        """Return the queues from which some worker would still take a message."""
        return {
            worker.queue
            for worker in self._workers
            if worker.alive
            and worker.state != "frozen"
            and (worker.auto_ack or not worker.prefetch_count or ledger.in_hand(worker.name) < worker.prefetch_count)
        }

    def _busy(self) -> list[str]:
        publishing = [f"{publisher.name} is {publisher.state}" for publisher in self._publishers if publisher.alive]
        return publishing + [
            f"{worker.name} is {worker.state} with {worker.in_hand} in hand"
            for worker in self._workers
            if worker.alive and (worker.in_hand or worker.leaving or worker.state == "reconnecting")
        ]


def _round_in_a_circle(ledger: Ledger) -> list[str]:
    again = max(ledger, key=lambda message: message.deliveries, default=None)
    if again is None or again.deliveries < _OFTEN or again.place not in ("waiting", "in hand"):
        return []
    return [f"'{again.task}' was delivered {again.deliveries} times and always came back"]


def _held_up(ledger: Ledger) -> list[str]:
    held_up = ledger.held_up()
    why = "RabbitMQ takes no messages, for want of memory or disk"
    return [f"{why}, and {held_up} that were published are on their way"] if held_up else []
