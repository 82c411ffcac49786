"""The lesson "Durability"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.durability.exercises import EXERCISES
from workq_helpers.lessons.durability.quiz import QUESTIONS
from workq_helpers.lessons.durability.survivors import Counts, Sent, counts_with, is_persistent, sent_to, waiting
from workq_helpers.log.details import BrokerChange, CloseReason, QueueOptions
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.evidence import Evidence, names_of
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

#: A queue that outlives a restart, and of its messages the persistent ones.
_DURABLE = QueueOptions(durable=True, type="classic")

#: What AMQP answers to a declaration that doesn't fit the queue that there is.
_PRECONDITION_FAILED = 406

# -- checks -------------------------------------------------------------------------------------------


def _restart(seen: Evidence) -> str:
    sent = _sent_before_the_outage(seen)
    durable = {queue: each for queue, each in sent.items() if each.declared == _DURABLE}
    transient = {queue: each for queue, each in sent.items() if each.is_in_a_transient_queue and each.messages}
    if not any(each.persistent for each in durable.values()):
        raise CheckFailedError("No persistent message was sent to a durable queue. Send both kinds, then restart.")
    if not any(each.transient for each in durable.values()):
        raise CheckFailedError("No transient message was sent to a durable queue. Send both kinds, then restart.")
    counts = _counts(seen, {queue: each.persistent for queue, each in durable.items()})
    for queue, each in durable.items():
        left = counts[queue].ready if queue in counts else 0
        if left != each.persistent:
            raise CheckFailedError(
                f"{queue} got {each.transient} transient and {each.persistent} persistent messages, and holds {left} "
                f"now. Did anybody take some, or send more after the restart? Run the section again."
            )
    there = next((queue for queue in transient if queue in counts), None)
    if there is not None:
        raise CheckFailedError(f"{there} is there, though it was not durable. Was it declared again? Run this again.")
    told = [
        f"{queue} came back with its {each.persistent} persistent messages and without its {each.transient} transient "
        f"ones"
        for queue, each in durable.items()
    ]
    told += [f"{queue}, which was not durable, is gone with all {each.messages}" for queue, each in transient.items()]
    if not transient:
        told.append("a queue that is not durable was not declared, so none was lost")
    return f"{'; '.join(told)}."


def _confirms(seen: Evidence) -> str:
    sent = {queue: each for queue, each in _sent_before_the_outage(seen).items() if each.confirmed}
    if not sent:
        raise CheckFailedError("RabbitMQ confirmed nothing before it went down. Publish with confirm=True.")
    counts = _counts(seen, {queue: each.confirmed for queue, each in sent.items()})
    for queue, each in sent.items():
        left = counts[queue].ready if queue in counts else 0
        if left < each.confirmed:
            raise CheckFailedError(
                f"Of {each.confirmed} confirmed messages {queue} holds {left}. Is the queue durable and every message "
                f"persistent, and did nobody take any?"
            )
    told = names_of([f"{each.confirmed} messages in {queue}" for queue, each in sent.items()])
    return f"RabbitMQ had confirmed {told} when it went down, and none of them is missing."


def _sent_before_the_outage(seen: Evidence) -> dict[str, Sent]:
    """Return what had been sent when the broker went down last.

    Raises:
        CheckFailedError: Nothing was sent, somebody took of it, the broker has not been down since, or it still is.
    """
    events = seen.events
    positions = [
        at for at, event in enumerate(events) if isinstance(event.detail, BrokerChange) and event.detail.is_outage
    ]
    if not any(event.kind == "published" for event in events[: positions[-1] if positions else None]):
        raise CheckFailedError("No message was sent before RabbitMQ went down. Run the cells from the section's top.")
    if not positions:
        raise CheckFailedError("RabbitMQ has not been restarted since the messages were sent. Restart it.")
    if not any(event.detail is BrokerChange.UP for event in events[positions[-1] :]):
        raise CheckFailedError("RabbitMQ went down and is not back. Wait for it, and look again.")
    taken = next((event for event in events if event.kind == "delivered"), None)
    if taken is not None:
        raise CheckFailedError(
            f"{taken.actor} got '{taken.task}' from {taken.queue}, so what is left there says nothing of the outage. "
            f"Run the cells again from the one that opens the lesson: it begins anew."
        )
    return sent_to(events[: positions[-1]])


def _counts(seen: Evidence, expected: dict[str, int]) -> Counts:
    if seen.counts is None:
        raise CheckFailedError("What is left, only the broker can tell: check the lesson, not its log.")
    return counts_with(seen.counts, expected)


# -- predictions --------------------------------------------------------------------------------------


def _observe_restart(lesson: Session) -> Seen:
    sent = _sent_before_the_outage(observed(lesson, outages=True))
    queue = next((queue for queue, each in sent.items() if each.is_in_a_transient_queue and each.messages), None)
    if queue is None:
        raise CheckFailedError("This RabbitMQ refuses queues that are not durable, so there was none to lose. Go on.")
    counts = lesson.queue_counts()
    if queue not in counts:
        return Seen(2, f"After the restart there is no queue {queue!r}, and nothing of its {sent[queue].messages}.")
    ready = counts[queue].ready
    saw = f"After the restart {queue} holds {ready} of {sent[queue].messages}."
    return Seen({sent[queue].messages: 0, 0: 1}.get(ready), saw)


def _observe_declared_otherwise(lesson: Session) -> Seen:
    events = observed(lesson, outages=True).events
    declared = [event for event in events if event.kind == "declared" and isinstance(event.detail, QueueOptions)]
    if not declared:
        raise CheckFailedError("No queue was declared yet. Run the cell that declares it in both ways.")
    first = declared[0]
    if first.detail != QueueOptions():
        raise CheckFailedError("The queue was durable from the start. Run the cells from the section's top.")
    if any(isinstance(event.detail, CloseReason) and event.detail.code == _PRECONDITION_FAILED for event in events):
        return Seen(0, f"RabbitMQ answered the second declaration with 406, and {first.queue} is as it was.")
    if any(event.queue == first.queue and event.detail == _DURABLE for event in declared):
        return Seen(1, f"RabbitMQ took the second declaration, and {first.queue} is durable.")
    raise CheckFailedError(f"{first.queue} was declared in one way only. Declare it in the other way, too.")


def _observe_two_by_two(lesson: Session) -> Seen:
    sent = _sent_before_the_outage(observed(lesson, outages=True))
    queue = next((queue for queue, each in sent.items() if each.declared == _DURABLE), None)
    if queue is None or not (sent[queue].transient and sent[queue].persistent):
        raise CheckFailedError("Send both kinds of messages to a durable queue, and restart.")
    there = queue in lesson.queue_counts()
    kinds = [is_persistent(message.properties) for message in waiting(lesson, queue)] if there else []
    left = (kinds.count(False), kinds.count(True))
    saw = (
        f"{queue} holds {left[0]} of {sent[queue].transient} transient and {left[1]} of {sent[queue].persistent} "
        f"persistent messages."
    )
    all_there = (sent[queue].transient, sent[queue].persistent)
    return Seen({all_there: 0, (0, sent[queue].persistent): 1, (0, 0): 2}.get(left), saw)


def _observe_crash(lesson: Session) -> Seen:
    sent = _sent_before_the_outage(observed(lesson, outages=True))
    queue, persistent = max(((queue, each.persistent) for queue, each in sent.items()), key=lambda pair: pair[1])
    counts = lesson.queue_counts()
    left = counts[queue].ready if queue in counts else 0
    saw = f"This time {left} of {persistent} persistent messages are left."
    return Seen({persistent: 0, 0: 1}.get(left, 2), saw)


def _observe_no_such_queue(lesson: Session) -> Seen:
    events = observed(lesson, outages=True).events
    declared = {event.queue for event in events if event.kind == "declared"}
    sent = next((event for event in events if event.kind == "published" and event.queue not in declared), None)
    if sent is None:
        raise CheckFailedError("Every message so far went to a queue that there is. Send one to a queue that is not.")
    answers = {event.kind for event in events if event.mark == sent.mark}
    if "confirmed" in answers:
        return Seen(0, f"RabbitMQ confirmed '{sent.task}', and there is no queue named {sent.queue}.")
    closed = any(event.kind == "channel closed" for event in events)
    told = "closed the channel" if closed else "refused it" if "refused" in answers else "has not answered"
    return Seen(2 if closed else 1 if "refused" in answers else None, f"RabbitMQ {told}.")


def _observe_confirms(lesson: Session) -> Seen:
    before = _sent_before_the_outage(observed(lesson, outages=True))
    sent = {queue: each for queue, each in before.items() if each.confirmed}
    if not sent:
        raise CheckFailedError("RabbitMQ confirmed nothing before it went down. Publish with confirm=True.")
    counts = counts_with(lesson.queue_counts, {queue: each.confirmed for queue, each in sent.items()})
    confirmed = sum(each.confirmed for each in sent.values())
    lost = sum(max(0, each.confirmed - (counts[queue].ready if queue in counts else 0)) for queue, each in sent.items())
    saw = f"Of {confirmed} confirmed messages {lost or 'none'} {'is' if lost <= 1 else 'are'} missing."
    return Seen(0 if not lost else 2 if lost >= confirmed / 2 else 1, saw)


PREDICTIONS = (
    Prediction(
        "restart",
        "Five orders wait in the queue hello, which was declared with nothing but its name. RabbitMQ is stopped "
        "properly and started again. What will be there?",
        (
            Choice(
                "The queue with all five orders: it had time to put everything away.",
                "It had the time, but nobody had asked it to: such a queue lives in memory, and so do its messages.",
            ),
            Choice(
                "The queue, and no orders.",
                "Queues and messages are kept separately, but here neither was meant to be kept.",
            ),
            Choice(
                "Neither the queue nor the orders.",
                "By default pika declares a queue that is not durable. RabbitMQ forgets it when it stops, and a "
                "message can't outlive its queue.",
            ),
        ),
        _observe_restart,
        section="A queue by its name alone",
    ),
    Prediction(
        "declared otherwise",
        "The queue hello is there, and not durable. A new program declares it with durable=True. What is it then?",
        (
            Choice(
                "As it was: RabbitMQ refuses the second declaration.",
                "A queue's properties are settled when it is made. Whoever asks for others is told that they don't "
                "match.",
            ),
            Choice(
                "Durable: the last declaration counts.",
                "RabbitMQ changes no queue that exists, for others rely on what they declared. It says so instead.",
            ),
            Choice(
                "There are two queues named hello, one of each kind.",
                "A name belongs to one queue in a virtual host. A second declaration finds that one, whatever it asks "
                "for.",
            ),
        ),
        _observe_declared_otherwise,
        section="The same name, declared otherwise",
    ),
    Prediction(
        "two by two",
        "task_queue is durable. Five orders are sent to it as before, and five that are marked as persistent. After a "
        "restart, how many of the ten are left in task_queue?",
        (
            Choice(
                "All ten: the queue is durable.",
                "Durable means that the queue outlives a restart. What it holds is another matter.",
            ),
            Choice(
                "Five, the persistent ones.",
                "RabbitMQ brings back the queue because it is durable, and from disk those messages that asked to be "
                "kept there.",
            ),
            Choice(
                "None: RabbitMQ brings back the queue, but empty.",
                "That is so for messages that don't ask for more. Those that are marked as persistent are kept too.",
            ),
        ),
        _observe_two_by_two,
        section="Two times two",
    ),
    Prediction(
        "crash",
        "A program sends 5,000 persistent messages to a durable queue and ends. At once RabbitMQ is killed. How many "
        "messages will be there when it is up again?",
        (
            Choice(
                "All 5,000: durable queue, persistent messages.",
                "Persistent is a request to write to disk. Until that is done, nothing has been promised, so after a "
                "crash at a bad moment it is luck to find all of them.",
            ),
            Choice(
                "None.",
                "What is still in memory when RabbitMQ is killed is gone. That may be everything, where the disk had "
                "not had its turn yet.",
            ),
            Choice(
                "Some of them.",
                "RabbitMQ collects messages and writes many at once. What it has written by the time of the crash is "
                "kept, and nobody outside knows how many that are.",
            ),
        ),
        _observe_crash,
        section="How much is that worth?",
    ),
    Prediction(
        "no such queue",
        "A program publishes with confirms, to a queue that there is not. What does RabbitMQ answer?",
        (
            Choice(
                "It confirms the message.",
                "A confirm says that RabbitMQ has done what there was to do. For a message that no queue is to have, "
                "that is nothing.",
            ),
            Choice(
                "It refuses the message.",
                "It refuses what a queue should have and can't take. Here there was no queue to take it.",
            ),
            Choice(
                "It closes the channel with an error.",
                "So it does where the exchange is missing. The default exchange is always there; it only found no "
                "queue of that name.",
            ),
        ),
        _observe_no_such_queue,
        section="RabbitMQ's word",
    ),
    Prediction(
        "confirms",
        "The same crash. But now the program ends only when RabbitMQ has confirmed each message. Of the confirmed "
        "ones, how many will be missing?",
        (
            Choice(
                "None.",
                "For a persistent message in a durable queue RabbitMQ confirms once it is written. That is the promise "
                "that a confirm makes.",
            ),
            Choice(
                "A few, from the last moment before the crash.",
                "Those of the last moment would not have been confirmed yet. The confirm comes after the writing, not "
                "before.",
            ),
            Choice(
                "About as many as without confirms.",
                "Without confirms nobody waited for the disk. With them the program waits, and so the crash comes "
                "after the writing.",
            ),
        ),
        _observe_confirms,
        section="The same crash, with confirms",
    ),
)

CHAPTER = Chapter(
    "Durability",
    "04_durability.ipynb",
    outages=True,
    after_an_outage=frozenset({"restart", "confirms"}),
    checks={"restart": _restart, "confirms": _confirms},
    sections={"restart": "Two times two", "confirms": "The same crash, with confirms"},
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
