"""The exercises of the lesson "Acknowledgments"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.another_program import Memory, as_another_program
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.trial import Shared, Trial

if TYPE_CHECKING:
    from workq_helpers.clients.worker import Callback

__all__ = ["EXERCISES"]

_GOOD = ("Soup..", "Tea.", "Juice.")
_BAD = ("Off the menu: Sushi", "Off the menu: Pizza")
_SERVED = Counter({"Tea.": 2, "Soup..": 1, "Roast..": 1, "Juice.": 1, "Salad.": 1})
_NAMELESS = ("Milk.", "Milk.")


def _mend_the_stalled_cook(trial: Trial, callback: Any) -> str:
    first = trial.start(callback, prefetch_count=2)
    trial.send(_GOOD[0], *_BAD, *_GOOD[1:])
    trial.settle()
    trial.nobody_died()
    _nothing_is_held(trial)
    _only_the_menu_is_cooked(trial)
    first.stop()
    _is_done_before_it_is_acknowledged(trial, callback)
    trial.worked_before_it_acknowledged(*_GOOD)
    gone = sum(trial.message(order).place == "discarded" for order in _BAD)
    how = "rejected" if gone == len(_BAD) else "acknowledged" if not gone else "settled"
    return (
        f"{len(_GOOD)} orders were done, {len(_BAD)} {how}, and the broker waits for none. When a worker was killed "
        f"in the middle of 'Bread..', the next one did it."
    )


def _nothing_is_held(trial: Trial) -> None:
    held, waiting = trial.held(), trial.waiting()
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


def _only_the_menu_is_cooked(trial: Trial) -> None:
    for order in _GOOD:
        if trial.message(order).place != "done":
            raise CheckFailedError(
                f"'{order}' is on the menu, and it was {trial.message(order).place}. Only what is off the menu is "
                f"turned away."
            )
    cooked = next((run.task for run in trial.runs if run.task in _BAD and run.began), None)
    if cooked is not None:
        raise CheckFailedError(
            f"'{cooked}' was cooked: the callback called work for it. What is off the menu is settled without work."
        )


def _is_done_before_it_is_acknowledged(trial: Trial, callback: Callable[..., object]) -> None:
    killed = trial.kill_at_work(callback, "Bread..")
    if not killed:
        raise CheckFailedError("'Bread..' was never worked on. Keep the line work(body) for what is on the menu.")
    trial.start(callback)
    trial.settle()
    if trial.message("Bread..").deliveries < 2:
        raise CheckFailedError(
            f"{killed} was killed in the middle of 'Bread..', and nobody did it: it had been acknowledged "
            f"before the work. Acknowledge what is done, not what is about to be done."
        )


def _serve_it_once(trial: Trial, callback: Any) -> str:
    kitchen = _Kitchen(trial, callback)
    plates = kitchen.plates
    # A cook dies while he cooks the first of three orders, two of which are alike.
    killed = trial.kill_at_work(kitchen.cook(), "Soup..", "Tea.", "Tea.", with_ids=True, function=callback)
    trial.nobody_died()
    if not killed:
        raise CheckFailedError("No order was worked on. Keep the line work(body) for orders that are not served yet.")
    if plates:
        raise CheckFailedError(
            f"There was a plate for {_texts(plates)[0]!r} before it was cooked, and then {killed} was killed: that "
            f"guest gets an empty plate. First the work, then the plate."
        )
    trial.start(kitchen.cook(), function=callback)
    trial.settle()
    trial.nobody_died()
    _first_three(trial, Counter(_texts(plates)))
    _plate_before_ack(kitchen)
    trial.worked_before_it_acknowledged("Soup..", "Tea.")
    # A cook dies after serving, before his acknowledgment.
    kitchen.armed = True
    trial.send("Roast..", with_ids=True)
    trial.settle()
    trial.start(kitchen.cook(), function=callback)
    trial.settle()
    # The last cook's delivery tags began again at 1.
    trial.send("Juice.", "Salad.", with_ids=True)
    trial.settle()
    trial.nobody_died()
    _the_rest(kitchen, Counter(_texts(plates)))
    # Not every publisher sets a message_id: pika does not.
    trial.send(*_NAMELESS)
    trial.settle()
    trial.nobody_died()
    _the_nameless(trial, Counter(_texts(plates)))
    return (
        "2 Tea, 1 Soup, 1 Roast, 1 Juice and 1 Salad were ordered and served, though one cook was killed while he "
        "cooked and another between serving and acknowledging. 2 Milk came without a message_id and were served, too: "
        "those nobody could have known again."
    )


class _Kitchen:
    """Cooks who share nothing but the plates, and a power cut when a plate is served, once it is armed."""

    def __init__(self, trial: Trial, callback: Any) -> None:
        self.trial = trial
        self._callback = callback
        self.plates = Shared(self._served)
        self.armed = False
        #: Orders that were settled before their plate was there.
        self.settled_too_early: list[str] = []
        self._memories: list[Memory] = []

    def cook(self) -> Callback:
        """Return the callback for one more cook, who is a process of his own as far as his memory goes."""
        callback, memory = as_another_program(self._callback)
        self._memories.append(memory)

        def with_plates(ch: Any, method: Any, properties: Any, body: bytes) -> object:
            return callback(ch, method, properties, body, self.plates)

        return with_plates

    @property
    def remembers(self) -> list[str]:
        """Names of what the callback remembers things in, beside the plates."""
        return list(dict.fromkeys(name for memory in self._memories for name in memory.altered))

    def _served(self) -> None:
        run = self.trial.runs.current()
        if run is not None and run.settled:
            self.settled_too_early.append(run.task)
        if self.armed:
            self.armed = False
            self.trial.lesson.workers[-1].request_kill()


def _texts(plates: Shared) -> list[str]:
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in plates.values()]
    strange = next((text for text in texts if not isinstance(text, str)), None)
    if strange is not None:
        raise CheckFailedError(f"There is {strange!r} on a plate. Put the order's text there: body.decode().")
    return [str(text) for text in texts]


def _first_three(trial: Trial, served: Counter[str]) -> None:
    held = trial.held()
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


def _plate_before_ack(kitchen: _Kitchen) -> None:
    if kitchen.settled_too_early:
        raise CheckFailedError(
            f"'{kitchen.settled_too_early[0]}' was acknowledged before it stood on a plate. A cook who dies between "
            f"the two serves nobody, and RabbitMQ has forgotten the order. First the plate, then the acknowledgment."
        )


def _the_rest(kitchen: _Kitchen, served: Counter[str]) -> None:
    if served["Roast.."] > 1 and (names := kitchen.remembers):
        raise CheckFailedError(
            f"'Roast..' was served {served['Roast..']} times: what has been served is remembered in {names[0]!r}, in "
            f"one program's memory. The next cook is another program and finds it empty. Only plates "
            f"outlives a cook: look there."
        )
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
    held = kitchen.trial.held()
    if held:
        raise CheckFailedError(
            f"{held[0]} came again when it had been served, and nobody acknowledged it: RabbitMQ still waits to hear "
            f"of it. What has been served is done."
        )
    if served != _SERVED:
        raise CheckFailedError(f"On the plates was: {', '.join(served.elements())}. Serve each order once.")


def _the_nameless(trial: Trial, served: Counter[str]) -> None:
    if held := trial.held():
        raise CheckFailedError(f"{held[0]} has no message_id, and nobody acknowledged it.")
    missing = len(_NAMELESS) - served[_NAMELESS[0]]
    if missing:
        raise CheckFailedError(
            f"{len(_NAMELESS)} guests ordered '{_NAMELESS[0]}' through a program that sets no message_id, and "
            f"{missing} of them got nothing: properties.message_id is None there, and None is equal to None. An order "
            f"that can't be known again is served, at the risk of twice."
        )
    if served != _SERVED + Counter(_NAMELESS):
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
        "ch, method, properties, body",
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
            "plate there, and then acknowledge. And if a publisher set none?",
            "An order whose message_id is None can't be known again: give it a new key, such as str(uuid.uuid4()), and "
            "serve it.",
        ),
        _serve_it_once,
        "ch, method, properties, body, plates",
    ),
)
