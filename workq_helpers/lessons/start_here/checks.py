"""The lesson "Start here"."""

from __future__ import annotations

from workq_helpers.errors import CheckFailedError
from workq_helpers.lessons.start_here.quiz import QUESTIONS
from workq_helpers.teaching.chapter import Chapter
from workq_helpers.teaching.evidence import Evidence, quoted

__all__ = ["CHAPTER"]


def _one_message(seen: Evidence) -> str:
    messages = seen.sent()
    if not messages:
        raise CheckFailedError(
            "No message was published. Did you run the cell with basic_publish, on a channel of lesson.connect()?"
        )
    message = messages[-1]
    what = quoted(message)
    if message.place == "waiting":
        raise CheckFailedError(
            f"{what} still waits in the queue {message.queue!r}. Fetch it with basic_get, or start a worker."
        )
    if message.place == "in hand":
        raise CheckFailedError(
            f"{what} was delivered to {message.worker} and is not acknowledged. "
            f"Did you call basic_ack with its delivery tag, on the channel that got it?"
        )
    if message.place != "done":
        raise CheckFailedError(f"{what} was {message.place}. Publish it again, to a queue that you declared.")
    times = "once" if message.deliveries == 1 else f"{message.deliveries} times"
    return f"{what} went through the queue {message.queue!r}, was delivered {times} and is done."


CHAPTER = Chapter(
    "Start here",
    "00_start_here.ipynb",
    checks={"one message": _one_message},
    sections={"one message": "Fetch it"},
    questions=QUESTIONS,
)
