"""The exercises of the lesson "Acknowledgments"."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from workq_helpers.clients.pace import work
from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.acknowledgments.keys import COUNT, DELIVERY_TAG, IDENTITY, Delivery, Plate, not_carried
from workq_helpers.teaching.another_program import Memory, as_another_program
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.trial import Shared, Trial
from workq_helpers.text import decoded, shown

if TYPE_CHECKING:
    from workq_helpers.clients.worker import Callback

__all__ = ["EXERCISES"]

# -- mend the polite cook

_BREAD = "Bread.."
_ORDERS = ("Tea.", _BREAD, "Soup..", "Juice.")


class _ColdOvenError(Exception):
    """What the oven of the exercise raises."""


#: What the callback raises by mistake, and not to say that the oven failed.
_MISTAKES = (AttributeError, NameError, TypeError)


class _Oven:
    """Bakes orders, and fails once: the first time that it is given bread."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._failed = False
        self.baked: list[str] = []
        #: Orders for which it was called.
        self.begun: set[str] = set()
        #: Orders that had been settled when the baking began.
        self.settled_too_early: list[str] = []

    def bake(self, body: bytes | str) -> None:
        order = decoded(body)
        self.begun.add(order)
        run = self._trial.runs.current()
        if run is not None and run.settled:
            self.settled_too_early.append(order)
        if self.baked.count(order) >= sum(run.task == order for run in self._trial.runs):
            self._trial.found = (
                f"'{order}' was baked, and then once more, for one guest. What was baked is acknowledged, and baked no "
                f"more."
            )
        work(body)
        if order == _BREAD and not self._failed:
            self._failed = True
            raise _ColdOvenError("the oven went cold")
        self.baked.append(order)


def _mend_the_polite_cook(trial: Trial, callback: Any) -> str:
    oven = _Oven(trial)

    def cook(ch: Any, method: Any, properties: Any, body: bytes) -> object:
        try:
            result: object = callback(ch, method, properties, body, oven.bake)
        except BaseException as error:
            if isinstance(error, _MISTAKES) or not isinstance(error.__context__, _ColdOvenError):
                raise
            raise error.__context__ from None  # an error of the callback's own, which says the same
        return result

    trial.start(cook, function=callback)
    trial.send(*_ORDERS)
    trial.settle()
    _only_the_oven_failed(trial)
    if not any(worker.alive for worker in trial.lesson.workers):
        trial.start(cook, function=callback)
        trial.settle()
        _only_the_oven_failed(trial)
    _nothing_is_forgotten(trial, oven)
    return (
        f"{len(_ORDERS)} orders were baked and acknowledged. '{_BREAD}' failed once; RabbitMQ had not heard that it "
        f"was done, so it was baked in the end."
    )


def _only_the_oven_failed(trial: Trial) -> None:
    trial.no_channel_was_closed()
    for event in trial.lesson.log:
        if event.kind == "failed" and _ColdOvenError.__name__ not in str(event.detail):
            raise CheckFailedError(f"{event.actor} died at '{event.task}': {event.detail}. That was not the oven.")


def _nothing_is_forgotten(trial: Trial, oven: _Oven) -> None:
    beside = [run.task for run in trial.runs if run.settled == "basic_ack" and run.task in oven.begun - {*oven.baked}]
    if early := [*oven.settled_too_early, *(order for order in beside if order != _BREAD)]:
        raise CheckFailedError(
            f"'{early[0]}' was acknowledged before it was baked. Who dies or fails after that has an "
            f"order that RabbitMQ has forgotten. First the baking, then the acknowledgment."
        )
    for order in _ORDERS:
        place = trial.message(order).place
        if order in oven.baked and place == "done":
            continue
        if place == "done" and order == _BREAD:
            raise CheckFailedError(
                f"'{order}' was acknowledged though the oven had failed, and it was never baked. Which lines run when "
                f"bake raises?"
            )
        if place == "done":
            raise CheckFailedError(f"'{order}' was acknowledged, and bake was never called for it.")
        if place == "discarded":
            raise CheckFailedError(
                f"'{order}' was turned away, and its guest gets nothing. An oven may be warm again: let the order come "
                f"again."
            )
        if place == "in hand" and order == _BREAD and order not in oven.baked:
            raise CheckFailedError(
                f"The oven failed at '{order}', the callback caught that, and RabbitMQ was told nothing: it waits. "
                f"Let the error out, or hand the order back."
            )
        if place == "in hand":
            raise CheckFailedError(f"'{order}' was baked and never acknowledged: RabbitMQ still waits to hear of it.")
        raise CheckFailedError(f"'{order}' ended up {place}. Each order should be done.")


