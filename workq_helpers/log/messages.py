"""Messages as the log knows them: their marks, and their bodies as short text."""

from __future__ import annotations

import itertools
import re
import secrets
from typing import Any

import pika
from pika.spec import BasicProperties

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.unmarked import UnmarkedMessages
from workq_helpers.text import printable, shortened

__all__ = ["MARK_HEADER", "Marks", "encode_body", "is_persistent", "is_shortened", "mark_of", "task_text"]

#: Longest text of a body that the log keeps.
TASK_TEXT_LENGTH = 60

#: The header by which the log knows a message again; no callback gets to see it.
MARK_HEADER = "x-workq-mark"

#: Begins the mark of a message that has no other headers.
_ALONE = "."

#: Any mark, of this lesson or another one; whatever else is in the header is its sender's own.
_MARK = re.compile(r"\.?([0-9a-f]{8}-[0-9]+)")


def task_text(body: bytes) -> str:
    """Return a body as short text on one line.

    Bytes that are not UTF-8 show as the replacement character, control characters as their pictures.
    """
    # Cut as bytes first (at most four a character), so that a body of a megabyte is not decoded for 60 characters.
    text = printable(body[: 4 * (TASK_TEXT_LENGTH + 1)].decode("utf-8", "replace"))
    return shortened(text, TASK_TEXT_LENGTH)


def is_shortened(task: str) -> bool:
    """Whether `task_text` may have left something out."""
    return len(task) == TASK_TEXT_LENGTH and task.endswith("…")


def is_persistent(properties: BasicProperties) -> bool:
    """Whether a message asks to be kept on disk."""
    return bool(properties.delivery_mode == pika.DeliveryMode.Persistent.value)


def encode_body(task: object) -> bytes:
    """Return a task as a message body.

    Args:
        task: Text, sent as UTF-8, or bytes, sent as they are.

    Raises:
        InvalidArgumentError: It is neither.
    """
    if isinstance(task, bytes):
        return task
    if isinstance(task, str):
        return task.encode()
    raise InvalidArgumentError(
        f"A task must be text or bytes, not {task!r} ({type(task).__name__}). "
        f"Send its text instead, for example str(task) or json.dumps(task)."
    )


def mark_of(properties: BasicProperties) -> str | None:
    """Return the mark that a message bears, or ``None`` if there is none."""
    told = (properties.headers or {}).get(MARK_HEADER)
    found = _MARK.fullmatch(told) if isinstance(told, str) else None
    return found and found[1]


class Marks:
    """Marks messages, so that the log knows each again wherever it turns up.

    A mark is a header. It is put on a copy of the sender's properties and taken off before the receiver sees them:
    ``message_id`` and every other property are the learner's alone. Messages of programs bear none: see `unmarked`.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        #: Those that bear no mark.
        self.unmarked = UnmarkedMessages(self.new)
        #: What clients published in the header in which RabbitMQ tells of deaths: a dead letter's, passed on.
        self.told_deaths: set[str] = set()

    def new(self) -> str:
        """Return a mark that no other message of this or another lesson has."""
        return f"{self._prefix}-{next(self._numbers)}"

    @staticmethod
    def put_on(properties: Any, mark: str) -> Any:
        """Return a copy of `properties` that bears `mark`; what pika is going to refuse stays as it is."""
        if not isinstance(properties, BasicProperties):
            return properties
        headers = properties.headers
        if headers is not None and not isinstance(headers, dict):
            return properties
        marked: BasicProperties = object.__new__(type(properties))
        marked.__dict__.update(properties.__dict__)
        marked.headers = {MARK_HEADER: _ALONE + mark} if headers is None else {**headers, MARK_HEADER: mark}
        return marked

    @staticmethod
    def take_off(properties: BasicProperties) -> str | None:
        """Take the mark off `properties` and return it, or ``None`` if there is none."""
        mark = mark_of(properties)
        if mark is not None:
            headers = properties.headers
            if headers.pop(MARK_HEADER).startswith(_ALONE):
                properties.headers = headers or None
        return mark
