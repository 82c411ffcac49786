"""`compare`: what became of each task in two runs, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from workq_helpers.stage.saved_run import TaskRow

__all__ = ["Compared", "compare"]


class Compared(NamedTuple):
    """A task in two runs."""

    task: str
    first: TaskRow | None
    second: TaskRow | None

    @property
    def differs(self) -> bool:
        """Whether it fared differently: another fate or queue, another number of deliveries or others who got it."""
        return self.first != self.second

    @property
    def moved(self) -> bool:
        """Whether it came to another queue."""
        return self.first is not None and self.second is not None and self.first["queue"] != self.second["queue"]


def compare(first: Sequence[TaskRow], second: Sequence[TaskRow]) -> list[Compared]:
    """Return each task of two runs, in the order of the first; tasks of one text are told apart by their order."""
    befores, afters = dict(_numbered(first)), dict(_numbered(second))
    return [Compared(key[0], befores.get(key), afters.get(key)) for key in {**befores, **afters}]


def _numbered(tasks: Sequence[TaskRow]) -> Iterator[tuple[tuple[str, int], TaskRow]]:
    seen: Counter[str] = Counter()
    for task in tasks:
        seen[task["task"]] += 1
        yield (task["task"], seen[task["task"]]), task
