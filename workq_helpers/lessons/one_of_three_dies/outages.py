"""`Outage`: what a publisher saw when nodes went, and what became of the orders that had been confirmed."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Count", "CountTable", "Outage", "named"]


class Count(NamedTuple):
    """What is in a queue, beside what had been confirmed.

    Attributes:
        confirmed: How many orders were confirmed.
        found: How many different orders were in the queue.
        missing: How many confirmed ones were not.
        twice: How many copies there were beside the first of each.
    """

    confirmed: int
    found: int
    missing: int
    twice: int


class _Table:
    """Something that a notebook shows as a table of two columns."""

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return the table's rows: what, and how much."""
        raise NotImplementedError

    def __repr__(self) -> str:
        width = max(len(what) for what, _ in self.rows())
        return "\n".join(f"{what:<{width}}  {value}" for what, value in self.rows())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{html.escape(what)}</th>'
            f'<td style="text-align: left">{html.escape(value)}</td></tr>'
            for what, value in self.rows()
        )
        return f"<table>{rows}</table>"


@dataclass(repr=False)
class Outage(_Table):
    """What happened to a publisher's confirms.

    Attributes:
        deed: What was done, in a few words.
        queue: Where the orders went.
        nodes: The nodes it was done to.
        confirmed_before: How many orders had been confirmed by then.
        pause_seconds: The longest time between two confirms from then on; ``None`` where none came any more.
        waited_seconds: How long was waited for them.
        confirmed_after: How many orders were confirmed of those that were sent afterwards.
        confirmed_meanwhile: How many others were confirmed since it began.
        refused: How often RabbitMQ refused an order with a nack.
        handed_back: How often RabbitMQ handed an order back.
        connections: How many connections the publisher made.
        counted: What was found in the queue, once somebody has counted.
        count_orders: Counts it.
        besides: What was done to nodes meanwhile that is no part of it, in a sentence; ``""`` for nothing.
    """

    deed: str
    queue: str
    nodes: tuple[str, ...]
    confirmed_before: int
    pause_seconds: float | None
    waited_seconds: float
    confirmed_after: int
    confirmed_meanwhile: int
    refused: int
    handed_back: int
    connections: int
    counted: Count | None = None
    count_orders: Callable[[], Count] | None = field(default=None, compare=False)
    besides: str = ""

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return the table's rows."""
        if self.pause_seconds is None:
            pause = f"no end of it in {self.waited_seconds:.0f} s"
        else:
            pause = f"{self.pause_seconds:.2f} s"
        return (
            ("what happened", f"{self.deed} {named(self.nodes)}"),
            *([("meanwhile", self.besides)] if self.besides else []),
            ("orders confirmed before", str(self.confirmed_before)),
            ("orders confirmed meanwhile", str(self.confirmed_meanwhile)),
            ("orders confirmed afterwards", str(self.confirmed_after)),
            ("longest pause", pause),
            *self._refusals(),
            ("connections made", str(self.connections)),
        )

    def _refusals(self) -> Sequence[tuple[str, str]]:
        counts = (("refused with a nack", self.refused), ("handed back", self.handed_back))
        return [(what, f"{count} times") for what, count in counts if count]

    def count(self) -> CountTable:
        """Fetch all orders from the queue, and count those that had been confirmed."""
        if self.counted is None and self.count_orders is not None:
            self.counted = self.count_orders()
        if self.counted is None:
            raise ValueError("a kept outage has its count")
        return CountTable(self.queue, self.counted)


@dataclass(repr=False)
class CountTable(_Table):
    """A count, as a notebook shows it."""

    queue: str
    count: Count

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return the table's rows."""
        return (
            ("orders confirmed", str(self.count.confirmed)),
            (f"found in the queue {self.queue}", str(self.count.found)),
            ("confirmed and missing", str(self.count.missing)),
            ("there twice", str(self.count.twice)),
        )


def named(nodes: Sequence[str]) -> str:
    """Return names as a sentence has them."""
    return " and ".join(nodes)
