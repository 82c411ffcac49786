"""The lesson "Fair dispatch"."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.fair_dispatch.exercises import EXERCISES
from workq_helpers.lessons.fair_dispatch.prefetch_sweep import Run, read_run
from workq_helpers.lessons.fair_dispatch.quiz import QUESTIONS
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.drawing import Drawing
from workq_helpers.teaching.estimate import Counted, Estimate
from workq_helpers.teaching.evidence import (
    NO_WORKER,
    Evidence,
    Subscription,
    all_done_once,
    names_of,
    quoted,
    quoted_all,
    sent_to_workers,
    tasks,
)
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["CHAPTER"]

#: How many guests come to the queue that fills, and how many orders are offered to the full rail.
_GUESTS, _OFFERS = 12, 8

# -- checks -------------------------------------------------------------------------------------------


def _blind_dispatch(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    workers = _two_or_more(seen)
    limited = next((worker for worker in workers if worker.prefetch_count and not worker.auto_ack), None)
    if limited is not None:
        raise CheckFailedError(
            f"{limited.name} has prefetch_count={limited.prefetch_count}. Start the workers without it for this, "
            f"and see what RabbitMQ does on its own."
        )
    all_done_once(messages)
    dots = _dots(messages, workers)
    if len(set(dots.values())) == 1:
        raise CheckFailedError(
            f"Each worker got {next(iter(dots.values()))} dots of work. Send heavy and light tasks in turn."
        )
    shares = names_of([f"{name} got {number}" for name, number in dots.items()])
    count = len(messages) // len(workers)
    return f"{tasks(len(messages))} went out in turn, {count} to each worker. But of the dots in them {shares}."


def _fair_dispatch(seen: Evidence) -> str:
    messages = sent_to_workers(seen)
    workers = _two_or_more(seen)
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
    by_count = _runs(seen)
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


def _runs(seen: Evidence) -> dict[int, list[Run]]:
    """Return what each worker did, by its prefetch count."""
    by_count: dict[int, list[Run]] = {}
    for worker in seen.consumers.values():
        rows = [event for event in seen.events if event.actor == worker.name]
        got = sum(event.kind == "delivered" for event in rows)
        if got and not worker.auto_ack:
            by_count.setdefault(worker.prefetch_count, []).append(read_run(worker.prefetch_count, got, rows))
    return by_count


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


def _two_or_more(seen: Evidence) -> list[Subscription]:
    workers = list(seen.consumers.values())
    if not workers:
        raise CheckFailedError(NO_WORKER)
    if len(workers) < 2:
        raise CheckFailedError(f"Only {workers[0].name} was started. Start two workers, then send.")
    return workers


def _dots(messages: Sequence[Message], workers: Sequence[Subscription]) -> dict[str, int]:
    return {
        worker.name: sum(message.task.count(".") for message in messages if message.worker == worker.name)
        for worker in workers
    }


def _dead_lettered(seen: Evidence) -> dict[str | None, tuple[str, str]]:
    """Return the messages that were fetched from another queue than they were sent to: id, from and to."""
    sent = {event.mark: event.queue for event in seen.events if event.kind == "published"}
    return {
        event.mark: (sent[event.mark], event.queue)
        for event in seen.events
        if event.kind == "delivered" and sent.get(event.mark, event.queue) != event.queue
    }


# -- predictions --------------------------------------------------------------------------------------


def _observe_heavy_and_light(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    workers = _two_or_more(seen)
    _all_done(messages)
    dots = _dots(messages, workers)
    saw = f"{names_of([f'{name} did {number} dots of work' for name, number in dots.items()])}."
    if any(message.deliveries > 1 for message in messages):
        return Seen(2, saw)
    if max(dots.values()) - min(dots.values()) <= max(message.task.count(".") for message in messages):
        return Seen(0, saw)
    return Seen(1, saw)


def _observe_one_at_a_time(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    workers = _two_or_more(seen)
    _all_done(messages)
    if any(worker.prefetch_count != 1 for worker in workers):
        raise CheckFailedError("Start the workers with prefetch_count=1 and send the orders.")
    first = [seen.first_worker(message) for message in messages]
    turns = first[: len(workers)]
    if len(set(turns)) == len(turns) and all(name == turns[number % len(turns)] for number, name in enumerate(first)):
        return Seen(0, "Each order went to the cook whose turn it was.")
    heavy = [message for message in messages if message.task.count(".") > 1]
    by = sorted({message.worker for message in heavy})
    saw = f"{names_of(by)} cooked roasts, each as soon as it had acknowledged the order before."
    return Seen(1 if len(by) > 1 else None, saw)


def _observe_stale_tea(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    if len(messages) < 2 or messages[0].place != "done":
        raise CheckFailedError("Send the roast and the teas, and wait until the cook has done what it got.")
    if any(message.place == "in hand" for message in messages):
        raise CheckFailedError("The cook is still at it. Wait with lesson.wait_until_idle().")
    teas = messages[1:]
    made = sum(message.place == "done" and message.worker in seen.consumers for message in teas)
    expired = len(teas) - made
    saw = f"The cook made {made or 'none'} of {len(teas)} teas, and {expired or 'none'} expired."
    return Seen(0 if not made else 1 if not expired else 2 if made == 1 else None, saw)


def _observe_stale_again(lesson: Session) -> Seen:
    seen = observed(lesson)
    sent_to_workers(seen)
    if any(worker.prefetch_count != 1 for worker in seen.consumers.values()):
        raise CheckFailedError("Start the cook with prefetch_count=1 and send the orders.")
    return _observe_stale_tea(lesson)


def _observe_full_rail(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    done = [message for message in messages if message.place == "done"]
    if not done or any(message.place == "in hand" for message in messages):
        raise CheckFailedError("Send the orders, then start a cook, to see which of them are left.")
    saw = f"The cook got {len(done)} of {tasks(len(messages))}: {quoted_all(done)}."
    if len(done) == len(messages):
        return Seen(2, saw)
    if done == messages[: len(done)]:
        return Seen(0, saw)
    return Seen(1 if done == messages[-len(done) :] else None, saw)


def _all_done(messages: Sequence[Message]) -> None:
    undone = next((message for message in messages if message.place != "done"), None)
    if undone is not None:
        raise CheckFailedError(f"{quoted(undone)} is {undone.place}. Wait with lesson.wait_until_idle().")


def _observe_hundred_beside_one(lesson: Session) -> Counted:
    runs = _runs(observed(lesson))
    if not {1, 100} <= runs.keys():
        raise CheckFailedError("Measure prefetch counts of 1 and 100. Run the cell with prefetch_sweep.")
    rounds = zip(runs[1], runs[100], strict=False)
    ratio = round(statistics.median(one.seconds / hundred.seconds for one, hundred in rounds), 1)
    saw = f"With 100 the cook was {ratio:g} times as fast as with 1: the median of {len(runs[1])} rounds."
    return Counted(ratio, saw)


def _observe_twelve_guests(lesson: Session) -> Counted:
    events = observed(lesson).events
    guests = [at for at, event in enumerate(events) if event.kind == "published"][:_GUESTS]
    if len(guests) < _GUESTS:
        raise CheckFailedError(f"{len(guests)} guests have come so far. Run guests({_GUESTS}).")
    waiting = _GUESTS - sum(event.kind == "delivered" for event in events[: guests[-1]])
    return Counted(waiting, f"When the last of {_GUESTS} guests came, {tasks(waiting)} had not been delivered.")


def _observe_eight_offers(lesson: Session) -> Counted:
    seen = observed(lesson)
    messages = seen.sent()[:_OFFERS]
    if len(messages) < _OFFERS or not any(event.kind in ("confirmed", "refused") for event in seen.events):
        raise CheckFailedError(f"Offer {_OFFERS} orders on a channel in confirm mode.")
    refused = sum(message.place == "refused" for message in messages)
    return Counted(refused, f"RabbitMQ refused {refused} of {tasks(len(messages))}.")


PREDICTIONS = (
    Prediction(
        "heavy and light",
        "Eight orders come in: a roast of four seconds, a tea of one, a roast, a tea, and so on. Two cooks without a "
        "prefetch count share them. How much work does each of them get?",
        (
            Choice(
                "About the same: ten seconds each.",
                "That would need somebody who looks at the dots, or at who is free. RabbitMQ does neither on its own.",
            ),
            Choice(
                "Sixteen seconds for one and four for the other.",
                "They take turns, so every second order goes to the same cook, and those happen to be the roasts. "
                "Equal numbers of orders are not equal shares of work.",
            ),
            Choice(
                "At first one has all the roasts, but RabbitMQ moves some over when the other one runs out of work.",
                "What is delivered stays where it is, as long as that worker lives. RabbitMQ takes nothing back.",
            ),
        ),
        _observe_heavy_and_light,
        section="A kitchen with a bad rhythm",
    ),
    Prediction(
        "one at a time",
        "The same eight orders again, and both cooks have prefetch_count=1. Who cooks the roasts?",
        (
            Choice(
                "The first cook again: they take turns, and an order waits for the cook whose turn it is.",
                "A turn is not kept for anybody. A worker that has its fill is passed over.",
            ),
            Choice(
                "Both: an order goes to whoever has none in hand.",
                "A worker with as many unacknowledged deliveries as its prefetch count is left out until it "
                "acknowledges one. The others get what comes next, and the rest waits in the queue.",
            ),
            Choice(
                "The second cook: after the first roast RabbitMQ knows that the first cook is slow.",
                "RabbitMQ keeps no record of who was slow. It counts what is unacknowledged at this moment.",
            ),
        ),
        _observe_one_at_a_time,
        section="One at a time",
    ),
    Prediction(
        "stale tea",
        "Tea may wait for one second in this queue. A cook without a prefetch count gets a roast of six seconds, and "
        "right behind it come three teas. How many teas expire?",
        (
            Choice(
                "All three: each waits longer than a second.",
                "They wait, but not in the queue. They had been delivered, and only time in a queue counts.",
            ),
            Choice(
                "None.",
                "Without a prefetch count the teas are delivered at once and wait inside the worker, where nothing "
                "expires. A time to live is about the time in the queue.",
            ),
            Choice(
                "Two: the cook keeps the next one at hand, the others wait in the queue.",
                "That is what prefetch_count=2 would do. Without a limit the worker gets everything.",
            ),
        ),
        _observe_stale_tea,
        section="Orders that get stale",
    ),
    Prediction(
        "stale tea again",
        "The same queue and the same orders, and now the cook has prefetch_count=1. How many teas expire?",
        (
            Choice(
                "All three.",
                "The cook holds the roast alone. The teas wait in the queue, each for longer than a second, and that "
                "is where time counts.",
            ),
            Choice(
                "None, as before.",
                "Before, the teas were out of the queue before their second was over. Now they stay in it for as long "
                "as the roast takes.",
            ),
            Choice(
                "Two: one goes to the cook together with the roast.",
                "With a prefetch count of 1 a cook holds one order that is not acknowledged, and that is the roast.",
            ),
        ),
        _observe_stale_again,
        section="Orders that get stale",
    ),
    Prediction(
        "full rail",
        "A queue holds five orders at most, and eight come in while no cook is there. Which of them are left for the "
        "cook who comes later?",
        (
            Choice(
                "The first five: there was no room for the others.",
                "That is what the overflow setting reject-publish does. The usual one makes room at the other end.",
            ),
            Choice(
                "The last five: each new order pushes the oldest one out.",
                "The usual overflow setting is drop-head: the head of the queue, which has waited longest, goes.",
            ),
            Choice(
                "All eight: the limit makes the publisher wait, but loses nothing.",
                "Nobody waits here, and the publisher isn't even told. A limit means that something has to go.",
            ),
        ),
        _observe_full_rail,
        section="A rail that is full",
    ),
)

ESTIMATES = (
    Estimate(
        "a hundred at a time",
        "One cook, and five hundred orders with no work in them. How many times as fast is that cook with a prefetch "
        "count of 100 as with 1?",
        2,
        "With 1 the cook waits for the next order after each acknowledgment. With 100 the next ones are there already.",
        _observe_hundred_beside_one,
        section="What fairness costs",
    ),
    Estimate(
        "twelve guests",
        "A guest comes every second, and each plate takes three. One cook takes one order at a time. How many orders "
        "wait in the queue when the twelfth guest has come?",
        1,
        "In eleven seconds one cook does three plates and begins a fourth. All the others wait.",
        _observe_twelve_guests,
        section="A queue that fills",
    ),
    Estimate(
        "eight offers",
        "A rail holds five orders and turns newcomers away. Nobody takes any off. Of eight orders, how many are "
        "refused?",
        0,
        "The first five fill the rail. Each one after them is answered with a refusal, and what was there stays.",
        _observe_eight_offers,
        section="Where the overflow goes",
    ),
)

#: No two cooks are ever done at the same time, so that nobody has to guess who is asked first.
_FEAST = ("Feast......", "Tea.", "Toast..", "Juice.", "Soup....", "Cake.")


def _observe_feast(lesson: Session) -> Mapping[str, str]:
    seen = observed(lesson)
    messages = [message for message in sent_to_workers(seen) if message.task in _FEAST]
    if len(messages) < len(_FEAST):
        raise CheckFailedError(f"Send the {len(_FEAST)} orders, and wait until all are done.")
    _all_done(messages)
    return {message.task: message.worker or "" for message in messages}


DRAWINGS = (
    Drawing(
        "feast",
        "Two cooks take one order at a time, and a dot is a second of work. Six orders come in at once. Who cooks "
        "which?",
        _FEAST,
        ("worker-1", "worker-2"),
        "Whoever has acknowledged gets the next order. The feast keeps one cook busy for six seconds; the other one "
        "does three orders in four, and begins the soup. That ends after eight, so the cake goes to the cook of the "
        "feast.",
        _observe_feast,
        section="Draw an evening",
    ),
)

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
