"""Where types of queues differ: each experiment on a classic queue and on a quorum queue, as a table."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import pika.exceptions

from workq_helpers.errors import WorkqError
from workq_helpers.session import Session
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel


__all__ = ["compare_global_limits", "compare_overflows"]

_TYPES = ("classic", "quorum")
_OVERFLOWS = ("", "reject-publish", "reject-publish-dlx")

#: How long dead letters may take to arrive, and a broker's counts to stay as they are, in seconds.
_ARRIVAL_SECONDS = 10.0
_STEADY_SECONDS = 0.4
_LOOK_SECONDS = 0.05


def compare_overflows(lesson: Session, room: int = 5, orders: int = 8) -> pd.DataFrame:
    """Send more orders than fit, one after another, each waiting for its confirm, and count where they are.

    Args:
        lesson: Its broker gets a virtual host for as long as this takes, with two queues for each case.
        room: The queues' ``x-max-length``.
        orders: How many are sent.

    Returns:
        A row for each ``x-overflow``, a column for each type of queue.
    """
    with _apart(lesson) as own:
        rows = {
            overflow or "not set": [_overflow(own, kind, overflow, room, orders) for kind in _TYPES]
            for overflow in _OVERFLOWS
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(_TYPES)).rename_axis("x-overflow")


def _apart(lesson: Session) -> Session:
    """Open a lesson of its own on the same broker: a dozen queues would crowd the stage of this one."""
    return Session("queue types", lesson.broker)


def _overflow(lesson: Session, kind: str, overflow: str, room: int, orders: int) -> str:
    queue = f"{kind} {overflow}".strip()
    arguments: dict[str, object] = {
        "x-queue-type": kind,
        "x-max-length": room,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{queue} leftovers",
    }
    if overflow:
        arguments["x-overflow"] = overflow
    with lesson.connect() as connection:
        channel = connection.channel()
        channel.queue_declare(f"{queue} leftovers", durable=True)
        channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        channel.confirm_delivery()
        refused = [number for number in range(1, orders + 1) if not _taken(channel, queue, number)]
        stayed = _fetch(channel, queue)
        moved: list[int] = []

        def all_are_known() -> bool:
            moved.extend(_fetch(channel, f"{queue} leftovers"))
            # Each order is in one of the two queues, unless it was refused: then only "dlx" keeps it.
            known = {*stayed, *moved} if overflow.endswith("dlx") else {*stayed, *moved, *refused}
            return len(known) == orders

        wait_until(all_are_known, _ARRIVAL_SECONDS, interval_seconds=_LOOK_SECONDS)
    told = [("stay", stayed), ("refused", refused), ("dead-lettered", moved)]
    return ", ".join(f"{_numbers(numbers)} {what}" for what, numbers in told if numbers)


def _taken(channel: BlockingChannel, queue: str, number: int) -> bool:
    try:
        channel.basic_publish(exchange="", routing_key=queue, body=f"{number}".encode())
    except pika.exceptions.NackError:
        return False
    return True


def _fetch(channel: BlockingChannel, queue: str) -> list[int]:
    found: list[int] = []
    while True:
        _, _, body = channel.basic_get(queue=queue, auto_ack=True)
        if body is None:
            return found
        found.append(int(body))


def _numbers(numbers: Sequence[int]) -> str:
    """Return numbers as people write them: "1-3, 7"."""
    told: list[list[int]] = []
    for number in sorted(numbers):
        if told and told[-1][-1] == number - 1:
            told[-1].append(number)
        else:
            told.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in told)


def compare_global_limits(lesson: Session, orders: int = 4) -> pd.DataFrame:
    """Ask for one unacknowledged message on a channel with two consumers, with and without ``global_qos``.

    Args:
        lesson: Its broker gets a virtual host for as long as this takes, with a queue for each case.
        orders: How many wait in the queue.

    Returns:
        A row with and a row without ``global_qos=True``, a column for each type of queue.
    """
    with _apart(lesson) as own:
        rows = {
            f"global_qos={all_together}": [_limited(own, kind, all_together, orders) for kind in _TYPES]
            for all_together in (False, True)
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(_TYPES))


def _limited(lesson: Session, kind: str, all_together: bool, orders: int) -> str:
    queue = f"{kind} {all_together}"
    got: list[int] = []
    connection = lesson.connect()
    try:
        channel = connection.channel()
        channel.queue_declare(queue=queue, durable=True, arguments={"x-queue-type": kind})
        channel.confirm_delivery()
        for _ in range(orders):
            channel.basic_publish(exchange="", routing_key=queue, body=b"Tea.")
        channel.basic_qos(prefetch_count=1, global_qos=all_together)
        for _ in range(2):
            channel.basic_consume(queue=queue, on_message_callback=lambda *_: got.append(1))
        _pump_until_steady(lesson, connection, queue, got, orders)
    except WorkqError as error:
        return f"refused: {_code(error)}"
    finally:
        if connection.is_open:
            connection.close()
    return f"{len(got)} delivered, {orders - len(got)} wait"


def _pump_until_steady(
    lesson: Session, connection: pika.BlockingConnection, queue: str, got: list[int], orders: int
) -> None:
    """Take deliveries until the broker has counted for a while what was delivered, or time is over."""
    steady_since, known = time.monotonic(), -1

    def is_steady() -> bool:
        nonlocal steady_since, known
        connection.process_data_events(time_limit=_LOOK_SECONDS)
        counts = lesson.queue_counts().get(queue)
        agreed = counts is not None and (counts.unacknowledged, counts.ready) == (len(got), orders - len(got))
        if not agreed or not got or len(got) != known:
            steady_since, known = time.monotonic(), len(got)
        return time.monotonic() - steady_since >= _STEADY_SECONDS

    wait_until(is_steady, _ARRIVAL_SECONDS, interval_seconds=0.0)


def _code(error: WorkqError) -> str:
    found = re.search(r"\d{3} [A-Z_]+", str(error))
    return found[0] if found else str(error)
