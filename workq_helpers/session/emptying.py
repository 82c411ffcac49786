"""`Emptying`: the queues of a lesson that starts over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pika

from workq_helpers.log.details import QueueOptions
from workq_helpers.log.ledger import Ledger
from workq_helpers.log.stocktaking import STEADY_LOOKS
from workq_helpers.rabbitmq.errors import ChannelRefusedError, QueueNotFoundError
from workq_helpers.session.virtual_host import COUNT_INTERVAL_SECONDS
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["Emptying"]

#: How long messages that ended workers held may take to come back to their queues, in seconds.
_REQUEUE_SECONDS = 10.0

#: What RabbitMQ says of a queue that is another connection's alone.
_RESOURCE_LOCKED = 405


class Emptying:
    """Takes everything out of the queues that a lesson declared, and leaves them declared.

    Args:
        connect: Opens a connection to the lesson's virtual host.
        counts: Returns what the broker says of each queue.
        ledger: Returns what the log knows.
    """

    def __init__(
        self,
        connect: Callable[[], pika.BlockingConnection],
        counts: Callable[[], Mapping[str, QueueCounts]],
        ledger: Callable[[], Ledger],
    ) -> None:
        self._connect = connect
        self._counts = counts
        self._ledger = ledger

    def purge(self, queue: str) -> int:
        """Empty a queue of its ready messages; return how many went."""
        with self._connect() as connection:
            return int(connection.channel().queue_purge(queue).method.message_count)

    def empty(self) -> Mapping[str, QueueOptions]:
        """Purge until nothing comes back any more: what a worker held does so a moment after it has gone.

        Returns:
            The queues that are left, and how they were declared: a stream, which RabbitMQ can't empty, is deleted.
        """
        self._delete_streams()
        declared = self._ledger().declarations()
        kept = {queue: counts.unacknowledged for queue, counts in self._ledger().queues().items()}
        seen: list[Mapping[str, int]] = []

        def is_empty() -> bool:
            emptied = [queue for queue in declared if self._is_emptied(queue)]
            counts = self._counts()
            known = [queue for queue in emptied if queue in counts]
            seen.append({queue: counts[queue].unacknowledged for queue in known})
            with_others = seen[-STEADY_LOOKS:] == [seen[-1]] * STEADY_LOOKS  # they keep what they hold
            is_back = with_others or all(held <= kept.get(queue, 0) for queue, held in seen[-1].items())
            return is_back and not any(counts[queue].ready for queue in known)

        wait_until(is_empty, _REQUEUE_SECONDS, interval_seconds=COUNT_INTERVAL_SECONDS)
        return declared

    def _delete_streams(self) -> None:
        streams = [queue for queue, options in self._ledger().declarations().items() if options.type == "stream"]
        if streams:
            with self._connect() as connection:
                channel = connection.channel()
                for queue in streams:
                    channel.queue_delete(queue)

    def _is_emptied(self, queue: str) -> bool:
        """Empty a queue of its ready messages; return whether it is there, and not its connection's alone."""
        try:
            self.purge(queue)
        except ChannelRefusedError as error:
            if error.reply_code == _RESOURCE_LOCKED:
                return False
            raise
        except QueueNotFoundError:  # somebody else deleted it: it is empty enough
            return False
        return True
