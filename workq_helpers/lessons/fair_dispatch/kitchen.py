"""What checks and predictions of "Fair dispatch" ask of what was seen: who worked, and how much."""

from __future__ import annotations

from collections.abc import Sequence

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.fair_dispatch.prefetch_sweep import Run, read_run
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.evidence import NO_WORKER, Evidence, Subscription

__all__ = ["dots_of", "runs", "two_or_more"]


def runs(seen: Evidence) -> dict[int, list[Run]]:
    """Return what each worker did, by its prefetch count."""
    by_count: dict[int, list[Run]] = {}
    for worker in seen.consumers.values():
        rows = [event for event in seen.events if event.actor == worker.name]
        got = sum(event.kind == "delivered" for event in rows)
        if got and not worker.auto_ack:
            by_count.setdefault(worker.prefetch_count, []).append(read_run(worker.prefetch_count, got, rows))
    return by_count


def two_or_more(seen: Evidence) -> list[Subscription]:
    """Return the workers.

    Raises:
        CheckFailedError: There are fewer than two.
    """
    workers = list(seen.consumers.values())
    if not workers:
        raise CheckFailedError(NO_WORKER)
    if len(workers) < 2:
        raise CheckFailedError(f"Only {workers[0].name} was started. Start two workers, then send.")
    return workers


def dots_of(messages: Sequence[Message], workers: Sequence[Subscription]) -> dict[str, int]:
    """Return how many dots of work each worker did last."""
    return {
        worker.name: sum(message.task.count(".") for message in messages if message.worker == worker.name)
        for worker in workers
    }
