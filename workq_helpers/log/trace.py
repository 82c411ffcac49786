"""`Trace`: the last AMQP methods that passed between the lesson's clients and the broker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pika.amqp_object import Method

from workq_helpers.log.events import EventLog
from workq_helpers.text import printable

__all__ = ["KEPT_METHODS", "Passed", "Trace"]

#: How many methods are kept; the oldest go.
KEPT_METHODS = 10_000

Direction = Literal["sent", "received"]


class Passed(NamedTuple):
    """One method that passed.

    Attributes:
        seconds: When, on the log's clock.
        client: Whose connection it was.
        direction: "sent" by the client, or "received" by it.
        method: Its name in AMQP, such as "basic.ack".
        about: What it was about, in AMQP's own words.
    """

    seconds: float
    client: str
    direction: Direction
    method: str
    about: str


class Trace:
    """Remembers methods as they pass, and puts them into words when asked."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: deque[tuple[float, str, Direction, Method, str]] = deque(maxlen=KEPT_METHODS)

    def add(self, client: str, direction: Direction, method: Method, task: str = "") -> None:
        """Remember a method, with the text of the message that came with it."""
        self._kept.append((time.monotonic(), client, direction, method, task))

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Passed]:
        for moment, client, direction, method, task in self._kept.copy():
            yield Passed(self._log.seconds_at(moment), client, direction, _name(method), _about(method, task))


def _name(method: Method) -> str:
    group, _, name = str(method.NAME).partition(".")
    return f"{group.lower()}.{''.join('-' + letter.lower() if letter.isupper() else letter for letter in name)[1:]}"


#: What is not worth a word: reserved fields, and what is false or empty.
_SILENT = frozenset({"ticket"})


def _about(method: Method, task: str) -> str:
    if str(method.NAME).startswith("Connection.") and not hasattr(method, "reply_text"):
        return ""  # how a connection is opened says nothing of the lesson, and holds the password
    told = [f"{name}={_short(value)}" for name, value in vars(method).items() if name not in _SILENT and _says(value)]
    return ", ".join([*told, f"'{task}'"] if task else told)


def _says(value: Any) -> bool:
    return value is not None and value is not False and value != "" and value != {}


def _short(value: Any) -> str:
    return printable(repr(value) if not isinstance(value, str) else value)[:80]
