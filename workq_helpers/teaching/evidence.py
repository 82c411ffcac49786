"""`Evidence`: an experiment's events, read once for every check, and the words that checks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workq_helpers.errors import CheckFailedError
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import Event, EventLog
from workq_helpers.log.ledger import Ledger, Message
from workq_helpers.teaching.experiment import own_events

if TYPE_CHECKING:
    from workq_helpers.clients.program import Program
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = [
    "NO_WORKER",
    "Delivered",
    "Evidence",
    "Subscription",
    "all_done_once",
    "names_of",
    "nothing_goes_on",
    "quoted",
    "quoted_all",
    "sent_to_workers",
    "tasks",
]

NO_WORKER = "No worker consumes yet. Start one with lesson.start_worker(callback, queue=...)."

_GONE = ("stopped", "killed", "crashed")


class Subscription(NamedTuple):
    """A worker's subscription to a queue, from its first connecting on."""

    name: str
    queue: str
    position: int
    prefetch_count: int
    auto_ack: bool


class Delivered(NamedTuple):
    """A delivery, with its message."""

    worker: str
    message: Message


class Evidence:
    """What a lesson's cells did, read once for every check: messages in order of publishing, with who got them first.

    Args:
        log: The log.
        counts: Asks the broker for its queues' counts, where it can be asked.
        programs: The lesson's programs, whose work the log can't see.
        outages: Whether RabbitMQ may go down in the middle, since that is what is looked for.

    Raises:
        CheckFailedError: What a learner tried on the stage got into the experiment.
    """

    def __init__(
        self,
        log: EventLog,
        counts: Callable[[], Mapping[str, QueueCounts]] | None = None,
        programs: Sequence[Program] = (),
        *,
        outages: bool = False,
    ) -> None:
        self.counts = counts
        self.programs = programs
        self.events = own_events(list(log), outages=outages)
        self.ledger = Ledger()
        self.published: dict[int, int] = {}
        self.consumers: dict[str, Subscription] = {}
        self.gone: dict[str, tuple[int, str]] = {}
        self.deliveries: list[Delivered] = []
        for position, event in enumerate(self.events):
            self.ledger.update([event])
            self._read(position, event)
        self.messages = list(self.ledger)

    def _read(self, position: int, event: Event) -> None:
        if event.kind == "published":
            self.published |= {id(copy): position for copy in self.ledger.newest}
        elif event.kind == "delivered":
            self.deliveries.append(Delivered(event.actor, self.ledger.last_delivered))
        elif event.kind == "connected" and isinstance(event.detail, ConsumeOptions):
            how = event.detail
            consumer = Subscription(event.actor, event.queue, position, how.prefetch_count, how.auto_ack)
            self.consumers.setdefault(event.actor, consumer)
        elif event.kind in _GONE:
            self.gone[event.actor] = (position, event.kind)

    def sent(self) -> list[Message]:
        """Return the messages the log saw being published, in that order."""
        return sorted(
            (message for message in self.messages if id(message) in self.published),
            key=lambda message: self.published[id(message)],
        )

    def has_no_queue(self, message: Message) -> bool:
        """Whether a message was sent to a queue that there never was, by the broker's own word."""
        ledger = self.ledger
        nobody_declared = ledger.absent(message.queue) and ledger.declared(message.queue) is None
        return message.place == "unknown" and bool(message.queue) and nobody_declared

    def first_worker(self, message: Message) -> str | None:
        """Return who got the message first."""
        return next((each.worker for each in self.deliveries if each.message is message), None)


def sent_to_workers(seen: Evidence) -> list[Message]:
    """Return the messages that were sent, where there is a worker to take them.

    Raises:
        CheckFailedError: None was sent, one to a queue that there is not, or no worker consumes.
    """
    messages = seen.sent()
    if not messages:
        raise CheckFailedError("No task was sent. Did you run the cell that publishes them?")
    nowhere = next((message for message in messages if seen.has_no_queue(message)), None)
    if nowhere is not None:
        raise CheckFailedError(
            f"{quoted(nowhere)} went nowhere: {nowhere.reason}. Send it again, to a queue that is declared."
        )
    if not seen.consumers:
        raise CheckFailedError(NO_WORKER)
    return messages


def all_done_once(messages: Sequence[Message]) -> None:
    """Make sure that each message was delivered once and is done.

    Raises:
        CheckFailedError: One was not; the message names it.
    """
    twice = next((message for message in messages if message.deliveries > 1), None)
    if twice is not None:
        raise CheckFailedError(
            f"{quoted(twice)} was delivered {twice.deliveries} times. Was a worker killed or stopped meanwhile?"
        )
    undone = [message for message in messages if message.place != "done"]
    if not undone:
        return
    if undone[0].place == "in hand":
        advice = "Wait with lesson.wait_until_idle(); does the callback end with ch.basic_ack?"
    elif undone[0].place == "waiting":
        advice = "Wait with lesson.wait_until_idle(); does a worker consume from that queue?"
    else:
        advice = "Send the tasks again."
    place = f"{undone[0].place}: {undone[0].reason}" if undone[0].place == "unknown" else undone[0].place
    raise CheckFailedError(
        f"{tasks(len(undone))} of {len(messages)} not done; {quoted(undone[0])} is {place}. {advice}"
    )


def nothing_goes_on(messages: Sequence[Message]) -> None:
    """Make sure that no message waits or is in hand.

    Raises:
        CheckFailedError: One is; the message names it.
    """
    left = [message for message in messages if message.place in ("waiting", "in hand")]
    if left:
        raise CheckFailedError(
            f"{quoted(left[0])} is still {left[0].place}. Wait with lesson.wait_until_idle(); is a worker left?"
        )


def quoted(message: Message) -> str:
    """Return a message's task in quotation marks."""
    return f"'{message.task}'"


def quoted_all(messages: Sequence[Message]) -> str:
    """Return several messages' tasks in quotation marks, as a list in words."""
    return names_of([quoted(message) for message in messages])


def tasks(number: int) -> str:
    """Return "1 task", "2 tasks", ..."""
    return f"{number} task{'' if number == 1 else 's'}"


def names_of(names: Sequence[str]) -> str:
    """Return names as a list in words: "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
