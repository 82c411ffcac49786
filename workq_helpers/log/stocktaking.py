"""`Stocktaking`: holds the log against the broker's own counts, and records where they differ for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from workq_helpers.log.arrivals import Arrivals
from workq_helpers.log.book import Book
from workq_helpers.log.details import Binding, Counted, ExchangeOptions, QueueOptions
from workq_helpers.log.events import Row
from workq_helpers.log.ledger import BROKER, Ledger, LogCounts

if TYPE_CHECKING:
    from workq_helpers.rabbitmq.management import QueueCounts

__all__ = ["STEADY_LOOKS", "Stocktaking", "disagreements"]

#: How often the counts must be the same, with nothing new in the log, before they are believed: they lag a little.
STEADY_LOOKS = 5

#: What is told of one queue may say something of another, as a dead letter does: so often that is followed.
_ROUNDS = 4

_NOTHING = LogCounts(0, 0)

Counts = Mapping[str, "QueueCounts"]

_KINDS = {ExchangeOptions: "exchange declared", Binding: "bound"}


class Stocktaking:
    """Compares counts with the log again and again, until they agree or it is sure that they will not.

    What differs then is recorded: "counted", with the broker as its source. The ledger takes it in, and agrees.

    Args:
        book: The log, and who writes to it.
        ledger: Returns where the messages are, as the log has it now.
        ask_counts: Asks the broker for its counts.
        ask_routes: Asks it for its exchanges, and for its bindings, each with the queue that it leads to.
        arrivals: What came into its queues, by its statistics.
        ask_options: Asks it how a queue was declared.
        steady_looks: How often the counts must be the same; more where they are known to lag.
    """

    def __init__(
        self,
        book: Book,
        ledger: Callable[[], Ledger],
        ask_counts: Callable[[], Counts],
        ask_routes: Callable[[], list[tuple[str, Binding | ExchangeOptions]]],
        arrivals: Arrivals,
        ask_options: Callable[[str], QueueOptions | None],
        *,
        steady_looks: int = STEADY_LOOKS,
    ) -> None:
        self._book = book
        self._log = book.log
        self._ledger = ledger
        self._ask_counts = ask_counts
        self._ask_routes = ask_routes
        self._arrivals = arrivals
        self._ask_options = ask_options
        self._steady_looks = steady_looks
        #: What the broker counted when it was asked last.
        self.counts: Counts = {}
        self._before: tuple[int, Counts] | None = None
        self._looks = 0

    def ask(self) -> None:
        """Ask the broker for its counts, and compare nothing yet."""
        self.counts = self._ask_counts()

    def look(self) -> bool:
        """Ask the broker once; return whether log and broker agree as far as they ever will."""
        events = len(self._log)
        self.ask()
        return self.compare(events, self.counts)

    def compare(self, events: int, counts: Counts) -> bool:
        """Compare the log with counts, as `look` does.

        Args:
            events: How many events the log had before the broker was asked.
            counts: What it answered.
        """
        ledger = self._ledger()
        if len(self._log) != events:
            self._before = None
            return False
        found = self._differences(ledger, counts)
        if not found:
            if not any(ledger.held_elsewhere(queue) for queue in counts):  # it may be what is settled and not read
                self._book.agreed(events)
            return True
        self._looks = self._looks + 1 if self._before == (events, counts) else 1
        self._before = events, counts
        return self._looks >= self._steady_looks and self._record(events, ledger, counts)

    def _record(self, events: int, ledger: Ledger, counts: Counts) -> bool:
        rows: list[Row] = [
            (0.0, _KINDS[type(each)], BROKER, queue, None, "", None, False, each)
            for queue, each in self._new_routes(ledger)
        ]
        for _ in range(_ROUNDS):
            found = self._differences(ledger, counts)
            if not found:
                break
            for queue, each in found.items():
                told = replace(each, options=self._ask_options(queue)) if each.present else each
                rows.append((0.0, "counted", BROKER, queue, None, "", None, False, told))
            if not self._log.record_after(events, rows):
                return False
            events, rows = events + len(rows), []
            ledger = self._ledger()
        return not self._differences(ledger, counts)

    def _differences(self, ledger: Ledger, counts: Counts) -> dict[str, Counted]:
        """Return what the broker counts in each queue of which the log can learn something."""
        losing = [queue for queue, known in counts.items() if known.type != "stream"]
        return _differences(ledger, counts, self._log.seconds(), self._book.agreed_seconds) or {
            queue: Counted(counts[queue].ready, counts[queue].unacknowledged, unaccounted=more)
            for queue, more in self._arrivals.beyond(ledger, losing).items()
        }

    def _new_routes(self, ledger: Ledger) -> list[tuple[str, Binding | ExchangeOptions]]:
        """Return the exchanges and bindings that nobody saw being made, where a message waits for them.

        Those of queues come last: a message is placed by them, once all is known that lies before.
        """
        if not ledger.has_adrift():
            return []
        known = set(ledger.routes())
        return sorted((each for each in self._ask_routes() if each not in known), key=lambda each: bool(each[0]))


def disagreements(ledger: Ledger, counts: Counts) -> list[str]:
    """Return in which queues the log and the broker differ, a clause each; nothing if they agree."""
    told = []
    ours = ledger.queues()
    for name in {**ours, **counts}:
        ready, unacknowledged = _expected(name, ledger, ours)
        known = counts.get(name)
        if known is None:
            if ready or not (ledger.absent(name) or name == ""):
                told.append(f"the log has {ready} messages in {name!r}, and RabbitMQ has no such queue")
        elif known.type != "stream" and (known.ready, known.unacknowledged) != (ready, unacknowledged):
            told.append(
                f"in {name!r} RabbitMQ counts {known.ready} ready and {known.unacknowledged} unacknowledged, "
                f"the log {ready} and {unacknowledged}"
            )
    return told


def _differences(ledger: Ledger, counts: Counts, seconds: float, agreed_seconds: float) -> dict[str, Counted]:
    """Return what the broker counts in each queue where these counts differ from the log's."""
    found = {}
    ours = ledger.queues()
    for name in {**ours, **counts}:
        ready, unacknowledged = _expected(name, ledger, ours)
        known = counts.get(name)
        if known is None:
            if name and (ready or not ledger.absent(name)):
                found[name] = Counted(present=False, agreed_seconds=agreed_seconds)
        elif known.type != "stream" and (
            ledger.absent(name)
            or known.ready != ready
            or known.unacknowledged > unacknowledged
            or _fewer_elsewhere(name, ledger, known)
            or _tells_of_doubts(name, ledger, known)
            or ledger.mixed_up(name, known.ready, seconds)
        ):
            found[name] = Counted(known.ready, known.unacknowledged, agreed_seconds=agreed_seconds)
    return found


def _fewer_elsewhere(name: str, ledger: Ledger, known: QueueCounts) -> bool:
    """Whether others hold less than they did when the broker counted last."""
    held = ledger.held_elsewhere(name)
    return bool(held) and known.unacknowledged < ledger.queues().get(name, _NOTHING).unacknowledged + held


def _tells_of_doubts(name: str, ledger: Ledger, known: QueueCounts) -> bool:
    """Whether the broker has nothing any more that may be what was settled last."""
    ours = ledger.queues().get(name, _NOTHING)
    return bool(ledger.in_doubt(name)) and known.unacknowledged <= ours.unacknowledged


def _expected(name: str, ledger: Ledger, ours: Mapping[str, LogCounts]) -> tuple[int, int]:
    """Return how many ready and unacknowledged messages the broker should count, by the log."""
    ready, unacknowledged = ours.get(name, _NOTHING)
    return ready + ledger.unseen(name), unacknowledged + ledger.held_elsewhere(name)
