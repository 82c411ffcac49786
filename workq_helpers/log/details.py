"""What an event says beside who, what and when, as values: options, outcomes and reasons.

Tables show the text of each, which `str` gives; nobody reads that text back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BrokerChange",
    "CloseReason",
    "ConsumeOptions",
    "Detail",
    "FetchOptions",
    "Handback",
    "Mistake",
    "ProgramOptions",
    "PublishOptions",
    "QueueOptions",
]


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
    """

    persistent: bool = False
    again: bool = False

    def __str__(self) -> str:
        durability = "persistent" if self.persistent else "transient"
        return f"{durability}, again: its confirm never came" if self.again else durability


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How a queue was declared; with "declared".

    Attributes:
        durable: Whether it outlives a restart.
        type: Its ``x-queue-type``.
    """

    durable: bool = False
    type: str = "classic"

    @property
    def durability(self) -> str:
        """As RabbitMQ's documentation says it: "durable" or "transient"."""
        return "durable" if self.durable else "transient"

    def __str__(self) -> str:
        return f"{self.durability} {self.type}"


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


#: A count goes with "purged" and "deleted"; a text is for people, as the reason of a "failed", and is not parsed.
Detail = (
    ConsumeOptions
    | FetchOptions
    | PublishOptions
    | QueueOptions
    | Handback
    | Mistake
    | BrokerChange
    | CloseReason
    | int
    | str
)
