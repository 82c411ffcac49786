"""`Features`: what one broker can do and another can't, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from workq_helpers.rabbitmq.versions import has

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import Management

__all__ = ["ADVANCED_CONFIG", "Features"]

#: advanced.config of the brokers that the course starts. RabbitMQ ignores what it does not know here, so one
#: text does for all versions, where an unknown line of rabbitmq.conf would keep a node from booting.
ADVANCED_CONFIG = """\
[{rabbit, [
   %% Quorum queues report their counts five times a second instead of every 5 s.
   {quorum_tick_interval, 200},
   %% Whether an acknowledgment is overdue is looked at every second instead of every minute.
   {channel_tick_interval, 1000},
   %% A quorum queue that must not lose dead letters tries again every second instead of every 3 minutes.
   {dead_letter_worker_publisher_confirm_timeout, 1000},
   %% The first lessons use a queue that is not durable, which some versions deny unless told otherwise.
   {permit_deprecated_features, #{transient_nonexcl_queues => true}}]},
 {rabbitmq_management, [
   %% Else an answer that took long, as the first one does, is repeated for five times as long.
   {management_db_cache_multiplier, 0}]}].
"""

_TRANSIENT_QUEUES = "transient_nonexcl_queues"


@dataclass(frozen=True)
class Features:
    """Where brokers differ in what the course shows.

    Attributes:
        version: RabbitMQ's version.
        transient_queues: Whether a queue may be declared that is neither durable nor exclusive. True as well
            where the broker does not say (before 4.3, or without its management API): then the declare tells,
            with TransientQueuesDeniedError.
        counts: Whether the broker's own counts of messages can be had, which takes its management API.
    """

    version: Version
    transient_queues: bool = True
    counts: bool = True

    @classmethod
    def ask(cls, version: Version, management: Management | None) -> Features:
        """Ask a broker what it can do.

        Raises:
            BrokerError: If the API can't be asked.
        """
        if management is None:
            return cls(version, counts=False)
        permitted = management.deprecated_features()
        return cls(version, transient_queues=permitted.get(_TRANSIENT_QUEUES, True))

    @property
    def classic_ack_timeout(self) -> bool:
        """Whether a classic queue takes a delivery back that is not acknowledged for too long (before 4.3)."""
        return not has(self.version, "no ack timeout of classic queues")

    @property
    def quorum_ack_timeout_closes_channel(self) -> bool:
        """Whether that closes the channel on a quorum queue (before 4.3) and doesn't cancel the consumer."""
        return not has(self.version, "an ack timeout cancels a quorum queue's consumer")

    @property
    def ack_timeout_of_a_queue(self) -> bool:
        """Whether a queue can have an ack timeout of its own (from 3.12 on), beside the one of the whole broker."""
        return has(self.version, "a queue's own ack timeout")

    @property
    def quorum_delivery_limit(self) -> int | None:
        """How often a quorum queue returns a message before it drops it; ``None`` for ever (before 4.0)."""
        return 20 if has(self.version, "a quorum queue's delivery limit") else None

    @property
    def quorum_priorities(self) -> bool:
        """Whether a quorum queue orders its messages by their priorities."""
        return has(self.version, "a quorum queue's priorities")

    @property
    def quorum_priorities_take_turns(self) -> bool:
        """Whether what is above 4 and the rest take turns there (before 4.3); from then on the highest goes first."""
        return self.quorum_priorities and not has(self.version, "strict priorities of a quorum queue")

    @property
    def nack_counts_as_return(self) -> bool:
        """Whether what ``basic_nack`` requeues counts toward that limit, as with ``basic_reject`` (before 4.3)."""
        return not has(self.version, "basic.nack does not count as a return")

    @property
    def delayed_retry(self) -> bool:
        """Whether a quorum queue can hold back what is returned, with ``x-delayed-retry-type`` (from 4.3 on)."""
        return has(self.version, "a quorum queue's delayed retry")

    @property
    def transient_queues_can_be_denied(self) -> bool:
        """Whether a broker can be told to refuse queues that are not durable (from 3.12 on)."""
        return has(self.version, "transient queues can be denied")

    @property
    def prefetch_count_of_a_channel(self) -> bool:
        """Whether ``global_qos`` limits a whole channel on a classic queue (before 4.3)."""
        return not has(self.version, "no prefetch count for a whole channel")

    @property
    def private_limits(self) -> bool:
        """Whether the limits of users are hidden from each other (from 4.3 on); their names are told with them."""
        return has(self.version, "limits of users are private")

    def describe(self) -> str:
        """Return the differences as one line each, for ``workq doctor`` and the preflight."""
        return "\n".join(
            (
                "queues that are not durable: " + ("allowed" if self.transient_queues else "denied"),
                "the broker's own counts: " + ("yes" if self.counts else "no, its management API can't be reached"),
                "unacknowledged for too long, classic queue: "
                + ("channel closed" if self.classic_ack_timeout else "nothing happens"),
                "unacknowledged for too long, quorum queue: "
                + ("channel closed" if self.quorum_ack_timeout_closes_channel else "consumer canceled"),
                f"quorum queue drops a message after: {self._limit_in_words()}",
                "quorum queue delays what is returned: " + ("if asked to" if self.delayed_retry else "never"),
            )
        )

    def _limit_in_words(self) -> str:
        if self.quorum_delivery_limit is None:
            return "never"
        by = "basic_reject or basic_nack" if self.nack_counts_as_return else "basic_reject, never by basic_nack"
        return f"{self.quorum_delivery_limit} returns by {by}"
