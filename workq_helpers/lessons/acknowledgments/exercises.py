"""The exercises of the lesson "Acknowledgments"."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.trial import Shared, Trial

__all__ = ["EXERCISES"]

_GOOD = ("Soup..", "Tea.", "Juice.")
_BAD = ("Off the menu: Sushi", "Off the menu: Pizza")


def _mend_the_stalled_cook(trial: Trial, callback: Any) -> str:
    first = trial.start(callback, prefetch_count=2)
    trial.send(_GOOD[0], *_BAD, *_GOOD[1:])
    trial.settle()
    trial.nobody_died()
    _nothing_is_held(trial)
    for order in _GOOD:
        if trial.message(order).place != "done":
            raise CheckFailedError(
                f"'{order}' is on the menu, and it was {trial.message(order).place}. Only what is off the menu is "
                f"turned away."
            )
    first.stop()
    _is_done_before_it_is_acknowledged(trial, callback)
    gone = sum(trial.message(order).place == "discarded" for order in _BAD)
    how = "rejected" if gone == len(_BAD) else "acknowledged" if not gone else "settled"
    return (
        f"{len(_GOOD)} orders were done, {len(_BAD)} {how}, and the broker waits for none. When a worker was killed "
        f"in the middle of 'Bread..', the next one did it."
    )


def _nothing_is_held(trial: Trial) -> None:
    held = [f"'{message.task}'" for message in trial.lesson.ledger() if message.place == "in hand"]
    waiting = [f"'{message.task}'" for message in trial.lesson.ledger() if message.place == "waiting"]
    if held and waiting:
        raise CheckFailedError(
            f"{', '.join(waiting)} waited in the queue, and worker-1 took no more: it may hold 2 deliveries and held "
            f"{' and '.join(held)}, unacknowledged. Which way through the callback forgets them?"
        )
    if held:
        raise CheckFailedError(
            f"All was delivered, and {' and '.join(held)} never settled: the broker still counts "
            f"{trial.unacknowledged()} unacknowledged. Settle an order where the callback has finished with it."
        )
    if trial.unacknowledged():
        raise CheckFailedError(f"The broker still counts {trial.unacknowledged()} unacknowledged.")


def _is_done_before_it_is_acknowledged(trial: Trial, callback: Callable[..., object]) -> None:
    with_accident, killed = trial.killed_at_work(callback)
    trial.start(with_accident)
    trial.send("Bread..")
    trial.settle()
    if not killed:
        raise CheckFailedError("'Bread..' was never worked on. Keep the line work(body) for what is on the menu.")
    trial.start(callback)
    trial.settle()
    if trial.message("Bread..").deliveries < 2:
        raise CheckFailedError(
            f"{killed[0]} was killed in the middle of 'Bread..', and nobody did it: it had been acknowledged "
            f"before the work. Acknowledge what is done, not what is about to be done."
        )


def _serve_it_once(trial: Trial, callback: Any) -> str:
    _takes_plates(callback)
    cut = _PowerCut(trial)
    plates = Shared(cut)

    def with_plates(ch: Any, method: Any, properties: Any, body: bytes) -> object:
        return callback(ch, method, properties, body, plates)

    # A cook dies while he cooks the first of three orders, two of which are alike.
    with_accident, killed = trial.killed_at_work(with_plates)
    trial.start(with_accident)
    trial.send("Soup..", "Tea.", "Tea.", with_ids=True)
    trial.settle()
    trial.nobody_died()
    if not killed:
        raise CheckFailedError("No order was worked on. Keep the line work(body) for orders that are not served yet.")
    if plates:
        raise CheckFailedError(
            f"There was a plate for {_texts(plates)[0]!r} before it was cooked, and then {killed[0]} was killed: that "
            f"guest gets an empty plate. First the work, then the plate."
        )
    trial.start(with_plates)
    trial.settle()
    trial.nobody_died()
    _first_three(trial, Counter(_texts(plates)))
    # A cook dies after serving, before his acknowledgment.
    cut.armed = True
    trial.send("Roast..", with_ids=True)
    trial.settle()
    trial.start(with_plates)
    trial.settle()
    # The last cook's delivery tags began again at 1.
    trial.send("Juice.", "Salad.", with_ids=True)
    trial.settle()
    trial.nobody_died()
    _the_rest(trial, Counter(_texts(plates)))
    return (
        "2 Tea, 1 Soup, 1 Roast, 1 Juice and 1 Salad were ordered and served, though one cook was killed while he "
        "cooked and another between serving and acknowledging."
    )


class _PowerCut:
    """Kills the newest worker when a plate is served, once it is armed."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.armed = False

    def __call__(self) -> None:
        if self.armed:
            self.armed = False
            self._trial.lesson.workers[-1].request_kill()


