"""`BrokerWatch`: asks the broker for its counts and routes, again and again, and remembers what it answered when."""

from __future__ import annotations

import bisect
import logging
import threading
import time
from collections.abc import Callable, Mapping
from operator import attrgetter

from workq_helpers.errors import WorkqError
from workq_helpers.log.events import EventLog
from workq_helpers.rabbitmq.management import QueueCounts
from workq_helpers.rabbitmq.routes import Routes
from workq_helpers.stage.scene import BrokerCounts

__all__ = ["BrokerWatch"]

_logger = logging.getLogger(__name__)

#: How often it asks while something goes on, and while nothing does, in seconds.
BUSY_INTERVAL_SECONDS = 0.2
IDLE_INTERVAL_SECONDS = 1.0

#: How often it asks for exchanges and bindings, which change seldom.
ROUTES_INTERVAL_SECONDS = 2.0

#: So many answers without a new event are asked for at the shorter interval: counts lag behind a little.
_EAGER_LOOKS = 8

#: How many changes it remembers for a replay.
_MOST_ANSWERS = 20_000


class BrokerWatch:
    """Watches the queues of one lesson from a thread of its own.

    Args:
        ask: Asks the broker for its queues.
        log: Tells the time, and whether something goes on.
        changed: Called after an answer that differs from the one before.
        compare: Compares an answer with the log, which had so many events before; returns whether they agree. Not asked
            while the log grows from one answer to the next: to read it all the time would cost more than the answers.
        ask_routes: Asks the broker for its exchanges and bindings.
    """

    def __init__(
        self,
        ask: Callable[[], Mapping[str, QueueCounts]],
        log: EventLog,
        changed: Callable[[], None],
        compare: Callable[[int, Mapping[str, QueueCounts]], bool],
        ask_routes: Callable[[], Routes] = Routes,
    ) -> None:
        self._ask = ask
        self._compare = compare
        self._ask_routes = ask_routes
        self._log = log
        self._changed = changed
        self._answers: list[BrokerCounts] = [BrokerCounts()]
        self._queues: Mapping[str, QueueCounts] = {}
        self._routes = Routes()
        self._agreed = True
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stage: counts", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is under way comes to nothing."""
        self._ending.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, for `timeout` seconds at most."""
        self._thread.join(timeout)

    @property
    def queues(self) -> Mapping[str, QueueCounts]:
        """What the broker said last of each queue."""
        return self._queues

    @property
    def routes(self) -> Routes:
        """The exchanges and bindings that the broker told of last."""
        return self._routes

    def latest(self) -> BrokerCounts:
        """Return what it said last."""
        return self._answers[-1]

    @property
    def answers(self) -> list[BrokerCounts]:
        """Whatever it said that differed from what it had said before, in order."""
        return list(self._answers)

    def at(self, seconds: float) -> BrokerCounts:
        """Return what it had said last at a moment of the log."""
        answers = self._answers
        return answers[max(0, bisect.bisect_right(answers, seconds, key=attrgetter("seconds")) - 1)]

    def forget(self) -> None:
        """Begin again, with the log."""
        self._answers = [BrokerCounts()]

    def _run(self) -> None:
        events, looks, routes_due = -1, 0, 0.0
        while not self._ending.is_set():
            answered = self._look(events)
            if answered and time.monotonic() >= routes_due:
                self._look_at_routes()
                routes_due = time.monotonic() + ROUTES_INTERVAL_SECONDS
            looks = looks + 1 if len(self._log) == events and self._agreed else 0
            events = len(self._log)
            calm = looks > _EAGER_LOOKS and (answered or self.latest().reachable is None)
            self._ending.wait(IDLE_INTERVAL_SECONDS if calm else BUSY_INTERVAL_SECONDS)

    def _look(self, events_before: int) -> bool:
        events = len(self._log)
        try:
            self._queues = self._ask()
            self._agreed = events == events_before and self._compare(events, self._queues)
        except Exception as error:
            # Whatever went wrong, there was no answer; a fault of ours is worth a line in a debug log.
            if not isinstance(error, WorkqError):
                _logger.debug("the broker's counts can't be had", exc_info=True)
            if self.latest().reachable is not None:  # where nothing ever answered there may be nothing to ask
                self._keep(False, {})
            return False
        self._keep(True, {name: (each.ready, each.unacknowledged) for name, each in self._queues.items()})
        return True

    def _look_at_routes(self) -> None:
        try:
            routes = self._ask_routes()
        except Exception:
            # Counts are what the stage needs; a user may be allowed those alone.
            _logger.debug("the broker's exchanges can't be had", exc_info=True)
            return
        if routes != self._routes:
            self._routes = routes
            self._changed()

    def _keep(self, reachable: bool, counts: Mapping[str, tuple[int, int]]) -> None:
        before = self.latest()
        if (before.reachable, before.counts) == (reachable, counts):
            return
        now = self._log.seconds()
        since = before.since_seconds if before.reachable == reachable else now
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers = self._answers[_MOST_ANSWERS // 2 :]
        silent = before.silent_seconds if reachable or before.reachable is False else now
        self._answers.append(BrokerCounts(now, reachable, since, counts, silent))
        self._changed()
