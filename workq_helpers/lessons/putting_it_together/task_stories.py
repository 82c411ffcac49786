"""`TaskStory`: what became of one task, attempt by attempt, as the log has it; and a table of those worth a look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workq_helpers.log.events import Event

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Attempt", "TaskStories", "TaskStory", "read_task_stories", "task_stories"]


class Attempt:
    """One delivery of a task to a worker.

    Attributes:
        worker: Whose.
        begun: Whether its callback began.
        done: Whether its callback came to its end.
        acknowledged: Whether the worker sent an ack for it.
        doubt: Why the broker may not have got that; ``""`` if nothing says so.
        given_back: Why the broker took it back; ``""`` if it did not.
    """

    __slots__ = ("acknowledged", "begun", "done", "doubt", "given_back", "worker")

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.begun = self.done = self.acknowledged = False
        self.doubt = self.given_back = ""

    def __str__(self) -> str:
        if self.acknowledged:
            return f"{self.worker} did it, and {self.doubt}" if self.doubt else f"{self.worker} did it"
        if not self.given_back:
            return f"{self.worker} has it"
        what = "did it" if self.done else "began" if self.begun else "had it at hand"
        return f"{self.worker} {what}, and {self.given_back}"


class TaskStory:
    """A task, known by its message's id, so that one that was sent again is still the same.

    Attributes:
        task: Its text.
        sent: How often it was published.
        confirmed: Whether the broker confirmed it.
        attempts: Its deliveries, in order.
    """

    __slots__ = ("attempts", "confirmed", "sent", "task")

    def __init__(self, task: str) -> None:
        self.task = task
        self.sent = 0
        self.confirmed = False
        self.attempts: list[Attempt] = []

    @property
    def done(self) -> int:
        """How often its callback came to its end."""
        return sum(attempt.done for attempt in self.attempts)

    @property
    def acknowledged(self) -> bool:
        """Whether it was acknowledged, once at least."""
        return any(attempt.acknowledged for attempt in self.attempts)

    @property
    def story(self) -> str:
        """What happened to it, in words."""
        sent = ["its confirm never came, so it was sent again"] if self.sent > 1 else []
        return "; ".join([*sent, *map(str, self.attempts)])


def read_task_stories(events: Iterable[Event]) -> list[TaskStory]:
    """Return the story of each task, in the order of publishing."""
    known: dict[str | None, TaskStory] = {}
    attempts: dict[tuple[str, int | None, str | None], list[Attempt]] = {}
    for event in events:
        story = known.get(event.mark)
        key = (event.actor, event.delivery_tag, event.mark)
        if event.kind == "published":
            known.setdefault(event.mark, TaskStory(event.task)).sent += 1
        elif story is None:
            continue
        elif event.kind == "confirmed":
            story.confirmed = True
        elif event.kind == "delivered":
            attempts.setdefault(key, []).append(Attempt(event.actor))
            story.attempts.append(attempts[key][-1])
        else:
            _tell(event, attempts.get(key, []))
    return list(known.values())


def _tell(event: Event, attempts: list[Attempt]) -> None:
    """Take an event in the life of a delivery; a tag may come again on another channel, after its first is over."""
    if event.kind == "started":
        attempt = next((each for each in attempts if not each.begun), None)
        if attempt is not None:
            attempt.begun = True
    elif event.kind == "finished":
        attempt = next((each for each in attempts if each.begun and not each.done), None)
        if attempt is not None:
            attempt.done = True
    elif event.kind == "acked" and attempts:
        attempts[-1].acknowledged = True
    elif event.kind in ("unknown", "ack dropped") and attempts:
        attempts[-1].doubt = str(event.detail)
    elif event.kind == "requeued" and attempts:
        attempts[-1].given_back = attempts[-1].given_back or str(event.detail)


class TaskStories:
    """What became of several tasks, as a table."""

    def __init__(self, told: Sequence[TaskStory]) -> None:
        self.told = list(told)

    def table(self) -> pd.DataFrame:
        """Return a row a task.

        Returns:
            By ``task``: ``confirmed``, ``deliveries`` (how many), ``done`` (how often its callback came to its end)
            and ``what happened``, in words.
        """
        columns = {
            "task": [each.task for each in self.told],
            "confirmed": [each.confirmed for each in self.told],
            "deliveries": [len(each.attempts) for each in self.told],
            "done": [each.done for each in self.told],
            "what happened": [each.story for each in self.told],
        }
        return pd.DataFrame(columns).set_index("task")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        with pd.option_context("display.max_colwidth", None, "display.max_rows", None):
            return {"text/plain": repr(self), "text/html": self.table().reset_index().to_html(index=False)}

    def __repr__(self) -> str:
        return "\n".join(f"{each.task}: {each.story}" for each in self.told) or "Every task simply went through."


def task_stories(lesson: Session, *, all_tasks: bool = False) -> TaskStories:
    """Return what became of each task that did not simply go through.

    Args:
        lesson: The lesson.
        all_tasks: Whether to return the others too.
    """
    told = read_task_stories(lesson.log)
    return TaskStories([each for each in told if all_tasks or each.sent > 1 or len(each.attempts) != 1])