# -- serve it once

_SERVED = Counter({"Tea.": 2, "Soup..": 1, "Roast..": 1, "Juice.": 1, "Salad.": 1})
_NAMELESS = ("Milk.", "Milk.")
_CARRIED = "What an order is known by comes with the message itself, and is the same when it comes again."


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
    _nothing_is_cleared(kitchen)
    _first_three(kitchen)
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
    _cooked_once(trial)
    # Not every publisher sets a message_id: pika does not.
    trial.send(*_NAMELESS)
    trial.settle()
    trial.nobody_died()
    _the_nameless(kitchen)
    trial.failed_work_is_not_done(kitchen.cook(), function=callback)
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
        #: Each plate with what its cook was given.
        self.served: list[Plate] = []
        self._deliveries: list[Delivery] = []
        self._memories: list[Memory] = []

    def cook(self) -> Callback:
        """Return the callback for one more cook, who is a process of his own as far as his memory goes."""
        callback, memory = as_another_program(self._callback)
        self._memories.append(memory)

        def with_plates(ch: Any, method: Any, properties: Any, body: bytes) -> object:
            self._deliveries.append(Delivery(ch, method, properties, body))
            return callback(ch, method, properties, body, self.plates)

        return with_plates

    @property
    def remembers(self) -> list[str]:
        """Names of what the callback remembers things in, beside the plates."""
        return list(dict.fromkeys(name for memory in self._memories for name in memory.altered))

    @property
    def known_by(self) -> str:
        """What its keys are that the messages with a name do not carry; empty if that can't be told."""
        return not_carried([plate for plate in self.served if plate.delivery.properties.message_id])

    def _served(self) -> None:
        known = [plate.key for plate in self.served]
        self.served += [Plate(key, len(known), self._deliveries[-1]) for key in self.plates if key not in known]
        run = self.trial.runs.current()
        if run is not None and run.settled:
            self.settled_too_early.append(run.task)
        if self.armed:
            self.armed = False
            self.trial.lesson.workers[-1].request_kill()


def _texts(plates: Shared) -> list[str]:
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in plates.values()]
    strange = [text for text in texts if not isinstance(text, str) or text not in (*_SERVED, *_NAMELESS)]
    if strange:
        raise CheckFailedError(f"There is {shown(strange[0])} on a plate. Put the order's text there: body.decode().")
    return [str(text) for text in texts]


def _nothing_is_cleared(kitchen: _Kitchen) -> None:
    gone = [plate for plate in kitchen.served if plate.key not in kitchen.plates]
    if gone:
        raise CheckFailedError(
            f"'{gone[0].delivery.body.decode(errors='replace')}' stood on a plate, and your code took it away. Leave "
            f"in plates what stands there: it is how the next cook knows what has been served."
        )


def _first_three(kitchen: _Kitchen) -> None:
    trial, plates = kitchen.trial, kitchen.plates
    served = Counter(_texts(plates))
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
    missing = Counter({"Soup..": 1, "Tea.": 2}) - served
    one_of_two = served["Tea."] == 1 and served["Soup.."]
    # What is another number for each delivery has not made two of them one.
    if missing and kitchen.known_by and not (one_of_two and kitchen.known_by in (COUNT, DELIVERY_TAG)):
        _took_it_for_another(kitchen, next(iter(missing)))
    if one_of_two:
        raise CheckFailedError(
            "Two guests ordered 'Tea.', and one plate of it was served. Equal orders are not the same order: "
            "what tells one message from another with the same body?"
        )
    if missing and None in plates:
        raise CheckFailedError(
            f"'{next(iter(missing))}' was never served: what your code knows an order by is None in each of them, and "
            f"the first plate stands under None. Which property did their publisher set?"
        )
    cooked = [run.task for run in trial.runs if run.task in missing and run.worked and run.settled == "basic_ack"]
    if cooked:
        raise CheckFailedError(
            f"'{cooked[0]}' was cooked and acknowledged, and stands on no plate. Put it into plates itself, which all "
            f"cooks share: another dict, though it is called so, is nobody else's."
        )
    if missing:
        raise CheckFailedError(
            f"'{next(iter(missing))}' was delivered again after its cook's death and never served. That it was "
            f"delivered before, which the redelivered flag says, does not mean that it was done."
        )


