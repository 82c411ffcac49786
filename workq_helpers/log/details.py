"""What an event says beside who, what and when, as values: options, outcomes and reasons.

Tables show the text of each, which `str` gives; nobody reads that text back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Binding",
    "BrokerChange",
    "CloseReason",
    "ClusterSeen",
    "ConsumeOptions",
    "Counted",
    "Detail",
    "ExchangeOptions",
    "FetchOptions",
    "Handback",
    "Headers",
    "Mistake",
    "NodeSeen",
    "ProgramOptions",
    "PublishOptions",
    "QueueCopy",
    "QueueOptions",
    "UnderWay",
]


#: Headers, or the arguments of a binding, in the order of their names; each value with its type, ``""`` for none.
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ConsumeOptions:
    """How a consumer consumes; with the events of workers, and with what is delivered under auto-ack.

    Attributes:
        auto_ack: Whether a delivery counts as acknowledged when it is sent.
        prefetch_count: How many unacknowledged deliveries the broker may send; 0 for no limit.
    """

    auto_ack: bool = False
    prefetch_count: int = 0

    def __str__(self) -> str:
        return "auto_ack" if self.auto_ack else f"manual ack, prefetch {self.prefetch_count}"


@dataclass(frozen=True, slots=True)
class ProgramOptions(ConsumeOptions):
    """How a program consumes, of which only what passes through the relay is seen; with its "connected".

    Attributes:
        program: The name of the lesson's own program that it is, ``""`` for one that the lesson did not start.
    """

    program: str = ""

    def __str__(self) -> str:
        return ConsumeOptions.__str__(self)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a message was fetched; with what is delivered to basic.get, and so is in the client's hands.

    Attributes:
        auto_ack: Whether it counts as acknowledged when it is sent.
    """

    auto_ack: bool = False

    def __str__(self) -> str:
        return "auto_ack" if self.auto_ack else ""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a message was published; with "published".

    Attributes:
        persistent: Whether it asks to be kept on disk.
        again: Whether it was published before, and its confirm never came.
        exchange: The exchange it was published to, ``""`` for the default one.
        routing_key: Its routing key, where it went through another exchange; else that is the queue's name.
        ttl_seconds: How long it may wait, by its own ``expiration``.
        priority: Its own priority, or ``None``.
        further_keys: The routing keys besides, by its headers ``CC`` and ``BCC``.
        headers: Its headers, where an exchange may go by them.
    """

    persistent: bool = False
    again: bool = False
    exchange: str = ""
    routing_key: str = ""
    ttl_seconds: float | None = None
    priority: int | None = None
    further_keys: tuple[str, ...] = ()
    headers: Headers = ()

    @property
    def routing_keys(self) -> tuple[str, ...]:
        """All that an exchange goes by; for the default exchange they are names of queues."""
        return (self.routing_key, *self.further_keys)

    def __str__(self) -> str:
        told = ["persistent" if self.persistent else "transient"]
        if self.exchange:
            told.append(f"through the exchange '{self.exchange}' with routing key '{self.routing_key}'")
        if self.further_keys:
            told.append(f"by CC or BCC with routing key {' and '.join(repr(key) for key in self.further_keys)} too")
        if self.ttl_seconds is not None:
            told.append(f"expires after {self.ttl_seconds:g} s")
        if self.again:
            told.append("again: its confirm never came")
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How a queue was declared; with "declared".

    Attributes:
        durable: Whether it outlives a restart.
        type: Its ``x-queue-type``.
        exclusive: Whether it goes with its connection.
        auto_delete: Whether it goes with its last consumer.
        expires_seconds: How long it stays unused, by ``x-expires``.
        ttl_seconds: How long a message may wait in it, by ``x-message-ttl``.
        max_length: How many messages it holds at most.
        max_length_bytes: How many bytes of them.
        max_priority: Up to which priority it orders its messages, by ``x-max-priority``.
        in_order: Whether it is known to give out its messages in their order, whatever their priorities.
        takes_turns: Whether it is known to take turns between what has a high priority and the rest.
        overflow: What it drops when it is full, by ``x-overflow``: its head, or what is published to it.
        delivery_limit: How often a message may come back to it; a negative number is no limit.
        unlimited: Whether it is known to have no limit where none is declared.
        free_nacks: Whether it is known not to count what ``basic_nack`` hands back.
        delayed_retry: Whether it holds back for a while what comes back to it, by ``x-delayed-retry-type``.
        dead_letter_exchange: Where what it drops goes, or ``None``; ``""`` is the default exchange.
        dead_letter_routing_key: With which routing key, if not with the message's own.
        keeps_dead_letters: Whether it keeps what it can't hand on, by ``x-dead-letter-strategy``.
    """

    durable: bool = False
    type: str = "classic"
    exclusive: bool = False
    auto_delete: bool = False
    expires_seconds: float | None = None
    ttl_seconds: float | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    max_priority: int | None = None
    in_order: bool = False
    takes_turns: bool = False
    overflow: str = "drop-head"
    delivery_limit: int | None = None
    unlimited: bool = False
    free_nacks: bool = False
    delayed_retry: bool = False
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    keeps_dead_letters: bool = False

    @property
    def durability(self) -> str:
        """As RabbitMQ's documentation says it: "durable" or "transient"."""
        return "durable" if self.durable else "transient"

    def __str__(self) -> str:
        return f"{self.durability} {self.type}"


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """An exchange and how it was declared; with "exchange declared" and "exchange deleted".

    Attributes:
        name: Its name.
        type: "direct", "fanout", "topic", "headers", or what a plugin knows.
        durable: Whether it outlives a restart.
        alternate: The exchange that gets what it can't route, ``""`` for none.
    """

    name: str
    type: str = "direct"
    durable: bool = False
    alternate: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {'durable' if self.durable else 'transient'} {self.type}"


