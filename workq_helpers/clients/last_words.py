"""`LastWords`: what a worker said before its connection is cut."""

from __future__ import annotations

from collections.abc import Callable

from workq_helpers.clients import pika_private
from workq_helpers.clients.connection_life import ConnectionLife
from workq_helpers.log.observer import Observer

__all__ = ["LastWords"]

#: How many turns of the loop a cut waits for acknowledgments that the socket has not taken yet.
_FLUSH_TURNS = 100

#: How long a cut waits for the broker to show that it knows of the last acknowledgments; it takes a millisecond.
_ANSWER_SECONDS = 1.0


class LastWords:
    """Sees to it that what a worker has settled is known to the broker before its connection is cut.

    RabbitMQ drops what a channel has not come to when its connection ends: of a hundred acknowledgments in the socket
    some are lost. What the learner saw acknowledged would come again, so the broker is asked first.

    Its methods belong to the owner of the connection, but for `have_arrived`.
    """

    def __init__(self, life: ConnectionLife, observer: Observer) -> None:
        self._life = life
        self._observer = observer
        self._turns = 0
        self._asked = False
        self._go_on: Callable[[], None] | None = None

    @property
    def are_awaited(self) -> bool:
        """Whether the broker was asked, and somebody waits for its answer."""
        return self._go_on is not None

    def have_arrived(self) -> bool:
        """Whether nothing is on its way that the broker may not know of; any thread may ask, of an open connection."""
        return not (self._unsent_bytes() or self._are_in_doubt())

    def are_under_way(self, go_on: Callable[[], None]) -> bool:
        """Whether they still are; then `go_on` is called when there is something new to tell, by the owner."""
        if self.are_awaited:
            return True
        if self._unsent_bytes() and self._turns < _FLUSH_TURNS:
            # pika's own basic_ack would have been on its way before the crash; the next poll sends it.
            self._turns += 1
            self._life.soon(go_on)
            return True
        if not self._asked and self._are_in_doubt() and not self._observer.is_blocked:
            self._ask(go_on)
            return True
        return False

    def go_on(self) -> None:
        """Wait no more: there is an answer, or it is overdue, or nobody is there to answer."""
        if self._go_on is not None:
            go_on, self._go_on = self._go_on, None
            go_on()

    def _unsent_bytes(self) -> int:
        assert self._life.connection is not None  # noqa: S101 - it is open
        return pika_private.unsent_bytes(self._life.connection)

    def _are_in_doubt(self) -> bool:
        channel = self._life.channel
        return channel is not None and channel.is_open and self._observer.in_doubt(channel.channel_number)

    def _ask(self, go_on: Callable[[], None]) -> None:
        """Ask for an answer that comes after all that was sent."""
        self._asked, self._go_on = True, go_on
        channel, connection = self._life.channel, self._life.connection
        assert channel is not None and connection is not None  # noqa: PT018, S101 - they are in doubt
        # It asks for what is so already, and changes nothing.
        channel.flow(True, lambda _frame: self.go_on())
        self._life.later(_ANSWER_SECONDS, self.go_on)
        pika_private.send_now(connection)
