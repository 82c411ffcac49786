"""`Appearance`: how the log shows a client that is a program."""

from __future__ import annotations

from dataclasses import replace

from workq_helpers.log.details import ProgramOptions
from workq_helpers.log.events import EventLog

__all__ = ["Appearance"]


class Appearance:
    """As what a program has connected: as the consumer that it is, or as a publisher.

    Args:
        client: Its name in the log.
        log: Where to say so.
        program: What the log says of it; ``None`` for a client of the course's, which says so itself.
    """

    def __init__(self, client: str, log: EventLog, program: ProgramOptions | None) -> None:
        self._client = client
        self._log = log
        self._program = program
        #: The queue that it is about: where a program consumes, or a publisher of the course's publishes to.
        self.queue = ""
        self._shown: ProgramOptions | None = None
        self._has_published = False

    def consumes(self, queue: str, auto_ack: bool, prefetch_count: int) -> None:
        """Learn that it has begun to consume."""
        shown = self._shown
        # A client may have several consumers. It is shown as the one begun last, of those that acknowledge if any do.
        if self._program and (shown is None or shown.auto_ack or not auto_ack):
            self.queue = queue
            self._shown = replace(self._program, auto_ack=auto_ack, prefetch_count=prefetch_count)
            self._log.record("connected", self._client, queue, detail=self._shown)

    def publishes(self) -> None:
        """Learn that it publishes."""
        if self._program and not self._has_published and self._shown is None:
            self._log.record("connected", self._client)
        self._has_published = True
