"""The lesson "Round robin"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.round_robin.exercises import EXERCISES
from workq_helpers.lessons.round_robin.quiz import QUESTIONS
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.estimate import Counted, Estimate
from workq_helpers.teaching.evidence import (
    NO_WORKER,
    Evidence,
    Subscription,
    all_done_once,
    names_of,
    quoted,
    sent_to_workers,
    tasks,
)
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

# -- checks -------------------------------------------------------------------------------------------


def _round_robin(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    queue = messages[-1].queue
    messages = [message for message in messages if message.queue == queue]
    workers = _present(seen, queue, seen.published[id(messages[0])])
    if len(messages) < len(workers):
        raise CheckFailedError(
            f"{tasks(len(messages))} can't go round {len(workers)} workers. Send {len(workers)} or more."
        )
    for worker in workers:
        gone = seen.gone.get(worker.name)
        if gone is not None and gone[0] < seen.published[id(messages[-1])]:
            raise CheckFailedError(
                f"{worker.name} was {gone[1]} before all tasks were sent. Keep every worker until the last one."
            )
    all_done_once(messages)
    first = [seen.first_worker(message) for message in messages]
    names = [worker.name for worker in workers]
    _alternates(messages, first, workers)
    shares = [first.count(name) for name in names]
    share = f"{shares[0]} each" if len(set(shares)) == 1 else " and ".join(map(str, shares))
    return f"{tasks(len(messages))} went round {names_of(names)} in turn, {share}, and every one was done once."


def _alternates(messages: Sequence[Message], first: Sequence[str | None], workers: Sequence[Subscription]) -> None:
    names = [worker.name for worker in workers]
    others = [name for name in first if name not in names]
    if others:
        raise CheckFailedError(
            f"{others[0]} got a task too, and was not there when the first one was sent. "
            f"Start every worker before sending, then send again."
        )
    turn = names.index(first[0] or "")
    for number, (message, name) in enumerate(zip(messages, first, strict=True)):
        expected = names[(turn + number) % len(names)]
        if name == expected:
            continue
        limited = [worker for worker in workers if worker.prefetch_count]
        why = (
            f"{limited[0].name} has prefetch_count={limited[0].prefetch_count}, so RabbitMQ passes it over "
            f"while it is busy. Start the workers without prefetch_count for this."
            if limited
            else "Send all tasks from one publisher, to workers that are all there before, and look again."
        )
        raise CheckFailedError(f"{quoted(message)} went to {name}, though it was {expected}'s turn. {why}")


def _backlog(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    newcomer = _newcomer(seen)
    of_others = [each for each in seen.deliveries if each.worker == newcomer.name]
    taken = next((each.message for each in of_others if seen.first_worker(each.message) != newcomer.name), None)
    if taken is not None:
        raise CheckFailedError(
            f"{newcomer.name} got {quoted(taken)}, which had been dispatched to {seen.first_worker(taken)} "
            f"and came back. Keep every worker alive and let it acknowledge, then look again."
        )
    if not of_others:
        raise CheckFailedError(
            f"{newcomer.name} got nothing: all tasks had been dispatched when it came. "
            f"Send some more, and see who gets those."
        )
    all_done_once(messages)
    # Who had what at the moment it came is the broker's to know: a worker may report a delivery later.
    earlier = [message for message in messages if seen.published[id(message)] < newcomer.position]
    old = names_of(sorted({each.worker for each in seen.deliveries if each.worker != newcomer.name}))
    helped = sum(message.worker == newcomer.name for message in earlier)
    if helped:
        return (
            f"{tasks(len(earlier))} had been sent before {newcomer.name} came; it did {helped} that still "
            f"waited in the queue, and none that had been dispatched to {old}."
        )
    later = len(messages) - len(earlier)
    return (
        f"{tasks(len(earlier))} had been sent before {newcomer.name} came, and were dispatched to {old}: "
        f"it got none of them. Of the {later} sent later it did {len(of_others)}."
    )


def _newcomer(seen: Evidence) -> Subscription:
    """Return the worker that came last, to work that was already there."""
    if not seen.consumers:
        raise CheckFailedError(NO_WORKER)
    last = max(seen.consumers.values(), key=lambda worker: worker.position)
    if len(seen.consumers) < 2:
        raise CheckFailedError(
            f"Only {last.name} was started. Start another worker while there is work left, and see who gets what."
        )
    if all(position > last.position for position in seen.published.values()):
        raise CheckFailedError(
            f"No task had been sent when {last.name} came. Send the tasks first, then start {last.name}."
        )
    return last


def _present(seen: Evidence, queue: str, position: int) -> list[Subscription]:
    """Return the queue's workers that were there at that position of the log, in order of connecting."""
    consumers = sorted(
        (worker for worker in seen.consumers.values() if worker.queue == queue),
        key=lambda worker: worker.position,
    )
    present = [worker for worker in consumers if worker.position < position]
    if len(present) >= 2:
        return present
    if len(consumers) >= 2:
        raise CheckFailedError(
            f"{consumers[1].name} came after the first task was sent. "
            f"Did you start the second worker before sending? Start all of them, then send."
        )
    names = names_of([worker.name for worker in consumers])
    raise CheckFailedError(
        f"The queue {queue!r} had {names or 'no worker'}{' alone' if names else ''}. "
        f"Did you start the second worker before sending?"
    )


