"""`RelayOnDemand`: the relay of a lesson, there from the first program on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workq_helpers.clients.relay import Relay
from workq_helpers.log.book import Book
from workq_helpers.log.details import BrokerChange
from workq_helpers.rabbitmq.endpoint import Endpoint

__all__ = ["RelayOnDemand"]


class RelayOnDemand:
    """Starts a relay when it is first asked for.

    Args:
        endpoint: Where it leads.
        book: What it writes to.
        is_taken: Whether somebody else has that name in the log.
    """

    def __init__(self, endpoint: Endpoint, book: Book, is_taken: Callable[[str], bool]) -> None:
        self._endpoint = endpoint
        self._book = book
        self._is_taken = is_taken
        self._relay: Relay | None = None
        self._lock = threading.Lock()

    def running(self) -> Relay:
        """Return the relay, which runs."""
        with self._lock:
            if self._relay is None:
                self._relay = Relay(self._endpoint, self._book, self._is_taken)
            return self._relay

    def learn_of(self, change: BrokerChange) -> None:
        """Tell it, if there is one, whether it has a broker to lead to."""
        with self._lock:
            if self._relay is not None and change is BrokerChange.UP:
                self._relay.broker_is_back()
            elif self._relay is not None and (change.is_outage or change is BrokerChange.STOPPING):
                self._relay.broker_goes()

    def close(self) -> None:
        """Close it, if there is one."""
        with self._lock:
            if self._relay is not None:
                self._relay.close()

    def abandon(self) -> None:
        """Leave it to the parent in a forked child, with its thread; one that is asked for here is the child's own."""
        self._relay = None
        self._lock = threading.Lock()  # another thread of the parent may have held it