@dataclass(frozen=True, slots=True)
class Binding:
    """What leads from an exchange to a queue, or to another exchange; with "bound" and "unbound".

    Attributes:
        exchange: Where it leads from.
        routing_key: Its key, as ``queue_bind`` has it.
        to_exchange: The exchange it leads to; ``""`` where it leads to the event's queue.
        arguments: Its arguments, which an exchange of type headers goes by.
    """

    exchange: str
    routing_key: str = ""
    to_exchange: str = ""
    arguments: Headers = ()

    def __str__(self) -> str:
        to = f" to the exchange '{self.to_exchange}'" if self.to_exchange else ""
        with_arguments = f" and arguments {', '.join(name for name, _ in self.arguments)}" if self.arguments else ""
        return f"from the exchange '{self.exchange}'{to} with key '{self.routing_key}'{with_arguments}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What the broker counts in a queue, where that is not what the log has; with "counted".

    Attributes:
        ready: Messages that wait.
        unacknowledged: Messages delivered and not acknowledged.
        present: Whether there is such a queue.
        agreed_seconds: When the log last had of all queues what the broker counted; 0 if it never had.
        unaccounted: How many more messages were published to it than the log knows of.
        options: How it was declared, by whomever, where the broker tells.
    """

    ready: int = 0
    unacknowledged: int = 0
    present: bool = True
    agreed_seconds: float = 0.0
    unaccounted: int = 0
    options: QueueOptions | None = None

    def __str__(self) -> str:
        if not self.present:
            return "no such queue"
        more = f", and {self.unaccounted} more published to it than were seen here" if self.unaccounted else ""
        return f"{self.ready} ready, {self.unacknowledged} unacknowledged{more}"


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What was published on a channel that was lost, and nothing had shown yet to have arrived; with "under way"."""

    marks: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.marks)
        return f"{count:,} message{'' if count == 1 else 's'}"


class Handback(StrEnum):
    """What becomes of a delivery that is handed back; with "nacked" and "rejected"."""

    REQUEUE = "requeue"
    DISCARD = "discard"


class Mistake(StrEnum):
    """What is wrong with what a client sent; with "acked", "nacked", "rejected" and "ack dropped"."""

    UNKNOWN_DELIVERY_TAG = "unknown delivery tag"
    CONSUMER_CANCELED = "RabbitMQ had canceled its consumer: this settles nothing"


class BrokerChange(StrEnum):
    """What the broker does, or has done to it; with "broker"."""

    RESTARTING = "restarting"
    CRASHING = "crashing"
    STOPPING = "stopping"
    DOWN = "down"
    UP = "up"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"

    @property
    def is_alarm(self) -> bool:
        """Whether an alarm, of memory or disk, begins or ends: the broker is there and takes no messages."""
        return self in (BrokerChange.BLOCKED, BrokerChange.UNBLOCKED)

    @property
    def is_outage(self) -> bool:
        """Whether the broker goes, whoever made it go."""
        return self in (BrokerChange.RESTARTING, BrokerChange.CRASHING, BrokerChange.DOWN)


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why the broker closed a channel, or sent a message back; with "channel closed" and "returned".

    Attributes:
        code: AMQP's reply code, for example 406.
        text: What the broker says.
    """

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class QueueCopy:
    """What a node has of a queue."""

    queue: str
    role: str  # "leader", "follower" or "the only copy"


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node of a cluster, as it was when it was looked at."""

    name: str
    state: str  # "up", "down" or "cut off"
    copies: tuple[QueueCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """The nodes of a cluster; with "cluster".

    Attributes:
        nodes: The nodes, in order; none once they are put away.
        deed: What was done to them last, in a few words; ``""`` for nothing.
        confirmed: How many orders were confirmed by then, or ``None`` where nobody sends any.
    """

    nodes: tuple[NodeSeen, ...]
    deed: str = ""
    confirmed: int | None = None

    def __str__(self) -> str:
        return ", ".join(f"{node.name} is {node.state}" for node in self.nodes) or "no nodes"


#: A count goes with "purged" and "deleted"; a text is for people, as the reason of a "failed", and is not parsed.
Detail = (
    ConsumeOptions
    | FetchOptions
    | PublishOptions
    | QueueOptions
    | ExchangeOptions
    | Binding
    | Counted
    | Handback
    | Mistake
    | BrokerChange
    | CloseReason
    | ClusterSeen
    | UnderWay
    | int
    | str
)
