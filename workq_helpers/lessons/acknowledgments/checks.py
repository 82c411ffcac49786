"""The lesson "Acknowledgments"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.acknowledgments.exercises import EXERCISES
from workq_helpers.log.details import Mistake
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.evidence import NO_WORKER, Evidence, Subscription, names_of, quoted, sent_to_workers, tasks
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

# -- checks -------------------------------------------------------------------------------------------


def _auto_ack(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    killed = _killed(seen, auto_ack=True)
    _nothing_goes_on(messages)
    lost = [message for message in messages if message.place == "lost"]
    if not lost:
        raise CheckFailedError(
            f"{killed} was killed, and nothing was lost: it had finished all it got. Kill it sooner, or give it more."
        )
    done = sum(message.place == "done" for message in messages)
    return (
        f"{killed} was killed, and {_quoted(lost)} {'is' if len(lost) == 1 else 'are'} gone: RabbitMQ had counted "
        f"{'it' if len(lost) == 1 else 'them'} as done on sending. The other {done} of {tasks(len(messages))} "
        f"{'is' if done == 1 else 'are'} done."
    )


def _manual_ack(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    killed = _killed(seen, auto_ack=False)
    _nothing_goes_on(messages)
    again = [message for message in messages if message.deliveries > 1]
    if not again:
        raise CheckFailedError(
            f"{killed} was killed with nothing unacknowledged, so nothing came back. Kill it while it works."
        )
    undone = [message for message in messages if message.place != "done"]
    if undone:
        raise CheckFailedError(f"{quoted(undone[0])} is {undone[0].place}. Does the callback acknowledge what is done?")
    heirs = names_of(sorted({message.worker for message in again}))
    return (
        f"{killed} was killed; what it had not acknowledged was delivered again, to {heirs}, and marked as "
        f"redelivered. All {tasks(len(messages))} are done, and none is lost."
    )


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
    _nothing_goes_on(messages)
    returned = {event.mark for event in seen.events if event.kind in ("nacked", "rejected")} - {None}
    back = [message for message in messages if message.mark in returned and message.place == "done"]
    gone = [message for message in messages if message.place == "discarded"]
    if not back:
        raise CheckFailedError("Nothing was handed back and done later. Use basic_nack with requeue=True for one task.")
    if not gone:
        raise CheckFailedError("Nothing was turned away for good. Use basic_reject with requeue=False for one task.")
    done = len(messages) - len(gone)
    return f"{_quoted(back)} went back to the queue and was done later; {_quoted(gone)} was turned away; {done} done."


def _ack_timeout(seen: Evidence) -> str:
    for event in seen.events:
        if event.kind == "channel closed" and re.search("time(d )?out", str(event.detail)):
            return f"RabbitMQ closed {event.actor}'s channel, for an acknowledgment was overdue."
        if event.kind == "cancelled":
            return f"RabbitMQ canceled {event.actor}'s consumer, for an acknowledgment was overdue."
    raise CheckFailedError("RabbitMQ has not lost its patience. Does a worker hold a task without acknowledging it?")


def _killed(seen: Evidence, *, auto_ack: bool) -> str:
    """Return the name of a worker that was killed and acknowledged in that way."""
    wanted = [worker for worker in seen.consumers.values() if worker.auto_ack is auto_ack]
    if not seen.consumers:
        raise CheckFailedError(NO_WORKER)
    if not wanted:
        raise CheckFailedError(f"No worker has auto_ack={auto_ack}. Start the workers with auto_ack={auto_ack}.")
    killed = next((each.name for each in wanted if seen.gone.get(each.name, (0, ""))[1] == "killed"), None)
    if killed is None:
        raise CheckFailedError(f"{wanted[0].name} was not killed. Call kill() on it while it has work.")
    return killed


def _nothing_goes_on(messages: Sequence[Message]) -> None:
    left = [message for message in messages if message.place in ("waiting", "in hand")]
    if left:
        raise CheckFailedError(
            f"{quoted(left[0])} is still {left[0].place}. Wait with lesson.wait_until_idle(); is a worker left?"
        )


def _quoted(messages: Sequence[Message]) -> str:
    return names_of([quoted(message) for message in messages])


# -- predictions --------------------------------------------------------------------------------------


def _observe_auto_ack(lesson: Session) -> Seen:
    seen = observed(lesson)
    saw = _auto_ack(seen)
    killed = _killed(seen, auto_ack=True)
    mine = [message for message in seen.messages if message.worker == killed]
    lost = [message for message in mine if message.place == "lost"]
    if any(message.deliveries > 1 for message in seen.messages):
        return Seen(0, saw)
    return Seen(1 if len(lost) == 1 else 2 if len(lost) == len(mine) else None, saw)


def _observe_manual_ack(lesson: Session) -> Seen:
    seen = observed(lesson)
    sent_to_workers(seen)
    _killed(seen, auto_ack=False)
    _nothing_goes_on(seen.messages)
    lost = [message for message in seen.messages if message.place == "lost"]
    if lost:
        return Seen(1, f"{_quoted(lost)} was lost.")
    return Seen(0, _manual_ack(seen))


def _observe_served(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    _killed(seen, auto_ack=False)
    _nothing_goes_on(messages)
    said = tuple(f"Served {message.task}" for message in messages)
    served = [worker.name for worker in lesson.workers for line in worker.console.lines if line.endswith(said)]
    by = names_of(served) if served else "nobody"
    return Seen({0: 0, 1: 1, 2: 2}.get(len(served)), f"Soup was served {len(served)} times: by {by}.")


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


PREDICTIONS = (
    Prediction(
        "auto ack",
        "Two workers with auto_ack=True share six orders, three each. The first worker is killed in the middle of its "
        "first one. What becomes of its three orders?",
        (
            Choice(
                "None is lost: RabbitMQ notices the death and gives all three to the other worker.",
                "It notices the death, but has nothing left to give: it had deleted each message when it sent it.",
            ),
            Choice(
                "One is lost, the one in hand; the two that it had not begun go to the other worker.",
                "Begun or not makes no difference to RabbitMQ. All three had left the queue and waited in the worker.",
            ),
            Choice(
                "All three are lost.",
                "With automatic acknowledgment a message counts as done when it is sent. What waits in a worker, "
                "begun or not, exists nowhere else, and dies with it.",
            ),
        ),
        _observe_auto_ack,
    ),
    Prediction(
        "manual ack",
        "The same again with acknowledgments from the callback: six orders, two workers, and the first is killed in "
        "the middle of its first order. What becomes of the orders that it had got?",
        (
            Choice(
                "All of them go back to the queue and to the other worker.",
                "What is not acknowledged when the channel closes is requeued, and delivered again with the "
                "redelivered flag set.",
            ),
            Choice(
                "The one in hand is lost; the others go to the other worker.",
                "It was not acknowledged either, and that is all that counts: RabbitMQ keeps every message until then.",
            ),
            Choice(
                "They wait until the first worker comes back.",
                "A message belongs to a worker only as long as its channel is open. RabbitMQ notices a closed "
                "connection at once and doesn't wait for anyone.",
            ),
        ),
        _observe_manual_ack,
    ),
    Prediction(
        "served twice",
        "A worker cooks the soup and serves it; the power fails before its acknowledgment; then a second worker "
        "comes. How often is soup served?",
        (
            Choice("Not at all.", "The first worker had served before the power failed."),
            Choice(
                "Once.",
                "RabbitMQ can't know what happened on the other side. It heard no acknowledgment, so for RabbitMQ "
                "the order was not done.",
            ),
            Choice(
                "Twice.",
                "Served, but not acknowledged, looks to RabbitMQ like never served. It promises delivery at least "
                "once, never exactly once; so work must do no harm when it is repeated. Such work is called "
                "idempotent.",
            ),
        ),
        _observe_served,
    ),
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
    ),
)

CHAPTER = Chapter(
    "Acknowledgments",
    "02_acknowledgments.ipynb",
    checks={
        "auto ack": _auto_ack,
        "manual ack": _manual_ack,
        "forgotten ack": _forgotten_ack,
        "wrong ack": _wrong_ack,
        "nack and reject": _nack_and_reject,
        "ack timeout": _ack_timeout,
    },
    sections={
        "auto ack": "Done when sent",
        "manual ack": "Done when done",
        "forgotten ack": "The ack that was forgotten",
        "wrong ack": "An ack on the wrong channel",
        "nack and reject": "Handing back and turning away",
    },
    optional=frozenset({"ack timeout"}),
    predictions=PREDICTIONS,
    exercises=EXERCISES,
)
