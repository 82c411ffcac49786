"""`Job`: what a peer's process is to do; `Marks`: the two moments between which it is timed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["VARIABLE", "Job", "Marks"]

#: The environment variable that holds the job: it has the broker's password in it, so no command line may.
VARIABLE = "WORKQ_BENCH_JOB"


class Job(NamedTuple):
    """What to do, and where.

    Attributes:
        url: The broker and the virtual host.
        queue: A durable classic queue.
        body: The task's text.
        warm_up: So many messages come first and are not timed.
        count: So many are timed.
        prefetch_count: How many unacknowledged deliveries a consumer may have.
        auto_ack: Whether it consumes without acks.
        confirm: Whether it publishes with confirms.
        report: The file that gets the two moments.
    """

    url: str
    queue: str
    body: str
    warm_up: int
    count: int
    prefetch_count: int = 1
    auto_ack: bool = False
    confirm: bool = False
    report: str = ""

    @property
    def total(self) -> int:
        """All messages, timed or not."""
        return self.warm_up + self.count

    def environ(self) -> dict[str, str]:
        """Return the environment for a process that does it."""
        return os.environ | {VARIABLE: json.dumps(self._asdict())}

    @classmethod
    def of_this_process(cls) -> Job:
        """Return what this process is to do."""
        return cls(**json.loads(os.environ[VARIABLE]))


class Marks:
    """Counts tasks; notes the moment at which the warm-up is over and the one at which the last is done."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._left = job.total
        self._began = 0.0

    def one_done(self) -> bool:
        """Count one task; return whether it was the last."""
        self._left -= 1
        if self._left == self._job.count:
            self.begin()
        if self._left == 0:
            self.end()
            return True
        return False

    def publishing(self) -> Iterator[int]:
        """Number the messages to publish; the warm-up is over when those that belong to it are sent."""
        for number in range(self._job.total):
            if number == self._job.warm_up:
                self.begin()
            yield number

    def begin(self) -> None:
        """The warm-up is over."""
        self._began = time.monotonic()

    def end(self, began: float | None = None, ended: float | None = None) -> None:
        """Report both moments, on the clock that all processes of a machine share."""
        moments = [began or self._began, ended or time.monotonic()]
        report = Path(self._job.report)
        whole = report.with_suffix(".part")
        whole.write_text(json.dumps(moments))
        whole.replace(report)
