"""Runs that never happened, made of a seed: what a log could hold, with times of its own."""

from __future__ import annotations

import random
from typing import Any, cast

from workq_helpers.log.details import BrokerChange, ConsumeOptions, PublishOptions, QueueOptions
from workq_helpers.log.events import EventLog, Row
from workq_helpers.stage.scene import BrokerCounts

__all__ = ["MadeUpRun"]


class MadeUpRun:
    """A queue, some workers and what befalls them.

    Args:
        seed: Equal seeds make equal runs.
        events: About how many events.
        workers: How many workers.
        text: What each task says, with its number.
    """

    def __init__(self, seed: int, events: int = 60, workers: int = 3, text: str = "Task {}..") -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
        self._text = text
        self._seconds = 0.0
        self.rows: list[Row] = []
        self.answers = [BrokerCounts()]
        self.lines: dict[str, list[tuple[float, str]]] = {}
        self._waiting: list[int] = []
        self._held: dict[str, tuple[int, int]] = {}
        self._tags: dict[str, int] = {}
        self._published = 0
        self._record("declared", "lesson", detail=QueueOptions(durable=False, type="classic"))
        self._alive = [f"worker-{number}" for number in range(1, workers + 1)]
        for name in self._alive:
            self._record("starting", name, detail=ConsumeOptions(prefetch_count=1))
            self._record("connected", name, detail=ConsumeOptions(prefetch_count=1))
        while len(self.rows) < events:
            self._random.choice(
                [self._publish, self._deliver, self._finish, self._deliver, self._finish, self._befall]
            )()

    @property
    def log(self) -> EventLog:
        """Its log, as far as it is read."""
        log = EventLog()
        log._cells = [cell for row in self.rows for cell in row]
        log.seconds = lambda: self._seconds  # type: ignore[method-assign]
        return log

    def console(self, name: str, count: int, until_seconds: float) -> list[str]:
        """Return the last lines of a worker by a moment."""
        return [line for seconds, line in self.lines.get(name, []) if seconds <= until_seconds][-count:]

    @property
    def written_seconds(self) -> list[float]:
        """When workers printed."""
        return [seconds for lines in self.lines.values() for seconds, _ in lines]

    def _record(self, kind: str, actor: str, task: int | None = None, **more: Any) -> None:
        self._seconds += self._random.expovariate(10)
        mark, text = (None, "") if task is None else (f"mark-{task}", self._text.format(task))
        tag = None if task is None or kind == "published" else self._held[actor][1]
        row = (self._seconds, kind, actor, "hello", mark, text, tag, more.get("redelivered", False))
        self.rows.append(cast("Row", (*row, more.get("detail", ""))))
        if self._random.random() < 0.2:
            self._seconds += 0.001
            counts = {"hello": (len(self._waiting), len(self._held))}
            self.answers.append(BrokerCounts(self._seconds, True, 0.0, counts))

    def _publish(self) -> None:
        self._published += 1
        self._waiting.append(self._published)
        self._record("published", "publisher-1", self._published, detail=PublishOptions(persistent=False))

    def _deliver(self) -> None:
        idle = [name for name in self._alive if name not in self._held]
        if not idle or not self._waiting:
            return
        name, task = self._random.choice(idle), self._waiting.pop(0)
        self._tags[name] = self._tags.get(name, 0) + 1
        self._held[name] = (task, self._tags[name])
        self._record("delivered", name, task)
        self._record("started", name, task)
        self.lines.setdefault(name, []).append((self._seconds + 0.002, f" [x] Received {self._text.format(task)}"))

    def _finish(self) -> None:
        if not self._held:
            return
        name = self._random.choice(sorted(self._held))
        task, _ = self._held[name]
        for kind in ("finished", "acked"):
            self._record(kind, name, task)
        del self._held[name]

    def _befall(self) -> None:
        if self._random.random() < 0.5:
            change = self._random.choice([BrokerChange.STOPPING, BrokerChange.UP])
            self._record("broker", "RabbitMQ", detail=change)
            return
        name = self._random.choice(self._alive)
        self._record(self._random.choice(["frozen", "thawed"]), name)
