"""The exercises of the lesson "Durability"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pika
import pika.exceptions

from workq_helpers.broker.by_hand import not_ours
from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.lessons.durability.survivors import counts_with, is_persistent, waiting
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.patience import AnswerError
from workq_helpers.teaching.pauses import with_short_pauses
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import shown, worded

__all__ = ["EXERCISES"]

_QUEUE = "task_queue"
_ORDERS = ("Soup..", "Tea.", "Roast....")
_PROMISED = tuple(f"Order {number}." for number in range(1, 21))


# -- mend the forgetful publisher ---------------------------------------------------------------------


def _mend_the_forgetful_publisher(trial: Trial, send_order: Any) -> str:
    trial.queues = {_QUEUE}
    for order in _ORDERS:
        _call(trial, send_order, "send_order", order)
    trial.no_channel_was_closed()
    _queue_outlives_its_program(trial)
    _all_are_in_the_queue(trial)
    _messages_are_persistent(trial)
    _nothing_else_ends_them(trial)
    if not trial.lesson.broker.restartable:
        left_alone = not_ours(trial.lesson.broker.endpoint, "it was not restarted")
        return f"{_QUEUE} is durable and {_listed(_ORDERS)} are persistent. {left_alone}"
    trial.restart()
    left = _left(trial, len(_ORDERS))
    if left < len(_ORDERS):
        raise CheckFailedError(
            f"RabbitMQ was restarted, and of {len(_ORDERS)} orders {left} are left in {_QUEUE}. Take away whatever "
            f"else you told the queue to do."
        )
    return f"RabbitMQ was restarted, and {_listed(_ORDERS)} are still in {_QUEUE}."


def _queue_outlives_its_program(trial: Trial) -> None:
    declared = [event.detail for event in trial.lesson.log if event.kind == "declared" and event.queue == _QUEUE]
    known = trial.lesson.queue_counts().get(_QUEUE)
    if not declared:
        _went_elsewhere(trial)
        raise CheckFailedError(
            f"Nobody declared {_QUEUE}, so RabbitMQ had no place for the orders and dropped them without a word. "
            f"Declare the queue before you send."
        )
    if known is None:
        raise CheckFailedError(
            f"{_QUEUE} was declared and is gone already, before any restart: it belonged to one connection alone. "
            f"Leave out what makes it exclusive."
        )
    if not known.durable:
        raise CheckFailedError(f"{_QUEUE} is not durable, so it goes with its orders when RabbitMQ stops.")


def _went_elsewhere(trial: Trial) -> None:
    sent = (event.queue for event in trial.lesson.log if event.kind == "published")
    elsewhere = next((queue for queue in sent if queue not in ("", _QUEUE)), None)
    if elsewhere is not None:
        raise CheckFailedError(f"An order went to {elsewhere!r}, and the workers wait at {_QUEUE!r}.")


def _all_are_in_the_queue(trial: Trial) -> None:
    """Look into the queue: by which way an order came there is its sender's business."""
    found = Counter(_text(message.body) for message in waiting(trial.lesson, _QUEUE))
    missing = [order for order in _ORDERS if not found[order]]
    if missing:
        _went_elsewhere(trial)
    strange = next((text for text in found if text not in _ORDERS), None)
    if strange is not None:
        raise CheckFailedError(f"There is {strange!r} in {_QUEUE}, which nobody ordered. Send each order as it is.")
    twice = next((order for order in _ORDERS if found[order] > 1), None)
    if twice is not None:
        raise CheckFailedError(f"'{twice}' was sent {found[twice]} times. Send each order once, as it is.")
    if missing and not any(event.kind == "published" for event in trial.lesson.log):
        raise CheckFailedError(f"Nothing was published: {_QUEUE} is empty. Does send_order call basic_publish?")
    trial.nothing_was_emptied()
    if missing:
        raise CheckFailedError(
            f"Of {len(_ORDERS)} orders {len(_ORDERS) - len(missing)} wait in {_QUEUE}. Where are the others?"
        )


