"""The exercises of the lesson "Fair dispatch"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pika.exceptions

from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.lessons.fair_dispatch.queue_watch import ready_messages
from workq_helpers.rabbitmq.errors import QueueNotFoundError
from workq_helpers.teaching.calls import Calls, misspelled, sendable
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.patience import AnswerError
from workq_helpers.teaching.trial import QUEUE, Trial
from workq_helpers.waiting import wait_until

__all__ = ["EXERCISES"]

# -- mend the hoarder

_ORDERS = ("Roast....", "Tea.", "Soup...", "Juice.", "Salad.", "Toast..")
_COOKS = 2

#: How long counts may take to become what they should, and a cook to do what it can get, in seconds.
_COUNTS_SECONDS = 2.0
_COOKING_SECONDS = 4.0
_PUMP_SECONDS = 0.05


class _Cook:
    """A connection and a channel as a program would have them, and what the answer does with the channel."""

    def __init__(self, trial: Trial, consume: Callable[..., object]) -> None:
        self._trial = trial
        self._consume = consume
        self.connection, self.channel = trial.open_channel()
        self.done: list[str] = []
        # An instance's own attribute hides the method: it would not come back.
        self.channel.start_consuming = _never_comes_back  # type: ignore[method-assign]
        self.channel.consume = _asks_one_by_one  # type: ignore[method-assign]

    def prepare(self) -> None:
        """Have the answer prepare the channel.

        Raises:
            CheckFailedError: It raised something, or does not come back.
        """
        try:
            self._trial.call(self._consume, self.channel, self.cook, name="consume")
        except AnswerError as raised:
            own = ""
            if isinstance(raised.error, pika.exceptions.AMQPConnectionError) and not self._trial.calls:
                own = " It had asked nothing of the channel that it is given. Use that one."
            raise CheckFailedError(f"consume(channel, callback) failed: {raised}.{own}") from raised.error
        self._trial.no_channel_was_closed()

    def cook(self, ch: Any, method: Any, _properties: Any, body: bytes) -> None:
        self.done.append(body.decode())
        ch.basic_ack(delivery_tag=method.delivery_tag)

    def work_until(self, finished: Callable[[], bool]) -> None:
        """Let the answer's callback have what comes.

        Raises:
            CheckFailedError: It raised something, or does not come back.
        """

        def cooked() -> bool:
            self.connection.process_data_events(time_limit=_PUMP_SECONDS)
            return finished() or self.channel.is_closed

        try:
            self._trial.call(
                lambda: wait_until(cooked, _COOKING_SECONDS, interval_seconds=0.0),
                name="What consume gave to basic_consume",
                function=self._consume,
            )
        except AnswerError as raised:
            if isinstance(raised.error, WorkqError | pika.exceptions.AMQPError):
                return  # RabbitMQ ended it, and the log says why
            raise CheckFailedError(f"What consume gave to basic_consume raised {raised}.") from raised.error


def _never_comes_back() -> None:
    raise CheckFailedError(
        "start_consuming stays in its loop as long as the channel is open. Leave that to the check: consume only "
        "prepares the channel and comes back."
    )


def _asks_one_by_one(*_: Any, **__: Any) -> NoReturn:
    raise CheckFailedError(
        "channel.consume hands out messages in a loop that waits for each of them, and as long as your function is in "
        "it, nothing else goes on. Keep basic_consume: it only names the callback, and comes back at once."
    )


def _mend_the_hoarder(trial: Trial, consume: Any) -> str:
    cooks = [_Cook(trial, consume) for _ in range(_COOKS)]
    for cook in cooks:
        cook.prepare()
    trial.send(*_ORDERS)
    ready = ready_messages(trial.lesson, QUEUE, len(_ORDERS) - _COOKS, _COUNTS_SECONDS)
    if ready != len(_ORDERS) - _COOKS:
        raise CheckFailedError(_why(trial.calls.of(cooks[0].channel), ready))
    # The first cook stands over its order, so all that waits is for the second.
    first, second = cooks
    second.work_until(lambda: _done(trial) >= len(_ORDERS) - 1)
    if second.done:
        first.work_until(lambda: _done(trial) >= len(_ORDERS))
    _acknowledged_once(trial)
    if trial.raised:
        raise CheckFailedError("consume started a thread, and that ended in an error.")
    if len(second.done) != len(_ORDERS) - 1 or len(first.done) != 1:
        raise CheckFailedError(
            f"One cook did {len(first.done)} of {len(_ORDERS)} orders and the other {len(second.done)}. Does consume "
            f"pass on the callback that it is given?"
        )
    return (
        f"{len(_ORDERS)} orders came: each cook got 1, and {ready} waited in the queue. While the first stood over "
        f"'{first.done[0]}', the second did the other {len(second.done)}."
    )


def _done(trial: Trial) -> int:
    return trial.lesson.ledger().places()["done"]


def _acknowledged_once(trial: Trial) -> None:
    for event in trial.lesson.log:
        if event.kind == "channel closed" and "unknown delivery tag" in str(event.detail):
            raise CheckFailedError(
                f"RabbitMQ closed a cook's channel: {event.detail}. The callback that consume is given acknowledges by "
                f"itself, and what is acknowledged twice is not known the second time. Pass on the callback as it is."
            )
    trial.no_channel_was_closed()


def _why(calls: Calls, ready: int) -> str:
    """Say why the cooks do not hold one order each."""
    sent = len(_ORDERS)
    names = [call.name for call in calls]
    if "basic_consume" not in names and ready == sent:
        return f"All {ready} orders wait in the queue: nobody consumes. Keep the call of basic_consume."
    if "basic_consume" not in names:
        return (
            f"{sent - ready} of {sent} orders went out, and none of them by the channel that consume is given: "
            f"basic_consume was called on another one. Use the channel of the parameter, for basic_qos and for "
            f"basic_consume."
        )
    consumes = names.index("basic_consume")
    if ready == sent:
        queue = calls[consumes].arguments["queue"]
        if queue == QUEUE:
            return (
                f"All {ready} orders wait in {QUEUE!r}: what basic_consume had begun is over. Leave out what ends it."
            )
        return f"All {ready} orders wait in {QUEUE!r}, and consume reads from {queue!r}."
    if calls[consumes].arguments["auto_ack"]:
        return (
            f"{sent - ready} of {sent} orders went out at once: with auto_ack=True nothing is ever unacknowledged, so "
            f"there is nothing to count and nothing to limit. Leave it out."
        )
    went = f"{sent - ready} of {sent} orders went to {_COOKS} cooks at once"
    if names.count("basic_consume") > 1:
        return (
            f"{went}: consume began to consume {names.count('basic_consume')} times, each time with a limit of its own."
        )
    before = [call for call in calls[:consumes] if call.name == "basic_qos"]
    if not before and "basic_qos" in names:
        return (
            f"{went}: basic_qos came after basic_consume, and holds for consumers that begin later on this channel. "
            f"This one had begun."
        )
    if not before:
        return f"{went}: on the channel that consumes basic_qos was not called, so that channel has no limit."
    count = before[-1].arguments["prefetch_count"]
    if not count:
        return f"{went}: prefetch_count=0 means no limit."
    if before[-1].arguments["global_qos"]:
        return f"{went}: with global_qos=True this RabbitMQ does not limit a consumer. Leave it out."
    return f"{went}: with prefetch_count={count} a cook may hold {count}, and one who has {count} lets others wait."


# -- keep the overflow

_PLATES = tuple(f"Plate {number}." for number in range(1, 9))
_LEFTOVERS = "leftovers"
_ROOM = 5
_PUSHED_OUT = len(_PLATES) - _ROOM
_EMPTY_SECONDS = 10.0
_SHORTEST_TTL_MS, _LONGEST_TTL_MS = 500, 5_000
_RAIL = "rail"
#: How long the cooks may be away, and find their rail again.
_PAUSE_MILLISECONDS = 60_000
_EXPIRES = "x-expires ends a queue itself, once nobody uses it; x-message-ttl is for what waits in it."
_TAKEN_FOR_ANOTHER = {
    "x-expires": _EXPIRES,
    "x-max-length-bytes": "x-max-length-bytes counts the bytes of all bodies together; x-max-length counts plates.",
}


def _keep_the_overflow(trial: Trial, arguments: Any) -> str:
    arguments = sendable(arguments)
    try:
        return _what_left_was_kept(trial, arguments)
    except QueueNotFoundError as error:
        raise CheckFailedError(f"The rail is gone, with all that was on it. {_EXPIRES}") from error
    except CheckFailedError as error:
        clues = [*misspelled(arguments), *(clue for name, clue in _TAKEN_FOR_ANOTHER.items() if name in arguments)]
        raise CheckFailedError(" ".join([str(error), *clues])) from error


def _what_left_was_kept(trial: Trial, arguments: dict[str, Any]) -> str:
    _declare(trial, arguments)
    refused = _publish(trial)
    if refused:
        raise CheckFailedError(
            f"RabbitMQ refused {', '.join(refused)}, the newest. Here the oldest should give way, which is what the "
            f"rail does when x-overflow is not set."
        )
    ttl = arguments.get("x-message-ttl")
    patience = _EMPTY_SECONDS if isinstance(ttl, int) and ttl <= _LONGEST_TTL_MS else 0.0
    left = ready_messages(trial.lesson, _RAIL, 0, patience)
    kept = _kept(trial, len(_PLATES) - left if "x-dead-letter-exchange" in arguments else 0)
    if left == len(_PLATES):
        raise CheckFailedError(
            f"All {left} plates are on the rail, which has room for {_ROOM}. RabbitMQ passes over arguments that it "
            f"doesn't know; the names of those that it knows begin with x-."
        )
    if not kept:
        raise CheckFailedError(_nobody_kept_them(arguments, len(_PLATES) - left))
    _the_right_ones_went(kept, left, ttl)
    if arguments.get("x-expires", _PAUSE_MILLISECONDS) < _PAUSE_MILLISECONDS:
        raise CheckFailedError("This time all went well. Without a cook the rail is gone soon, with all that is on it.")
    return (
        f"{_PUSHED_OUT} plates were pushed out by later ones, the other {_ROOM} waited for longer than a second, and "
        f"all {len(kept)} are in {_LEFTOVERS!r}: {kept[0][0]} as {kept[0][1]}, {kept[-1][0]} as {kept[-1][1]}."
    )


def _declare(trial: Trial, arguments: dict[str, Any]) -> None:
    with trial.lesson.connect() as connection:
        channel = connection.channel()
        channel.exchange_declare(_LEFTOVERS, "fanout", durable=True)
        channel.queue_declare(queue=_LEFTOVERS, durable=True)
        channel.queue_bind(_LEFTOVERS, _LEFTOVERS)
        try:
            channel.queue_declare(queue=_RAIL, durable=True, arguments=arguments)
        except (WorkqError, pika.exceptions.AMQPError, TypeError, ValueError) as error:
            raise CheckFailedError(
                f"The queue can't be declared like that. {_no_whole_number(arguments)}{error}"
            ) from error
        except Exception as error:
            # pika says in its own ways that it can't encode a value.
            raise CheckFailedError(f"The queue can't be declared like that: {type(error).__name__} {error}") from error


def _no_whole_number(arguments: dict[str, Any]) -> str:
    """Name the argument that should be a whole number and is none; empty if there is none."""
    for name in ("x-max-length", "x-message-ttl"):
        value = arguments.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{name} is {value!r}, and RabbitMQ takes whole numbers alone, without quotes. "
    return ""


def _publish(trial: Trial) -> list[str]:
    """Send all plates in one go; return those that RabbitMQ refused."""
    publisher = trial.lesson.start_publisher(_PLATES, _RAIL, confirm=True)
    publisher.wait()
    return [f"'{event.task}'" for event in trial.lesson.log if event.kind == "refused"]


def _kept(trial: Trial, expected: int) -> list[tuple[str, str]]:
    """Return what is in the queue for leftovers, or comes there soon: the plate and why it came there."""
    kept: list[tuple[str, str]] = []
    with trial.lesson.connect() as connection:
        channel = connection.channel()

        def all_came() -> bool:
            while len(kept) < expected:
                method, properties, body = channel.basic_get(queue=_LEFTOVERS, auto_ack=True)
                if method is None or properties is None or body is None:
                    return False
                kept.append((body.decode(), str((properties.headers or {}).get("x-first-death-reason"))))
            return True

        # They are on their way when they have left the other queue, and arrive a moment later.
        wait_until(all_came, _COUNTS_SECONDS)
    return kept


def _nobody_kept_them(arguments: dict[str, Any], gone: int) -> str:
    exchange = arguments.get("x-dead-letter-exchange")
    if exchange is None:
        return (
            f"{gone} plates left the rail, and nobody kept them: {_LEFTOVERS!r} is empty. A queue needs to be told "
            f"where its dead letters go."
        )
    if not exchange:
        key = arguments.get("x-dead-letter-routing-key", _RAIL)
        return (
            f"{gone} plates left the rail, and {_LEFTOVERS!r} is empty. With the routing key {key!r} the default "
            f"exchange leads to the queue of that name."
        )
    return (
        f"{gone} plates left the rail for the exchange {exchange!r} and came nowhere: {_LEFTOVERS!r} is empty. An "
        f"exchange that isn't there, or has no queue for them, loses them without a word."
    )


def _the_right_ones_went(kept: list[tuple[str, str]], left: int, ttl: object) -> None:
    pushed_out = [plate for plate, reason in kept if reason == "maxlen"]
    expired = [plate for plate, reason in kept if reason == "expired"]
    if expired and isinstance(ttl, int) and ttl < _SHORTEST_TTL_MS:
        raise CheckFailedError(
            f"{len(expired)} plates expired almost at once: they had {ttl} ms each. x-message-ttl counts milliseconds."
        )
    if not pushed_out:
        raise CheckFailedError(
            f"{len(expired)} plates expired, and none was pushed out by a later one. The rail should hold {_ROOM} at "
            f"most: keep x-max-length."
        )
    if len(pushed_out) != _PUSHED_OUT:
        raise CheckFailedError(
            f"{len(pushed_out)} of {len(_PLATES)} plates were pushed out, so the rail holds "
            f"{len(_PLATES) - len(pushed_out)}. It should hold {_ROOM}."
        )
    if left:
        why = f"They may wait for {ttl} ms, which is too long" if ttl else "Nothing makes them go"
        raise CheckFailedError(
            f"{left} plates still wait on the rail, and get cold. {why}: x-message-ttl says how long, in milliseconds."
        )


EXERCISES = (
    Exercise(
        "mend the hoarder",
        "fair_dispatch/mend_the_hoarder",
        "consume",
        (
            "Ask yourself what each line tells RabbitMQ, and what it knows at the moment when it hears it.",
            "When basic_consume arrives, RabbitMQ begins to deliver. Which limit does it know at that moment?",
            "A prefetch count holds for consumers that begin after it, on the same channel. So the two lines have to "
            "change places.",
        ),
        _mend_the_hoarder,
        "channel, callback",
    ),
    Exercise(
        "keep the overflow",
        "fair_dispatch/keep_the_overflow",
        "arguments",
        (
            "Two things are missing: how long a plate may wait, and where plates go that leave the rail.",
            "Both names stand in this lesson, and both begin with x-. The time is in milliseconds.",
            "Add x-message-ttl with 1000, and x-dead-letter-exchange with the name of the exchange.",
        ),
        _keep_the_overflow,
    ),
)
