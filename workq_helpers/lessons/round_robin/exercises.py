"""The exercises of the lesson "Round robin"."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from workq_helpers.clients.pace import work
from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.exercise import Exercise
from workq_helpers.teaching.source import read_source
from workq_helpers.teaching.trial import Trial
from workq_helpers.text import shown

__all__ = ["EXERCISES"]

_MOST_ORDERS = 100


def _share_the_work(trial: Trial, answer: object) -> str:
    orders = _listed(answer)
    _same_orders(orders)
    trial.lesson.start_workers(2, _cook, "hello")
    trial.send(*orders)
    trial.settle()
    shares = Counter({worker.name: 0 for worker in trial.lesson.workers})
    got: dict[str, list[str]] = {worker.name: [] for worker in trial.lesson.workers}
    for message in trial.lesson.ledger():
        shares[message.worker] += message.task.count(".")
        got[message.worker].append(message.task)
    seen = "; ".join(f"{name} got {', '.join(tasks)}: {shares[name]} seconds of work" for name, tasks in got.items())
    if len(set(shares.values())) > 1:
        raise CheckFailedError(f"{seen}. They take turns, so every second order in your list goes to the same cook.")
    return f"{seen}. Equal shares, for you knew whose turn it would be."


def _cook(ch: Any, method: Any, _properties: Any, body: bytes) -> None:
    work(body)
    ch.basic_ack(delivery_tag=method.delivery_tag)


def _listed(answer: object) -> list[str]:
    if isinstance(answer, str | bytes):
        raise CheckFailedError(f"orders is one text, {shown(answer)}. It must be a list with a text for each order.")
    if isinstance(answer, set | frozenset | Mapping) or not isinstance(answer, Iterable):
        why = ", which has no order of its own" if isinstance(answer, set | frozenset) else ""
        raise CheckFailedError(f"orders is {shown(answer)}, a {type(answer).__name__}{why}. Hand in the list itself.")
    given = list(itertools.islice(answer, _MOST_ORDERS))  # what is handed in may have no end
    strange = [order for order in given if not isinstance(order, str | bytes | bytearray)]
    if strange:
        raise CheckFailedError(
            f"orders holds {shown(strange[0])}, which is no order. Put the orders' own texts into the list."
        )
    return [order if isinstance(order, str) else order.decode(errors="replace") for order in given]


def _same_orders(orders: list[str]) -> None:
    namespace: dict[str, list[str]] = {}
    exec(read_source("round_robin/share_the_work").exercise, namespace)  # noqa: S102 - our own file, a list
    wanted, given = Counter(namespace["orders"]), Counter(orders)
    missing, added = wanted - given, given - wanted
    changed = [order for order in added if order.rstrip(".") in {each.rstrip(".") for each in missing}]
    if changed:
        raise CheckFailedError(
            f"'{changed[0]}' has other dots than what was ordered. Move the orders, don't change them."
        )
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        strange = f" Nobody ordered {_quoted(added)}: use the texts as they are." if added else ""
        raise CheckFailedError(
            f"{_quoted(missing)} {are} not in your list: a guest is still waiting for {them}.{strange}"
        )
    if added:
        raise CheckFailedError(f"Nobody ordered {_quoted(added)}, at least not so often. Use each order once.")


def _quoted(orders: Counter[str]) -> str:
    return " and ".join(f"'{order}'" for order in orders)


def _mend_the_counter(trial: Trial, callback: Any) -> str:
    trial.start(callback)
    orders = ("Tea.", "Soup...", "Water")
    trial.send(*orders)
    trial.settle()
    trial.no_channel_was_closed()
    undone = {run.task for run in trial.runs if not run.worked_before}
    for event in trial.lesson.log:
        if event.kind == "failed" and event.task in undone and trial.message(event.task).place == "done":
            raise CheckFailedError(
                f"{event.actor} acknowledged '{event.task}' and then died of it: {event.detail}. The broker has "
                f"forgotten that order, and nobody will cook it. Acknowledge when the work is done."
            )
    trial.nobody_died()
    for order in orders:
        message = trial.message(order)
        if message.place == "in hand":
            raise CheckFailedError(
                f"'{order}' was delivered to {message.worker} and never acknowledged. Does every way through the "
                f"callback reach basic_ack?"
            )
        if message.place != "done":
            raise CheckFailedError(f"'{order}' ended up {message.place}. Each order should be done.")
        _counted_right(trial, order)
    trial.worked_before_it_acknowledged(*orders)
    trial.failed_work_is_not_done(callback)
    return f"{', '.join(orders)} were counted right and done, and the worker lives: bytes count bytes."


def _counted_right(trial: Trial, order: str) -> None:
    name = order.rstrip(".")
    said = trial.said(rf"{re.escape(name)}\.*'? takes *(.*)")
    if not said:
        raise CheckFailedError(
            f"No worker printed how long '{order}' takes. Keep that line of the callback, and see that it is reached."
        )
    if not re.match(rf"{order.count('.')}(?!\d|\.[1-9])", said[0][1]):
        raise CheckFailedError(
            f"A worker printed that '{order}' takes {said[0][1]}, and {order.count('.')} was right. "
            f"What does your code count?"
        )


EXERCISES = (
    Exercise(
        "share the work",
        "round_robin/share_the_work",
        "orders",
        (
            "Two cooks take turns. Which places of the list belong to the first?",
            "The first, third and fifth order go to one cook, the others to the other. How many dots should each get?",
            "There are twelve dots, so six each: 4 + 1 + 1 for one cook and 3 + 2 + 1 for the other. "
            "Now put them into the list in turn.",
        ),
        _share_the_work,
    ),
    Exercise(
        "mend the counter",
        "round_robin/mend_the_counter",
        "callback",
        (
            "Start a worker with this callback in a cell of your own, send it an order, and print the worker's "
            "console: a worker that dies says why.",
            "The console ends with a TypeError at body.count. What type is a body, and what type is '.'?",
            "A body is bytes, so the dot must be bytes as well: b'.'. Or decode the body first.",
        ),
        _mend_the_counter,
        "ch, method, properties, body",
    ),
)