def _messages_are_persistent(trial: Trial) -> None:
    if trial.lesson.queue_counts()[_QUEUE].type == "quorum":
        return  # it keeps every message
    for properties, _ in waiting(trial.lesson, _QUEUE):
        if properties.delivery_mode is None:
            raise CheckFailedError(
                f"The orders carry no delivery mode, and without one they are transient. They came with "
                f"{_carried(properties)}."
            )
        if not is_persistent(properties):
            raise CheckFailedError(
                f"The queue is durable, but the orders arrive with delivery mode {properties.delivery_mode}, and so "
                f"they live in memory only. Which number does your code send, and which one means persistent?"
            )


def _carried(properties: pika.BasicProperties) -> str:
    carried = (
        f"{name}={value!r}" for name, value in vars(properties).items() if value is not None and name != "headers"
    )
    return ", ".join(carried) or "nothing that says so"


def _nothing_else_ends_them(trial: Trial) -> None:
    declared = [each for each in trial.calls.named("queue_declare") if each["queue"] == _QUEUE]
    if any(each["auto_delete"] for each in declared):
        raise CheckFailedError(
            f"{_QUEUE} was declared with auto_delete=True: it goes with its orders as soon as its last worker does. "
            f"Leave that out."
        )
    given = [pair for each in declared for pair in (each["arguments"] or {}).items()]
    name, value = next((pair for pair in given if pair[0] in ("x-message-ttl", "x-expires")), ("", None))
    if name:
        raise CheckFailedError(
            f"{_QUEUE} was declared with {name}={value!r}: after so many milliseconds "
            f"{'it' if name == 'x-expires' else 'an order'} is thrown away, restart or not. Leave that out."
        )
    limits = [properties.expiration for properties, _ in waiting(trial.lesson, _QUEUE) if properties.expiration]
    if limits:
        raise CheckFailedError(
            f"The orders carry expiration={limits[0]!r}: after so many milliseconds they are thrown away, restart or "
            f"not. Leave that out."
        )


# -- keep your word -----------------------------------------------------------------------------------


def _keep_your_word(trial: Trial, take_order: Any) -> str:
    trial.queues = {_QUEUE}
    _declare(trial, {"x-max-length": 2, "x-overflow": "reject-publish"})
    _when_the_queue_is_full(trial, [(order, _answer(trial, take_order, order)) for order in ("One.", "Two.", "Three.")])
    _delete(trial)
    if _answer(trial, take_order, "Ghost."):
        raise CheckFailedError(
            "There was no queue, 'Ghost.' went nowhere, and your function said True. RabbitMQ confirms what it can't "
            "route, too: it has done all there was to do. Ask for such messages back."
        )
    _declare(trial, None)
    refused = next((order for order in _PROMISED if not _answer(trial, take_order, order)), None)
    if refused is not None:
        raise CheckFailedError(f"'{refused}' could be taken, and your function said False.")
    _each_is_there_once(trial)
    restartable = trial.lesson.broker.restartable
    if restartable:
        # A proper restart: a crash may take a queue that was declared a moment ago, whatever was confirmed.
        trial.restart()
        left = _left(trial, len(_PROMISED))
        if left < len(_PROMISED):
            raise CheckFailedError(f"RabbitMQ was restarted, and of {len(_PROMISED)} promised orders {left} are left.")
    after = "after a restart" if restartable else "by now (this RabbitMQ is not ours to restart)"
    return (
        f"Your function said True {2 + len(_PROMISED)} times and False when the queue was full or missing; all "
        f"{len(_PROMISED)} orders promised last are there {after}."
    )


def _each_is_there_once(trial: Trial) -> None:
    there = waiting(trial.lesson, _QUEUE)
    if not all(is_persistent(properties) for properties, _ in there):
        raise CheckFailedError("Orders were promised that are not persistent: the next restart breaks your word.")
    found = Counter(_text(body) for _, body in there)
    for order in _PROMISED:
        if found[order] != 1:
            raise CheckFailedError(
                f"Your function said True to '{order}', and it is in {_QUEUE} {found[order]} times. Each order that is "
                f"promised is there once, as it is."
            )