def _takes_plates(callback: object) -> None:
    if not callable(callback):
        raise CheckFailedError(f"The answer is {callback!r}. Hand in the function callback itself.")
    try:
        inspect.signature(callback).bind(None, None, None, None, None)
    except TypeError as error:
        raise CheckFailedError(
            f"The callback can't be called ({error}). Keep its five parameters: ch, method, properties, body, plates."
        ) from error


def _texts(plates: Shared) -> list[str]:
    texts = [value.decode() if isinstance(value, bytes) else value for value in plates.values()]
    strange = next((text for text in texts if not isinstance(text, str)), None)
    if strange is not None:
        raise CheckFailedError(f"There is {strange!r} on a plate. Put the order's text there: body.decode().")
    return [str(text) for text in texts]


def _first_three(trial: Trial, served: Counter[str]) -> None:
    held = [f"'{message.task}'" for message in trial.lesson.ledger() if message.place == "in hand"]
    if held:
        raise CheckFailedError(
            f"{', '.join(held)} never acknowledged. Does every way through the callback reach basic_ack?"
        )
    first = next(iter(trial.lesson.ledger()))
    if first.deliveries < 2:
        raise CheckFailedError(
            f"'{first.task}' was acknowledged before it was served; its cook was killed, and nobody else got it. "
            f"Acknowledge last."
        )
    if served["Tea."] == 1 and served["Soup.."]:
        raise CheckFailedError(
            "Two guests ordered 'Tea.', and one plate of it was served. Equal orders are not the same order: "
            "what tells one message from another with the same body?"
        )
    missing = Counter({"Soup..": 1, "Tea.": 2}) - served
    if missing:
        raise CheckFailedError(
            f"'{next(iter(missing))}' was delivered again after its cook's death and never served. The redelivered "
            f"flag says that it was delivered before, not that it was done."
        )


def _the_rest(trial: Trial, served: Counter[str]) -> None:
    if served["Roast.."] > 1:
        raise CheckFailedError(
            f"'Roast..' was served {served['Roast..']} times: its cook was killed after serving and before the "
            f"acknowledgment, so it came again. Look whether an order has been served before you cook it."
        )
    missing = [order for order in ("Roast..", "Juice.", "Salad.") if not served[order]]
    if missing:
        raise CheckFailedError(
            f"'{missing[0]}' was acknowledged and never served: your code took it for another order. Delivery tags "
            f"begin at 1 again on every channel, so they can't tell messages apart."
        )
    held = [message.task for message in trial.lesson.ledger() if message.place == "in hand"]
    if held:
        raise CheckFailedError(
            f"'{held[0]}' came again when it had been served, and nobody acknowledged it: RabbitMQ still waits to hear "
            f"of it. What has been served is done."
        )
    if served != Counter({"Tea.": 2, "Soup..": 1, "Roast..": 1, "Juice.": 1, "Salad.": 1}):
        raise CheckFailedError(f"On the plates was: {', '.join(served.elements())}. Serve each order once.")


EXERCISES = (
    Exercise(
        "mend the stalled cook",
        "acknowledgments/mend_the_stalled_cook",
        "callback",
        (
            "What does RabbitMQ still wait for? Start a worker with this callback and prefetch_count=2, send some "
            "orders, and look at lesson.tasks().",
            "The callback has two ways out. What does the broker hear on each of them?",
            "On the way out for orders that are off the menu nothing is said. Reject them there without requeue, or "
            "acknowledge them.",
        ),
        _mend_the_stalled_cook,
    ),
    Exercise(
        "serve it once",
        "acknowledgments/serve_it_once",
        "callback",
        (
            "An order may come twice. Before you cook, look whether it stands on a plate already.",
            "How do you recognize an order that comes again? Not by its text, for two guests may want the same, and "
            "not by its delivery tag. Look at properties.",
            "Use properties.message_id as the key in plates: if it is there, only acknowledge; else work, put the "
            "plate there, and then acknowledge.",
        ),
        _serve_it_once,
    ),
)
