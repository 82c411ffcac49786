"""The lesson "Mistakes, timeouts and long work"."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.mistakes_and_long_work.exercises import EXERCISES
from workq_helpers.lessons.mistakes_and_long_work.quiz import QUESTIONS
from workq_helpers.log.details import Mistake
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.estimate import Counted, Estimate
from workq_helpers.teaching.evidence import (
    Evidence,
    Subscription,
    names_of,
    nothing_goes_on,
    quoted,
    quoted_all,
    sent_to_workers,
    tasks,
)
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

# -- checks -------------------------------------------------------------------------------------------


def _forgotten_ack(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    finished = Counter(event.actor for event in seen.events if event.kind == "finished")
    acked = Counter(event.actor for event in seen.events if event.kind == "acked")
    forgetful = next((name for name in finished if not acked[name]), None)
    if forgetful is None:
        raise CheckFailedError("Every worker acknowledged something. Start one whose callback has no basic_ack.")
    if forgetful not in seen.gone:
        raise CheckFailedError(
            f"{forgetful} finished {tasks(finished[forgetful])} and acknowledged none{_the_broker_says(seen)}. "
            f"Stop it, and see what becomes of them."
        )
    undone = [message for message in messages if message.place != "done"]
    if undone:
        raise CheckFailedError(
            f"{forgetful} {seen.gone[forgetful][1]}, and {quoted(undone[0])} is {undone[0].place} again"
            f"{_the_broker_says(seen)}. Start a worker that acknowledges, and wait with lesson.wait_until_idle()."
        )
    again = [message for message in messages if message.deliveries > 1]
    heirs = names_of(sorted({message.worker for message in again}))
    return (
        f"{forgetful} finished {tasks(finished[forgetful])} and acknowledged none. When it left, all "
        f"{len(again)} came back, and {heirs} did them once more."
    )


def _the_broker_says(seen: Evidence) -> str:
    counts = seen.counts() if seen.counts else {}
    numbers = [f"{count.ready} ready and {count.unacknowledged} unacknowledged" for count in counts.values()]
    return f" (the broker counts {numbers[0]})" if len(numbers) == 1 else ""


def _wrong_ack(seen: Evidence) -> str:
    wrong = [event for event in seen.events if event.kind == "acked" and event.detail is Mistake.UNKNOWN_DELIVERY_TAG]
    if not wrong:
        raise CheckFailedError(
            "Every acknowledgment named a delivery of its own channel. Acknowledge twice, or on another channel."
        )
    by = names_of(sorted({event.actor for event in wrong}))
    # A notebook goes on with another channel.
    died = sorted({event.actor for event in seen.events if event.kind == "channel closed"} & set(seen.consumers))
    undone = [message for message in seen.messages if message.place != "done"]
    if undone:
        raise CheckFailedError(
            f"{quoted(undone[0])} is {undone[0].place}: its channel died before its acknowledgment. Fetch it again "
            f"on a new channel, and acknowledge it there once."
        )
    ended = f" {names_of(died)} ended by it." if died else ""
    return (
        f"{by} acknowledged what the channel did not know as its own; RabbitMQ closed the channel each time.{ended} "
        f"All {tasks(len(seen.messages))} are done after all."
    )


def _nack_and_reject(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    nothing_goes_on(messages)
    returned = {event.mark for event in seen.events if event.kind in ("nacked", "rejected")} - {None}
    back = [message for message in messages if message.mark in returned and message.place == "done"]
    gone = [message for message in messages if message.place == "discarded"]
    if not back:
        raise CheckFailedError("Nothing was handed back and done later. Use basic_nack with requeue=True for one task.")
    if not gone:
        raise CheckFailedError("Nothing was turned away for good. Use basic_reject with requeue=False for one task.")
    done = len(messages) - len(gone)
    turned = f"{quoted_all(gone)} was turned away"
    return f"{quoted_all(back)} went back to the queue and was done later; {turned}; {done} done."


def _ack_timeout(seen: Evidence) -> str:
    for event in seen.events:
        if event.kind == "channel closed" and re.search("time(d )?out", str(event.detail)):
            return f"RabbitMQ closed {event.actor}'s channel, for an acknowledgment was overdue."
        if event.kind == "cancelled":
            return f"RabbitMQ canceled {event.actor}'s consumer, for an acknowledgment was overdue."
    raise CheckFailedError("RabbitMQ has not lost its patience. Does a worker hold a task without acknowledging it?")


# -- predictions --------------------------------------------------------------------------------------


def _observe_forgotten_ack(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    forgetful: Subscription = next(iter(seen.consumers.values()))
    if sum(event.kind == "finished" and event.actor == forgetful.name for event in seen.events) < len(messages):
        raise CheckFailedError("Send the orders, and wait until the worker has finished them.")
    # What the log says of the time before the worker left; the broker's own counts stand in the cell above.
    until = seen.gone.get(forgetful.name, (len(seen.events), ""))[0]
    acked = sum(event.kind == "acked" for event in seen.events[:until])
    back = sum(event.kind == "requeued" for event in seen.events[:until])
    held = len(messages) - acked
    saw = f"{forgetful.name} finished {tasks(len(messages))}; {held} unacknowledged, {back} back in the queue."
    return Seen(0 if not held else 2 if back else 1, saw)


def _observe_once_more(lesson: Session) -> Counted:
    seen = observed(lesson)
    sent_to_workers(seen)
    forgetful, *others = seen.consumers
    if forgetful not in seen.gone or not others:
        raise CheckFailedError("Stop the first worker, start the second, and wait until nothing goes on.")
    again = sum(event.kind == "finished" and event.actor == others[0] for event in seen.events)
    return Counted(again, f"{forgetful} had finished every order; {others[0]} finished {again} of them once more.")


def _observe_wrong_channel(lesson: Session) -> Seen:
    events = observed(lesson).events
    acks = [at for at, event in enumerate(events) if event.kind == "acked"]
    wrong = next((at for at in acks if events[at].detail is Mistake.UNKNOWN_DELIVERY_TAG), None)
    if wrong is None:
        raise CheckFailedError("Every acknowledgment so far named a delivery of its channel. Run the cell that errs.")
    # What closes later is due to later acknowledgments.
    until = next((at for at in acks if at > wrong), len(events))
    after = Counter(event.kind for event in events[wrong:until])
    if after["disconnected"]:
        return Seen(2, "The connection was lost, and both channels with it.")
    if not after["channel closed"]:
        raise CheckFailedError("RabbitMQ has closed nothing yet. Use the second channel once more, and it will answer.")
    closed = after["channel closed"]
    saw = f"RabbitMQ closed {closed} channel{'' if closed == 1 else 's'}, and no connection was lost."
    return Seen(1 if closed == 1 else None, saw)


def _observe_handed_back(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    nothing_goes_on(messages)
    back = [message for message in messages if message.deliveries > 1]
    gone = [message for message in messages if message.place == "discarded"]
    if not gone:
        raise CheckFailedError("Nothing was turned away yet. Send the orders, and wait until nothing goes on.")
    again = f"{quoted_all(back)} came again" if back else "nothing came again"
    choice = 0 if not back else 2 if set(back) & set(gone) else 1
    return Seen(choice, f"Of {tasks(len(messages))} {again}; {quoted_all(gone)} is {gone[0].place}.")


def _observe_long_work(lesson: Session) -> Seen:
    seen = observed(lesson)
    taken = [message for message in seen.sent() if message.deliveries]
    if not taken:
        raise CheckFailedError("Nobody has taken the order yet. Run the cell that calls process_data_events.")
    if any(message.place == "in hand" for message in taken):
        raise CheckFailedError(f"{quoted(taken[0])} is still in hand. Run the cell that calls process_data_events.")
    # An acknowledgment that went into a closed connection was sent, as far as the log can see.
    ready = sum(count.ready for count in seen.counts().values()) if seen.counts else 0
    if ready:
        return Seen(1, f"{quoted(taken[0])} was cooked, and the broker counts {ready} ready again.")
    choice = {"done": 0, "waiting": 1, "lost": 2}.get(taken[0].place)
    return Seen(choice, f"{quoted(taken[0])} is {taken[0].place}, and the broker has none ready.")


PREDICTIONS = (
    Prediction(
        "forgotten ack",
        "A worker finishes five orders, and its callback never calls basic_ack. What does the broker count then?",
        (
            Choice(
                "0 ready and 0 unacknowledged: the work is done.",
                "RabbitMQ doesn't see that a callback returns; nothing but an acknowledgment tells it.",
            ),
            Choice(
                "0 ready and 5 unacknowledged: it still waits to hear of them.",
                "The messages are out of the queue and not done, so RabbitMQ keeps them all for as long as the worker "
                "lives.",
            ),
            Choice(
                "5 ready and 0 unacknowledged: without an acknowledgment they went back.",
                "They go back when the worker's channel closes, or after a very long time. As long as it lives, "
                "RabbitMQ waits.",
            ),
        ),
        _observe_forgotten_ack,
        section="The ack that was forgotten",
    ),
    Prediction(
        "wrong channel",
        "One connection has two channels. A message comes on the first, and is acknowledged on the second. What is "
        "still open afterwards?",
        (
            Choice(
                "All of it: RabbitMQ passes over an acknowledgment that it can't place.",
                "It can't pass it over, for then a message would wait for ever, and nobody would know why. It "
                "complains, a moment later.",
            ),
            Choice(
                "The connection and the first channel.",
                "An error ends the channel on which it happened. Its neighbors on the same connection go on, with "
                "all that was delivered to them.",
            ),
            Choice(
                "Nothing: the connection is closed.",
                "A connection is closed for errors that make what follows unreadable. A wrong tag is the error of "
                "one channel.",
            ),
        ),
        _observe_wrong_channel,
        section="An ack on the wrong channel",
    ),
    Prediction(
        "handed back",
        "The cook hands back the steak when it comes for the first time, turns away the sushi, and cooks everything "
        "else. Which of the three is delivered more than once?",
        (
            Choice(
                "None: whoever says no to an order never sees it again.",
                "It doesn't matter who said no. A requeued message goes to the next consumer that is free, and here "
                "there is but one.",
            ),
            Choice(
                "The steak alone.",
                "It went back to the queue, and came again with the redelivered flag. The sushi was rejected without "
                "requeue: RabbitMQ dropped it.",
            ),
            Choice(
                "The steak and the sushi.",
                "With requeue=False a message doesn't go back. RabbitMQ drops it, or passes it to a dead-letter "
                "exchange where the queue has one.",
            ),
        ),
        _observe_handed_back,
        section="Handing back and turning away",
    ),
    Prediction(
        "long work",
        "The connection has a heartbeat of one second, and the callback sleeps for six in the thread that must send "
        "it. Then it acknowledges. What becomes of the stew?",
        (
            Choice(
                "It is done: the acknowledgment goes out when the callback has slept enough.",
                "By then the connection was closed, and an acknowledgment is worth nothing without the channel that "
                "brought the message.",
            ),
            Choice(
                "It is back in the queue: RabbitMQ has closed the connection meanwhile.",
                "It heard nothing for too long, took the worker for dead and requeued what it held. The work was done "
                "and will be done again.",
            ),
            Choice(
                "It is lost with the connection.",
                "It was not acknowledged, so RabbitMQ keeps it, whatever becomes of the connection.",
            ),
        ),
        _observe_long_work,
        section="Long work, and a connection that dies of it",
    ),
)

ESTIMATES = (
    Estimate(
        "once more",
        "The worker that forgot to acknowledge five finished orders goes home, and one that acknowledges takes its "
        "place. How many orders will the second one cook?",
        0,
        "Nothing was acknowledged, so all that the first had cooked went back to the queue when its channel closed.",
        _observe_once_more,
        section="The ack that was forgotten",
    ),
)

CHAPTER = Chapter(
    "Mistakes, timeouts and long work",
    "03_mistakes_and_long_work.ipynb",
    checks={
        "forgotten ack": _forgotten_ack,
        "wrong ack": _wrong_ack,
        "nack and reject": _nack_and_reject,
        "ack timeout": _ack_timeout,
    },
    sections={
        "forgotten ack": "The ack that was forgotten",
        "wrong ack": "An ack on the wrong channel",
        "nack and reject": "Handing back and turning away",
    },
    optional=frozenset({"ack timeout"}),
    predictions=PREDICTIONS,
    estimates=ESTIMATES,
    order=("forgotten ack", "once more", "wrong channel", "handed back", "long work"),
    exercises=EXERCISES,
    questions=QUESTIONS,
)
