"""The lesson "Acknowledgments"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.acknowledgments.exercises import EXERCISES
from workq_helpers.lessons.acknowledgments.quiz import QUESTIONS
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.evidence import (
    NO_WORKER,
    Evidence,
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


def _auto_ack(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    killed = _killed(seen, auto_ack=True)
    nothing_goes_on(messages)
    lost = [message for message in messages if message.place == "lost"]
    if not lost:
        raise CheckFailedError(
            f"{killed} was killed, and nothing was lost: it had finished all it got. Kill it sooner, or give it more."
        )
    done = sum(message.place == "done" for message in messages)
    return (
        f"{killed} was killed, and {quoted_all(lost)} {'is' if len(lost) == 1 else 'are'} gone: RabbitMQ had counted "
        f"{'it' if len(lost) == 1 else 'them'} as done on sending. The other {done} of {tasks(len(messages))} "
        f"{'is' if done == 1 else 'are'} done."
    )


def _manual_ack(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    killed = _killed(seen, auto_ack=False)
    nothing_goes_on(messages)
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
    nothing_goes_on(seen.messages)
    lost = [message for message in seen.messages if message.place == "lost"]
    if lost:
        return Seen(1, f"{quoted_all(lost)} was lost.")
    return Seen(0, _manual_ack(seen))


def _observe_served(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    _killed(seen, auto_ack=False)
    nothing_goes_on(messages)
    said = tuple(f"Served {message.task}" for message in messages)
    served = [worker.name for worker in lesson.workers for line in worker.console.lines if line.endswith(said)]
    by = names_of(served) if served else "nobody"
    return Seen({0: 0, 1: 1, 2: 2}.get(len(served)), f"Soup was served {len(served)} times: by {by}.")


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
        section="Done when sent",
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
        section="Done when done",
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
        section="Between serving and saying so",
    ),
)

CHAPTER = Chapter(
    "Acknowledgments",
    "02_acknowledgments.ipynb",
    checks={
        "auto ack": _auto_ack,
        "manual ack": _manual_ack,
    },
    sections={
        "auto ack": "Done when sent",
        "manual ack": "Done when done",
    },
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
