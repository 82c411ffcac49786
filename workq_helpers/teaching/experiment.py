"""`guests`: what a learner tried on the stage beside an experiment; `own_events`: what happened without that.

A lesson invites to play, and a worker that was added from the stage may still be there when the next cells run. What
did not touch the experiment is left out, so that checks and predictions see the experiment alone; what did is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from workq_helpers.errors import CheckFailedError
from workq_helpers.log.details import BrokerChange, ConsumeOptions
from workq_helpers.log.events import Event
from workq_helpers.log.ledger import Ledger

__all__ = ["Guests", "guests", "only_played", "own_events"]

_AGAIN = "Run the cells again from the one that opens the lesson: it begins anew."

#: Where a message is that somebody may still get.
_OPEN = ("waiting", "in hand")


class Guests(NamedTuple):
    """What came from the stage beside an experiment."""

    workers: frozenset[str]
    publishers: frozenset[str]
    messages: frozenset[str]


def guests(events: Iterable[Event]) -> Guests:
    """Return what came from the stage; where workers, or tasks, came only from there, those are the experiment's."""
    started: set[str] = set()
    workers: set[str] = set()
    sent: dict[str, str] = {}
    for event in events:
        if event.kind == "played":
            started.add(event.actor)
        elif event.kind == "connected" and isinstance(event.detail, ConsumeOptions):
            workers.add(event.actor)
        elif event.kind == "published" and event.mark is not None:
            sent[event.mark] = event.actor
    own_workers = workers - started or workers
    own_messages = {mark for mark, actor in sent.items() if actor not in started} or set(sent)
    messages = frozenset(sent.keys() - own_messages)
    return Guests(frozenset(workers - own_workers), frozenset(sent[mark] for mark in messages), messages)


def only_played(events: Iterable[Event]) -> bool:
    """Whether tasks were sent, and all of them from the stage: the cells of the experiment are still to be run."""
    started: set[str] = set()
    senders: set[str] = set()
    for event in events:
        if event.kind == "played":
            started.add(event.actor)
        elif event.kind == "published":
            senders.add(event.actor)
    return bool(senders) and senders <= started


def own_events(events: Sequence[Event], *, outages: bool = False) -> list[Event]:
    """Return the events of the experiment that the lesson's cells made.

    Args:
        events: All that the log has.
        outages: Whether RabbitMQ may go down in the middle, since that is what the experiment is about.

    Raises:
        CheckFailedError: Something else took part in the experiment; the message names it and the way out.
    """
    apart = guests(events)
    own_messages = {event.mark for event in events if event.kind == "published" and event.mark} - apart.messages
    about = [at for at, event in enumerate(events) if event.mark in own_messages]
    if about:
        _no_guest_took_part(events, apart, own_messages, about[0])
        # It goes on for as long as somebody may still get one of its messages.
        over = len(events) if _open_messages(events[: about[-1] + 1]) & own_messages else about[-1]
        _nothing_came_between(events[about[0] : over], apart, {events[at].queue for at in about}, outages)
    return [event for event in events if event.actor not in apart.workers and event.mark not in apart.messages]


def _no_guest_took_part(events: Sequence[Event], apart: Guests, own: Set[str], began: int) -> None:
    for event in events:
        if event.kind == "delivered" and event.actor in apart.workers and event.mark in own:
            raise CheckFailedError(
                f"{event.actor}, which was started from the stage, got '{event.task}' of this experiment. {_AGAIN}"
            )
    queues = {event.queue for event in events if event.mark in own}
    left_over = _open_messages(events[:began]) & apart.messages
    for event in events[:began]:
        if event.kind == "published" and event.mark in left_over and event.queue in queues:
            raise _sent_from_the_stage(event)


def _nothing_came_between(events: Sequence[Event], apart: Guests, queues: Set[str], outages: bool) -> None:
    for event in events:
        if event.kind == "published" and event.mark in apart.messages and event.queue in queues:
            raise _sent_from_the_stage(event)
        if event.kind == "purged" and event.detail and event.queue in queues:
            raise CheckFailedError(f"The queue {event.queue!r} was emptied in the middle of this experiment. {_AGAIN}")
        if isinstance(event.detail, BrokerChange) and event.detail.is_outage and not outages:
            raise CheckFailedError(f"RabbitMQ went down in the middle of this experiment. {_AGAIN}")


def _sent_from_the_stage(event: Event) -> CheckFailedError:
    return CheckFailedError(
        f"'{event.task}', which was sent from the stage, was among the tasks of this experiment. {_AGAIN}"
    )


def _open_messages(events: Sequence[Event]) -> frozenset[str | None]:
    """Return the marks of the messages that somebody may still get after these events."""
    ledger = Ledger()
    ledger.update(events)
    return frozenset(message.mark for message in ledger if message.place in _OPEN)
