"""What outlives a restart: the messages that were sent, as the log has them, against those that are still there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from workq_helpers.log.details import PublishOptions, QueueOptions
from workq_helpers.log.events import Event
from workq_helpers.log.messages import is_persistent
from workq_helpers.rabbitmq.connecting import open_connection
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from pika.spec import BasicProperties

    from workq_helpers.rabbitmq.management import QueueCounts
    from workq_helpers.session import Session

__all__ = ["Sent", "Waiting", "counts_with", "fates", "is_persistent", "sent_to", "survivors", "waiting"]

Counts = Mapping[str, "QueueCounts"]

#: How long a queue may take to come back with what is in it; a quorum queue elects its leader first.
_COUNTS_SECONDS = 20.0
_LOOK_SECONDS = 0.1


class Sent(NamedTuple):
    """What was sent to one queue.

    Attributes:
        declared: How the queue was declared, or ``None`` if the log saw no declaration.
        transient: How many messages that ask for nothing.
        persistent: How many that ask to be kept on disk.
        confirmed: How many the broker has confirmed.
    """

    declared: QueueOptions | None = None
    transient: int = 0
    persistent: int = 0
    confirmed: int = 0

    @property
    def messages(self) -> int:
        """How many in all."""
        return self.transient + self.persistent

    @property
    def is_in_a_transient_queue(self) -> bool:
        """Whether the queue was declared as one that a restart ends."""
        return self.declared is not None and not self.declared.durable


def sent_to(events: Iterable[Event]) -> dict[str, Sent]:
    """Return what was sent to each queue, in the order in which the log mentions them.

    Args:
        events: A log, or part of one; a message that was published twice counts once.
    """
    declared: dict[str, QueueOptions] = {}
    kinds: dict[str, tuple[set[str | None], set[str | None], set[str | None]]] = {}
    for event in events:
        if event.kind == "declared" and isinstance(event.detail, QueueOptions):
            declared[event.queue] = event.detail
        if event.kind in ("declared", "published", "confirmed"):
            transient, persistent, confirmed = kinds.setdefault(event.queue, (set(), set(), set()))
        if event.kind == "published":
            kept = isinstance(event.detail, PublishOptions) and event.detail.persistent
            (persistent if kept else transient).add(event.mark)
        elif event.kind == "confirmed":
            confirmed.add(event.mark)
    return {queue: Sent(declared.get(queue), *map(len, ids)) for queue, ids in kinds.items()}


class Waiting(NamedTuple):
    """A message that waits in a queue."""

    properties: BasicProperties
    body: bytes


def waiting(lesson: Session, queue: str) -> list[Waiting]:
    """Return the messages that wait in a queue; they stay there.

    The log sees nothing of this. It takes a round trip a message, so it is meant for a few.
    """
    found: list[Waiting] = []
    with open_connection(lesson.broker.endpoint.on(lesson.virtual_host)) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(queue=queue)
            if method is None or properties is None or body is None:
                return found  # closing the connection puts them all back
            found.append(Waiting(properties, body))


def counts_with(counts: Callable[[], Counts], expected: Mapping[str, int]) -> Counts:
    """Return the broker's counts once it counts what is expected, or when there is no point in waiting longer.

    Args:
        counts: Asks the broker.
        expected: How many ready messages each queue should have at least; one that is missing counts as empty.
    """

    def are_all_there(seen: Counts) -> bool:
        return all(name in seen and seen[name].ready >= number for name, number in expected.items())

    return wait_until(counts, _COUNTS_SECONDS, accept=are_all_there, interval_seconds=_LOOK_SECONDS)


def fates(lesson: Session) -> pd.DataFrame:
    """Return what is left of the messages that were sent: a row a queue, a column for each kind of message.

    Args:
        lesson: The lesson; its queues must hold few messages.
    """
    rows = {}
    sent = sent_to(lesson.log)
    # A quorum queue keeps every message, and needs a moment to be back.
    expected = {
        queue: each.messages for queue, each in sent.items() if each.declared and each.declared.type == "quorum"
    }
    present = counts_with(lesson.queue_counts, expected)
    for queue, each in sent.items():
        label = f"{queue} ({each.declared or 'never declared'})"
        if queue in present:
            kinds = [is_persistent(message.properties) for message in waiting(lesson, queue)]
            rows[label] = [
                f"{kinds.count(False)} of {each.transient} left",
                f"{kinds.count(True)} of {each.persistent} left",
            ]
        else:
            rows[label] = ["no such queue"] * 2
    return pd.DataFrame.from_dict(rows, orient="index", columns=["transient messages", "persistent messages"])


def survivors(lesson: Session) -> pd.DataFrame:
    """Return for each queue how many messages were sent and confirmed, and how many the broker still has.

    Args:
        lesson: The lesson; nobody may be taking messages out of its queues meanwhile.
    """
    sent = sent_to(lesson.log)
    present = counts_with(lesson.queue_counts, {queue: each.confirmed for queue, each in sent.items()})
    left = [present[queue].ready if queue in present else 0 for queue in sent]
    table = pd.DataFrame(
        {
            "queue": list(sent),
            "sent": [each.messages for each in sent.values()],
            "confirmed": [each.confirmed for each in sent.values()],
            "still there": left,
            "confirmed and lost": [
                max(0, each.confirmed - number) for each, number in zip(sent.values(), left, strict=True)
            ],
        }
    )
    return table.set_index("queue")
