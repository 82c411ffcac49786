"""The lesson "Fair dispatch"."""

from __future__ import annotations

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.fair_dispatch.exercises import EXERCISES
from workq_helpers.lessons.fair_dispatch.kitchen import dots_of, runs, two_or_more
from workq_helpers.lessons.fair_dispatch.predictions import DRAWINGS, ESTIMATES, PREDICTIONS
from workq_helpers.lessons.fair_dispatch.quiz import QUESTIONS
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.evidence import Evidence, all_done_once, names_of, quoted_all, sent_to_workers, tasks

__all__ = ["CHAPTER"]


def _blind_dispatch(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    workers = two_or_more(seen)
    limited = next((worker for worker in workers if worker.prefetch_count and not worker.auto_ack), None)
    if limited is not None:
        raise CheckFailedError(
            f"{limited.name} has prefetch_count={limited.prefetch_count}. Start the workers without it for this, "
            f"and see what RabbitMQ does on its own."
        )
    all_done_once(messages)
    dots = dots_of(messages, workers)
    if len(set(dots.values())) == 1:
        raise CheckFailedError(
            f"Each worker got {next(iter(dots.values()))} dots of work. Send heavy and light tasks in turn."
        )
    shares = names_of([f"{name} got {number}" for name, number in dots.items()])
    count = len(messages) // len(workers)
    return f"{tasks(len(messages))} went out in turn, {count} to each worker. But of the dots in them {shares}."


def _fair_dispatch(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    workers = two_or_more(seen)
    for worker in workers:
        if worker.auto_ack:
            raise CheckFailedError(
                f"{worker.name} has auto_ack=True, so nothing it gets is ever unacknowledged, and a prefetch count "
                f"limits nothing. Start it without auto_ack."
            )
        if worker.prefetch_count != 1:
            limit = f"prefetch_count={worker.prefetch_count}" if worker.prefetch_count else "no prefetch limit"
            raise CheckFailedError(f"{worker.name} has {limit}. Start every worker with prefetch_count=1.")
    all_done_once(messages)
    heaviest = max(message.task.count(".") for message in messages)
    heavy = [message for message in messages if message.task.count(".") == heaviest]
    by = sorted({message.worker for message in heavy})
    if len(by) < 2:
        raise CheckFailedError(
            f"{by[0]} did every task of {heaviest} dots. Send heavy and light ones in turn, more than one of each."
        )
    return (
        f"No worker got a task before it had acknowledged the one before. {names_of(by)} shared the "
        f"{len(heavy)} heavy ones, and all {tasks(len(messages))} were done once."
    )


def _price_of_fairness(seen: Evidence) -> str:
    sent_to_workers(seen)
    by_count = runs(seen)
    limits = [count for count in by_count if count]
    if 1 not in limits or len(limits) < 2:
        raise CheckFailedError("Let one worker do the same tasks with prefetch_count=1, and another with a larger one.")
    largest = max(limits)
    (_, got, _, empty, _), (_, of, _, rarely, _) = by_count[1][0], by_count[largest][0]
    if rarely * got * 2 > empty * of:
        raise CheckFailedError(
            f"With prefetch_count={largest} the worker had empty hands {rarely} times in {tasks(of)}, and "
            f"{empty} times in {tasks(got)} with 1. Send many tasks without dots before you start the worker."
        )
    return (
        f"With prefetch_count=1 the worker had empty hands {empty} times in {tasks(got)}: after every one but the "
        f"last. With {largest} that happened less than half as often."
    )


def _growing_queue(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    workers = sorted(seen.consumers.values(), key=lambda worker: worker.position)
    if len(workers) < 2:
        raise CheckFailedError(f"{workers[0].name} is alone. Start more workers once the queue has filled.")
    hoarder = next((worker for worker in workers if not worker.prefetch_count or worker.auto_ack), None)
    if hoarder is not None:
        raise CheckFailedError(
            f"{hoarder.name} takes all that comes, so nothing is left in the queue for others. Start every worker "
            f"with prefetch_count=1 and without auto_ack."
        )
    waiting = deepest = 0
    for event in seen.events[: workers[1].position]:
        waiting += (event.kind == "published") - (event.kind == "delivered")
        deepest = max(deepest, waiting)
    if deepest < 2:
        raise CheckFailedError(
            f"The queue was never longer than {deepest} with {workers[0].name} alone. Send tasks faster than one "
            f"worker can do them, and start the others later."
        )
    all_done_once(messages)
    names = [worker.name for worker in workers[1:]]
    return (
        f"The queue grew as long as {workers[0].name} was alone. Then {names_of(names)} came, and in the end it was "
        f"empty: all {tasks(len(messages))} are done."
    )


def _stale_tasks(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    moved = _dead_lettered(seen)
    if not moved:
        raise CheckFailedError(
            "No message left its queue for another one. Give the queue x-message-ttl and x-dead-letter-exchange, let "
            "messages wait too long, and fetch them from where they went."
        )
    if not any(message.place == "done" and message.mark not in moved for message in messages):
        raise CheckFailedError("No worker has done anything yet. Send one long task first, and the others behind it.")
    gone = [message for message in messages if message.mark in moved]
    of, to = moved[gone[0].mark]
    return (
        f"{quoted_all(gone)} waited too long in {of!r} and went to {to!r}; no worker got "
        f"{'it' if len(gone) == 1 else 'them'}."
    )


def _full_rail(seen: Evidence) -> str:
    messages = seen.sent()
    moved = _dead_lettered(seen)
    if not messages:
        raise CheckFailedError("No task was sent. Did you run the cell that publishes them?")
    if not moved:
        raise CheckFailedError(
            "No message left its queue for another one. Give the queue x-max-length and x-dead-letter-exchange, send "
            "more than it holds, and fetch the rest from where it went."
        )
    gone = [message for message in messages if message.mark in moved]
    if gone != messages[: len(gone)]:
        raise CheckFailedError(
            f"{quoted_all(gone)} left the queue, and an older one stayed. Leave x-overflow out, and see who has to go."
        )
    of, to = moved[gone[0].mark]
    return (
        f"{quoted_all(gone)}, the oldest, had to leave {of!r} and went to {to!r}; {len(messages) - len(gone)} stayed."
    )


def _refused_tasks(seen: Evidence) -> str:
    messages = seen.sent()
    refused = [message for message in messages if message.place == "refused"]
    if not messages:
        raise CheckFailedError("No task was sent. Did you run the cell that publishes them?")
    if not any(event.kind in ("confirmed", "refused") for event in seen.events):
        raise CheckFailedError(
            "The channel was not in confirm mode. Call channel.confirm_delivery() before publishing."
        )
    if not refused:
        raise CheckFailedError(
            "RabbitMQ took every task. Give the queue x-max-length and x-overflow='reject-publish', and send more."
        )
    return f"RabbitMQ confirmed {tasks(len(messages) - len(refused))} and refused {quoted_all(refused)}: the newest."


def _dead_lettered(seen: Evidence) -> dict[str | None, tuple[str, str]]:
    """Return the messages that were fetched from another queue than they were sent to: id, from and to."""
    sent = {event.mark: event.queue for event in seen.events if event.kind == "published"}
    return {
        event.mark: (sent[event.mark], event.queue)
        for event in seen.events
        if event.kind == "delivered" and sent.get(event.mark, event.queue) != event.queue
    }


CHAPTER = Chapter(
    "Fair dispatch",
    "05_fair_dispatch.ipynb",
    checks={
        "blind dispatch": _blind_dispatch,
        "fair dispatch": _fair_dispatch,
        "price of fairness": _price_of_fairness,
        "growing queue": _growing_queue,
        "stale tasks": _stale_tasks,
        "full rail": _full_rail,
        "refused tasks": _refused_tasks,
    },
    sections={
        "blind dispatch": "A kitchen with a bad rhythm",
        "fair dispatch": "One at a time",
        "price of fairness": "What fairness costs",
        "growing queue": "A queue that fills",
        "stale tasks": "Orders that get stale",
        "full rail": "Where the overflow goes",
        "refused tasks": "Where the overflow goes",
    },
    predictions=PREDICTIONS,
    estimates=ESTIMATES,
    drawings=DRAWINGS,
    order=(
        *("heavy and light", "one at a time", "feast", "a hundred at a time", "twelve guests"),
        *("stale tea", "stale tea again", "full rail", "eight offers"),
    ),
    exercises=EXERCISES,
    questions=QUESTIONS,
)