# -- predictions --------------------------------------------------------------------------------------


def _observe_five_orders(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    all_done_once(messages)
    names = list(seen.consumers)
    got = {name: [message for message in messages if message.worker == name] for name in names}
    saw = f"{'; '.join(f'{name} did {_tasks_of(mine)}' for name, mine in got.items())}."
    if len(names) != 2 or len(messages) < 4:
        return Seen(None, saw)
    first = [seen.first_worker(message) for message in messages]
    if all(name == first[number % 2] for number, name in enumerate(first)) and first[0] != first[1]:
        return Seen(0, saw)
    half = (len(messages) + 1) // 2
    if len(set(first[:half])) == 1 and len(set(first[half:])) == 1:
        return Seen(1, saw)
    if first == _whoever_is_free(messages, names):
        return Seen(3, saw)
    work = [sum(message.task.count(".") for message in mine) for mine in got.values()]
    return Seen(2 if abs(work[0] - work[1]) <= 1 else None, saw)


def _whoever_is_free(messages: Sequence[Message], names: Sequence[str]) -> list[str]:
    """Return who would get each message if it went to whoever is free first."""
    free_at = dict.fromkeys(names, 0)
    turns = []
    for message in messages:
        name = min(names, key=lambda each: free_at[each])
        free_at[name] += message.task.count(".")
        turns.append(name)
    return turns


def _tasks_of(messages: Sequence[Message]) -> str:
    return names_of([quoted(message) for message in messages]) if messages else "nothing"


def _observe_late_worker(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    newcomer = _newcomer(seen)
    early = [message for message in messages if seen.published[id(message)] < newcomer.position]
    if len(early) == len(messages):
        raise CheckFailedError("Send the late orders too, and wait until all are done.")
    all_done_once(messages)
    helped = [message for message in early if message.worker == newcomer.name]
    later = Counter(message.worker for message in messages if message not in early)
    saw = (
        f"Of the {len(early)} early orders {newcomer.name} did {len(helped) or 'none'}; "
        f"of the {len(messages) - len(early)} late ones {later[newcomer.name]}."
    )
    if not helped:
        return Seen(2 if later[newcomer.name] else None, saw)
    return Seen(0 if len(helped) == len(early) // 2 else 1, saw)


def _observe_nine_orders(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)[:9]
    names = list(seen.consumers)[:3]
    if len(names) < 3 or len(messages) < 9:
        raise CheckFailedError("Start three workers, and send them nine orders.")
    all_done_once(messages)
    numbers = [at for at, message in enumerate(messages, start=1) if seen.first_worker(message) == names[1]]
    choice = 0 if numbers == [2, 5, 8] else 1 if numbers == [4, 5, 6] else 2
    return Seen(choice, f"Of the nine orders {names[1]} got {_numbers(numbers)}.")


def _numbers(numbers: Sequence[int]) -> str:
    return f"those numbered {names_of(list(map(str, numbers)))}" if numbers else "none"


def _observe_nobody_there(lesson: Session) -> Seen:
    seen = observed(lesson)
    first = min((worker.position for worker in seen.consumers.values()), default=len(seen.events))
    before = Counter(event.kind for event in seen.events[:first])
    if not before["published"]:
        raise CheckFailedError("Nothing was sent while nobody was there. Send the orders before you start a worker.")
    orders, delivered = before["published"], before["delivered"]
    saw = f"{tasks(orders)} had been sent, and {delivered or 'none'} delivered, as long as no worker was there."
    return Seen(1 if delivered else 0, saw)


def _observe_shared_backlog(lesson: Session) -> Counted:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    all_done_once(messages)
    if len(seen.consumers) < 2:
        raise CheckFailedError("One worker has it all. Start the second, too.")
    late = list(seen.consumers)[1]
    did = sum(message.worker == late for message in messages)
    return Counted(did, f"{late} did {did} of {tasks(len(messages))}.")


PREDICTIONS = (
    Prediction(
        "five orders",
        "Two workers wait, and five orders come in: Roast...., Tea., Toast.., Juice. and Soup... How will RabbitMQ "
        "share them out?",
        (
            Choice(
                "In turn: the first worker gets every second order, the other one those between.",
                "RabbitMQ hands each message to the next consumer in line and starts over after the last one, which "
                "is called round-robin dispatching; it never looks at the size of a task.",
            ),
            Choice(
                "In blocks: the first worker gets the first orders, the other one the rest.",
                "Nothing is cut into blocks: each message is dispatched when it comes in, without knowing whether "
                "more will follow.",
            ),
            Choice(
                "By size: so that both workers have about the same number of dots.",
                "The dots mean nothing to RabbitMQ, to which a body is bytes. Equal shares of tasks need not be "
                "equal shares of work.",
            ),
            Choice(
                "By need: whoever is free takes the next order.",
                "That looks sensible, and it is what a worker can ask for, in a later lesson. By default RabbitMQ "
                "dispatches at once, to workers that are busy as well.",
            ),
        ),
        _observe_five_orders,
        section="Two workers",
    ),
    Prediction(
        "nine orders",
        "Three workers wait, and nine orders come in, numbered from 1 to 9. Which of them does the second worker get?",
        (
            Choice(
                "Orders 2, 5 and 8.",
                "The turn goes round all workers that are there, so with three of them each gets every third order.",
            ),
            Choice(
                "Orders 4, 5 and 6.",
                "That would be a third of them in one piece. RabbitMQ deals each order out when it comes in, and "
                "doesn't know how many will follow.",
            ),
            Choice(
                "Any three: it depends on who is done first.",
                "Who is done first makes no difference to whose turn it is. A worker could ask for that, in a later "
                "lesson.",
            ),
        ),
        _observe_nine_orders,
        section="Three workers, and more",
    ),
    Prediction(
        "late worker",
        "Six orders have come in for one worker, and now a second worker starts. What will it do?",
        (
            Choice(
                "It takes over half of the six: now there are two to share them.",
                "Sharing happens when a message is dispatched, and that had happened. RabbitMQ takes nothing back "
                "from a worker that lives.",
            ),
            Choice(
                "It takes over those of the six that the first worker has not begun.",
                "RabbitMQ doesn't know which of its deliveries a worker has begun. What is delivered and not "
                "acknowledged belongs to that worker.",
            ),
            Choice(
                "It takes none of the six, and its share of whatever comes later.",
                "All six had been dispatched to the first worker when they came in, and waited there. A new worker "
                "helps with what comes, not with what has been dealt out.",
            ),
        ),
        _observe_late_worker,
        section="A worker that comes late",
    ),
    Prediction(
        "nobody there",
        "Eight orders come in, and no worker is there. What does RabbitMQ count then?",
        (
            Choice(
                "8 ready and 0 unacknowledged.",
                "Ready is what waits in the queue. It becomes unacknowledged when it is delivered, and nobody was "
                "there to deliver it to.",
            ),
            Choice(
                "0 ready and 8 unacknowledged.",
                "Nobody has acknowledged them, but nobody has been given them either. Only a delivery can be "
                "unacknowledged.",
            ),
            Choice(
                "0 ready and 0 unacknowledged.",
                "A queue doesn't need anybody at its other end: keeping messages until somebody comes is what it is "
                "for.",
            ),
        ),
        _observe_nobody_there,
        section="A backlog that can be shared",
    ),
)

ESTIMATES = (
    Estimate(
        "shared backlog",
        "Eight orders wait in the queue. A worker starts, and right after it a second one, each with prefetch_count=1. "
        "How many of the eight will the second one do?",
        1,
        "Each takes one order at a time, and what nobody has taken waits in the queue, where a newcomer finds it.",
        _observe_shared_backlog,
        section="A backlog that can be shared",
    ),
)

CHAPTER = Chapter(
    "Round robin",
    "01_round_robin.ipynb",
    checks={"round robin": _round_robin, "backlog": _backlog},
    sections={"round robin": "Two workers", "backlog": "A worker that comes late"},
    predictions=PREDICTIONS,
    estimates=ESTIMATES,
    exercises=EXERCISES,
    questions=QUESTIONS,
)
