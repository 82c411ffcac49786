"""`Experiments`: when each experiment of a lesson was, on the log's clock."""

from __future__ import annotations

from typing import NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog

__all__ = ["Experiments", "Span"]

#: How long before its first event an experiment is shown.
_LEAD_SECONDS = 0.5


class Span(NamedTuple):
    """A stretch of a log, in its seconds."""

    begin_seconds: float
    end_seconds: float


class Experiments:
    """Each begins with its question and ends with the comparison; a log that is cleared has had none."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._begun: dict[str, tuple[int, int]] = {}
        self._spans: dict[str, tuple[int, Span]] = {}

    def begin(self, name: str) -> None:
        """Take note that what happens from now on is the experiment."""
        self._begun.pop(name, None)  # the last one is the last
        self._begun[name] = (self._log.generation, len(self._log))

    def end(self, name: str) -> None:
        """Take note that the experiment is over with the last event; one that nobody began is all of the log."""
        generation, first = self._begun.get(name, (self._log.generation, 0))
        events = len(self._log)
        if generation != self._log.generation:
            first = 0
        if first < events:
            begin = max(0.0, self._log[first].seconds - _LEAD_SECONDS)
            self._spans[name] = (self._log.generation, Span(begin, self._log[events - 1].seconds))

    def last_began_seconds(self) -> float:
        """Return when the last experiment began in which a message was published; 0 where none did."""
        for generation, first in reversed(list(self._begun.values())):
            rows = self._log.rows(first) if generation == self._log.generation else []
            if any(row[1] == "published" for row in rows):
                return rows[0][0]
        return 0.0

    def span(self, name: str) -> Span:
        """Return when an experiment was.

        Raises:
            InvalidArgumentError: Nothing is known of it.
        """
        generation, span = self._spans.get(name, (-1, Span(0.0, 0.0)))
        if generation != self._log.generation:
            known = ", ".join(repr(each) for each, (at, _) in self._spans.items() if at == self._log.generation)
            raise InvalidArgumentError(
                f"There is nothing to replay of {name!r} in this recording, which began when the lesson was opened or "
                "started over last. Run the cells of its section again, from the first on to its comparison."
                + (f" What can be replayed: {known}." if known else "")
            )
        return span