def _took_it_for_another(kitchen: _Kitchen, order: str) -> NoReturn:
    known_by = f": {kitchen.known_by}" if kitchen.known_by else ", which can't tell messages apart"
    raise CheckFailedError(
        f"'{order}' was acknowledged and never served: your code took it for another order. The plates stand under "
        f"{', '.join(map(shown, list(kitchen.plates)[:3]))}{known_by}. {_CARRIED if kitchen.known_by else ''}".rstrip()
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
            f"'Roast..' was served {served['Roast..']} times. Your code keeps {' and '.join(map(repr, names))} in one "
            f"program's memory. The next cook is another program, and has them as they were at first. Only plates "
            f"outlives a cook: look there before you cook."
        )
    if served["Roast.."] > 1:
        keys = [shown(key) for key, order in kitchen.plates.items() if order in ("Roast..", b"Roast..")]
        raise CheckFailedError(
            f"'Roast..' was served {served['Roast..']} times: its cook was killed after serving and before the "
            f"acknowledgment, so it came again. Its plates stand under {' and '.join(keys)}: "
            f"{kitchen.known_by or 'another key when it came again'}. {_CARRIED}"
        )
    missing = [order for order in ("Roast..", "Juice.", "Salad.") if not served[order]]
    if missing:
        _took_it_for_another(kitchen, missing[0])
    held = kitchen.trial.held()
    if held:
        raise CheckFailedError(
            f"{held[0]} came again when it had been served, and nobody acknowledged it: RabbitMQ still waits to hear "
            f"of it. What has been served is done."
        )
    if served != _SERVED:
        raise CheckFailedError(f"On the plates was: {', '.join(served.elements())}. Serve each order once.")


def _cooked_once(trial: Trial) -> None:
    times = sum(run.worked for run in trial.runs if run.task == "Roast..")
    if times > 1:
        raise CheckFailedError(
            f"'Roast..' was cooked {times} times, though it stood on a plate when it came again. Look there before you "
            f"cook, under the key under which you keep it."
        )


def _the_nameless(kitchen: _Kitchen) -> None:
    trial, plates = kitchen.trial, kitchen.plates
    served = Counter(_texts(plates))
    if held := trial.held():
        raise CheckFailedError(f"{held[0]} has no message_id, and nobody acknowledged it.")
    missing = len(_NAMELESS) - served[_NAMELESS[0]]
    if missing:
        why = "your code took the one for the other"
        if trial.message(_NAMELESS[0]).place == "discarded":
            why = "they were turned away"
        elif None in plates:
            why = "properties.message_id is None there, and None is equal to None"
        elif not any(run.worked for run in trial.runs if run.task == _NAMELESS[0]):
            why = "they were acknowledged, and nobody cooked them"
        elif missing == len(_NAMELESS):
            why = "they were cooked and acknowledged, and stand on no plate"
        raise CheckFailedError(
            f"{len(_NAMELESS)} guests ordered '{_NAMELESS[0]}' through a program that sets no message_id, and "
            f"{missing} of them got nothing: {why}. An order that can't be known again is served, at the risk of twice."
        )
    if served != _SERVED + Counter(_NAMELESS):
        raise CheckFailedError(f"On the plates was: {', '.join(served.elements())}. Serve each order once.")
    nameless = [plate for plate in kitchen.served if not plate.delivery.properties.message_id]
    if not_carried(nameless) == IDENTITY:
        raise CheckFailedError(
            f"This time '{_NAMELESS[0]}' was served {len(_NAMELESS)} times. It stands under {shown(nameless[0].key)}: "
            f"{IDENTITY}. Then an order is taken for one that was served, and its guest gets nothing."
        )


EXERCISES = (
    Exercise(
        "mend the polite cook",
        "acknowledgments/mend_the_polite_cook",
        "callback",
        (
            "Follow the lines of the callback for an order at which bake raises. What does RabbitMQ hear?",
            "What stands below finally runs in any case. When is an order done?",
            "Acknowledge after bake, outside of any finally. If bake raises, that line isn't reached: the worker ends, "
            "and the order goes to the next one. Or catch the error, and hand the order back with basic_nack.",
        ),
        _mend_the_polite_cook,
        "ch, method, properties, body, bake",
    ),
    Exercise(
        "serve it once",
        "acknowledgments/serve_it_once",
        "callback",
        (
            "An order may come twice. Before you cook, see whether it stands on a plate already.",
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
