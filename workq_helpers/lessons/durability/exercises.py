"""The exercises of the lesson "Durability"."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pika
import pika.exceptions

from workq_helpers.broker.by_hand import not_ours
from workq_helpers.errors import CheckFailedError, WorkqError
from workq_helpers.lessons.durability.survivors import counts_with, is_persistent, waiting
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.trial import Trial

__all__ = ["EXERCISES"]

_QUEUE = "task_queue"
_ORDERS = ("Soup..", "Tea.", "Roast....")
_PROMISED = tuple(f"Order {number}." for number in range(1, 21))


# -- mend the forgetful publisher ---------------------------------------------------------------------


def _mend_the_forgetful_publisher(trial: Trial, send_order: Any) -> str:
    _takes(send_order, "send_order", "channel, order")
    for order in _ORDERS:
        _call(trial, send_order, "send_order", order)
    _all_went_to_the_queue(trial)
    _queue_outlives_its_program(trial)
    _messages_are_persistent(trial)
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


def _all_went_to_the_queue(trial: Trial) -> None:
    sent = [(event.task, event.queue) for event in trial.lesson.log if event.kind == "published"]
    elsewhere = next((queue for _, queue in sent if queue != _QUEUE), None)
    if elsewhere is not None:
        raise CheckFailedError(f"An order went to {elsewhere!r}, and the workers wait at {_QUEUE!r}.")
    for order in _ORDERS:
        times = [task for task, _ in sent].count(order)
        if times != 1:
            raise CheckFailedError(f"'{order}' was sent {times} times. Send each order once, as it is.")


def _queue_outlives_its_program(trial: Trial) -> None:
    declared = [event.detail for event in trial.lesson.log if event.kind == "declared" and event.queue == _QUEUE]
    known = trial.lesson.queue_counts().get(_QUEUE)
    if not declared:
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


def _messages_are_persistent(trial: Trial) -> None:
    if trial.lesson.queue_counts()[_QUEUE].type == "quorum":
        return  # it keeps every message
    found = waiting(trial.lesson, _QUEUE)
    if len(found) < len(_ORDERS):
        raise CheckFailedError(f"Of {len(_ORDERS)} orders {len(found)} wait in {_QUEUE}. Where are the others?")
    for properties in found:
        if properties.delivery_mode is None:
            raise CheckFailedError(
                "The orders carry no delivery mode, and without one they are transient. Does basic_publish get the "
                "properties?"
            )
        if not is_persistent(properties):
            raise CheckFailedError(
                f"The queue is durable, but the orders arrive with delivery mode {properties.delivery_mode}, and so "
                f"they live in memory only. Which number does your code send, and which one means persistent?"
            )


# -- keep your word -----------------------------------------------------------------------------------


def _keep_your_word(trial: Trial, take_order: Any) -> str:
    _takes(take_order, "take_order", "channel, order")
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
    if not all(is_persistent(properties) for properties in waiting(trial.lesson, _QUEUE)):
        raise CheckFailedError("Orders were promised that are not persistent: the next restart breaks your word.")
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


def _when_the_queue_is_full(trial: Trial, answers: list[tuple[str, bool]]) -> None:
    """Look at three answers, of which the last should be no: the queue takes two."""
    refused = {event.task for event in trial.lesson.log if event.kind == "refused"}
    told_no = next((order for order, answer in answers[:2] if not answer), None)
    if told_no is not None:
        raise CheckFailedError(f"'{told_no}' could be taken, and your function said False.")
    order, promised = answers[2]
    if not promised:
        return
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
        raise CheckFailedError(f"take_order returned {answer!r} for '{order}'. Return True or False.")
    return answer


def _declare(trial: Trial, arguments: dict[str, Any] | None) -> None:
    with trial.lesson.connect() as connection:
        connection.channel().queue_declare(_QUEUE, durable=True, arguments=arguments)


def _delete(trial: Trial) -> None:
    with trial.lesson.connect() as connection:
        connection.channel().queue_delete(_QUEUE)


# -- both ---------------------------------------------------------------------------------------------


def _takes(answer: object, name: str, parameters: str) -> None:
    if not callable(answer):
        raise CheckFailedError(f"The answer is {answer!r}. Hand in the function {name} itself.")
    try:
        inspect.signature(answer).bind(None, None)
    except TypeError as error:
        raise CheckFailedError(
            f"{name} can't be called ({error}). Keep its two parameters: {name}({parameters})."
        ) from error


def _call(trial: Trial, answer: Callable[..., object], name: str, order: str) -> object:
    """Call the learner's function with a channel of its own, as another program would."""
    with trial.lesson.connect() as connection:
        try:
            return answer(connection.channel(), order)
        except WorkqError as error:
            raise CheckFailedError(f"At '{order}' {name} ended in an error. {error}") from error
        except (pika.exceptions.NackError, pika.exceptions.UnroutableError) as error:
            raise CheckFailedError(
                f"At '{order}' {name} raised {type(error).__name__}, and whoever called it got no answer at all. "
                f"Catch it."
            ) from error
        except Exception as error:
            raise CheckFailedError(f"At '{order}' {name} raised {type(error).__name__}: {error}.") from error


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
    ),
)
