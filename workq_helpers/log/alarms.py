"""`Alarms`: what the broker has not read, for want of memory or disk."""

from __future__ import annotations

from collections.abc import Iterable

from workq_helpers.log.copies import Message
from workq_helpers.log.events import Row
from workq_helpers.log.fates import HELD_UP, Suspicion
from workq_helpers.log.register import Register

__all__ = ["Alarms"]

_NEVER_READ = "its client's connection ended while RabbitMQ took no messages, for want of memory or disk"


class Alarms:
    """Keeps what clients published and settled while the broker reads nothing from them.

    Args:
        register: Where the messages are.

    Attributes:
        held_up: What was published, and the broker has not read.
        suspicion: What may have been under way when a connection was lost.
    """

    def __init__(self, register: Register) -> None:
        self._register = register
        self.held_up: dict[Message, None] = {}
        self.suspicion = Suspicion()

    def begin(self) -> None:
        """Learn that the broker takes no messages."""
        self.suspicion.alarm(len(self._register.messages))

    def end(self, seconds: float) -> None:
        """Learn that the broker takes messages from everybody.

        Who reads seldom, as a notebook between two cells, has not heard of it yet: it is so all the same.
        """
        self.suspicion.alarms_are_over()
        self.let_in(list(self.held_up), seconds)
        self.read_on(list(self._register.unread))

    def blocked(self, client: str) -> None:
        """Learn that the broker told a client to wait."""
        self.suspicion.blocked(client, len(self._register.messages))

    def unblocked(self, client: str, seconds: float) -> None:
        """Learn that the broker reads again what a client sends."""
        self.suspicion.unblocked(client)
        self.let_in([each for each in self.held_up if each.publisher == client], seconds)
        self.read_on([each for each in self._register.unread if each.worker == client])

    def left(self, client: str) -> None:
        """Take note that what a client has sent and the broker had not read will hardly be."""
        self.suspicion.unblocked(client)
        for message in [each for each in self.held_up if each.publisher == client]:
            del self.held_up[message]
            if message.place == "unknown":
                message.reason = _NEVER_READ
        settled = [each for each in self._register.unread if each.worker == client]
        self._hand_back_anyway(settled)
        for message in [each for each in settled if each in self._register.unread]:
            del self._register.unread[message]
            message.reason = _NEVER_READ

    def broker_went(self) -> None:
        """Learn that the broker is gone, and its alarms with it."""
        self.suspicion.alarms_are_over()
        self._hand_back_anyway(list(self._register.unread))
        self._register.unread.clear()
        self.suspicion.broker_went(len(self._register.messages))

    def hand_back_later(self, row: Row) -> None:
        """Take note that what a client handed back is not in its queue again before the broker reads of that."""
        for message in self._register.copies(row[4]):
            if message.place == "waiting" and message.deliveries and message.was_last_delivered(row):
                self._register.end(message, "unknown", str(row[8]))
                self._register.unread[message] = "waiting", ""

    def read_on(self, messages: Iterable[Message]) -> None:
        """Take note that the broker reads now what settled messages during an alarm."""
        for message in messages:
            place, reason = self._register.unread[message]
            self._register.leave_its_end(message)
            if place == "waiting":
                self._register.wait_again(message)
            else:
                self._register.arrive(message, place, reason)
                self._register.workers[message.worker].done += place == "done"
            queue = self._register.queues[message.queue]
            if place == "unknown" and queue.options is not None:  # a dead letter for which nobody knows a queue
                self._register.letters[message] = queue.options
                queue.gone_for_good.add(message)

    def _hand_back_anyway(self, messages: Iterable[Message]) -> None:
        """Take note that the connection is gone on which messages were to be handed back: so they are."""
        self.read_on([message for message in messages if self._register.unread[message][0] == "waiting"])

    def hold_up(self, client: str, messages: Iterable[Message]) -> None:
        """Take note that what a client has just published is not read yet, if the broker takes nothing from it."""
        if self.suspicion.holds_up(client):
            for message in messages:
                if message.place == "waiting":
                    self._register.end(message, "unknown", HELD_UP)
                    self.held_up[message] = None

    def let_in(self, messages: Iterable[Message], seconds: float) -> None:
        """Let those messages that were held up wait in their queues, unless more is known of them by now."""
        for message in messages:
            if message in self.held_up:
                del self.held_up[message]
                if message.place == "unknown":
                    self._register.leave_its_end(message)
                    message.place, message.reason, message.queued_seconds = "waiting", "", seconds
                    self._register.queues[message.queue].fresh[message] = None