def _when_the_queue_is_full(trial: Trial, answers: list[tuple[str, bool]]) -> None:
    """Look at three answers, of which the last should be no: the queue takes two."""
    refused = {event.task for event in trial.lesson.log if event.kind == "refused"}
    told_no = next((order for order, answer in answers[:2] if not answer), None)
    if told_no is not None:
        trial.no_channel_was_closed()
        raise CheckFailedError(f"'{told_no}' could be taken, and your function said False.")
    order, promised = answers[2]
    if not promised:
        return
    trial.nothing_was_emptied()
    if order in refused:
        raise CheckFailedError(
            f"RabbitMQ refused '{order}', for the queue was full, and your function said True all the same. What does "
            f"basic_publish do when a message is refused?"
        )
    raise CheckFailedError(
        f"Your function said True to {len(answers)} orders, and RabbitMQ kept "
        f"{counts_with(trial.lesson.queue_counts, {_QUEUE: 2})[_QUEUE].ready}: the queue was full. Nobody had waited "
        f"for RabbitMQ's word."
    )


def _answer(trial: Trial, take_order: Callable[..., object], order: str) -> bool:
    answer = _call(trial, take_order, "take_order", order)
    if not isinstance(answer, bool):
        raise CheckFailedError(f"take_order returned {shown(answer)} for '{order}'. Return True or False.")
    return answer


def _declare(trial: Trial, arguments: dict[str, Any] | None) -> None:
    with trial.lesson.connect() as connection:
        connection.channel().queue_declare(queue=_QUEUE, durable=True, arguments=arguments)


def _delete(trial: Trial) -> None:
    with trial.lesson.connect() as connection:
        connection.channel().queue_delete(queue=_QUEUE)


# -- both ---------------------------------------------------------------------------------------------


def _call(trial: Trial, answer: Callable[..., object], name: str, order: str) -> object:
    """Call the learner's function with a channel of its own, as another program would."""
    with trial.channel() as channel:
        try:
            return trial.call(with_short_pauses(answer), channel, order, name=name, function=answer)
        except AnswerError as raised:
            raise CheckFailedError(f"At '{order}' {name} {_ended(raised.error)}") from raised.error


def _ended(error: BaseException) -> str:
    if isinstance(error, WorkqError):
        return f"ended in an error. {error}"
    if isinstance(error, pika.exceptions.NackError | pika.exceptions.UnroutableError):
        return f"raised {type(error).__name__}, and whoever called it got no answer at all. Catch it."
    return f"raised {worded(error)}."


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _left(trial: Trial, expected: int) -> int:
    known = counts_with(trial.lesson.queue_counts, {_QUEUE: expected}).get(_QUEUE)
    return known.ready if known else 0


def _listed(orders: tuple[str, ...]) -> str:
    return ", ".join(f"'{order}'" for order in orders)


EXERCISES = (
    Exercise(
        "mend the forgetful publisher",
        "durability/mend_the_forgetful_publisher",
        "send_order",
        (
            "Two things must outlive the restart. Which of them does? Send an order, restart, and ask the broker for "
            "its counts.",
            "The queue is durable; the messages are at fault. Fetch one with basic_get and look at its delivery_mode.",
            "Delivery modes are numbers: 1 is transient, 2 is persistent, and True counts as 1. Use "
            "pika.DeliveryMode.Persistent.",
        ),
        _mend_the_forgetful_publisher,
        "channel, order",
    ),
    Exercise(
        "keep your word",
        "durability/keep_your_word",
        "take_order",
        (
            "When may you say True? When RabbitMQ has said that it has the order. Ask for that on the channel, before "
            "you send.",
            "With channel.confirm_delivery(), basic_publish waits, and raises pika.exceptions.NackError when RabbitMQ "
            "refuses. What if there is no queue?",
            "Pass mandatory=True to basic_publish: what has no queue comes back as pika.exceptions.UnroutableError. "
            "Catch both, and return False.",
        ),
        _keep_your_word,
        "channel, order",
    ),
)
