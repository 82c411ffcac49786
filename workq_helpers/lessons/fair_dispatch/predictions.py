"""The predictions of "Fair dispatch", and what came of each."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.fair_dispatch.kitchen import dots_of, runs, two_or_more
from workq_helpers.log.ledger import Message
from workq_helpers.teaching.check import observed
from workq_helpers.teaching.drawing import Drawing
from workq_helpers.teaching.estimate import Counted, Estimate
from workq_helpers.teaching.evidence import names_of, quoted, quoted_all, sent_to_workers, tasks
from workq_helpers.teaching.prediction import Choice, Prediction, Seen

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["DRAWINGS", "ESTIMATES", "PREDICTIONS"]

#: How many guests come to the queue that fills, and how many orders are offered to the full rail.
_GUESTS, _OFFERS = 12, 8


def _observe_heavy_and_light(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    workers = two_or_more(seen)
    _all_done(messages)
    dots = dots_of(messages, workers)
    saw = f"{names_of([f'{name} did {number} dots of work' for name, number in dots.items()])}."
    if any(message.deliveries > 1 for message in messages):
        return Seen(2, saw)
    if max(dots.values()) - min(dots.values()) <= max(message.task.count(".") for message in messages):
        return Seen(0, saw)
    return Seen(1, saw)


def _observe_one_at_a_time(lesson: Session) -> Seen:
    seen = observed(lesson)
    messages = sent_to_workers(seen)
    workers = two_or_more(seen)
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
    by_count = runs(observed(lesson))
    if not {1, 100} <= by_count.keys():
        raise CheckFailedError("Measure prefetch counts of 1 and 100. Run the cell with prefetch_sweep.")
    rounds = zip(by_count[1], by_count[100], strict=False)
    ratio = round(statistics.median(one.seconds / hundred.seconds for one, hundred in rounds), 1)
    saw = f"With 100 the cook was {ratio:g} times as fast as with 1: the median of {len(by_count[1])} rounds."
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
