"""`Unseen`: what the broker may have sent to workers that were no longer there to log it, told by order, not by time.

With auto-ack a message leaves its queue when it is sent, so what a dead worker did not read is nobody's. How many those
are, nobody is told: the broker counts as sent neither what its channel still held nor less than what died in a socket.
But a queue gives its messages out in order, and a connection keeps it. So a dead worker may have missed only what was
published after the last message that it logged, of each publisher, and before somebody asked the broker for the queue's
consumers and the dead one was no longer counted among them.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import Event

__all__ = ["ASKED", "BAD_ENDS", "CONSUMERS", "OBSERVER", "Unseen"]

#: The ends of a connection after which nobody knows what of its last words arrived.
BAD_ENDS = ("disconnected", "hung up", "killed", "crashed", "channel closed")
#: Who asks the broker for the number of a queue's consumers, and what the log says before and after it.
OBSERVER, ASKED, CONSUMERS = "observer", "asked", "consumers"

#: A publisher's connection: its name, and the how-manieth it is.
_Stream = tuple[str, int]


class _Look(NamedTuple):
    """How many consumers the broker counted at a moment between two places in the log."""

    before: int
    after: int
    consumers: int


class _Session:
    """A worker's time on one connection; places are numbers of events."""

    def __init__(self, actor: str, begin: int) -> None:
        self.actor = actor
        self.begin = begin
        self.end: int | None = None
        self.bad = False
        self.tags: list[int | None] = []
        #: Where the latest messages that it got were published, and of what streams.
        self.seen: dict[_Stream, int] = {}
        self.latest = -1

    def lives(self, look: _Look) -> bool:
        return self.begin < look.before and (self.end is None or self.end > look.after)

    def changes(self, look: _Look) -> bool:
        return any(look.before <= place <= look.after for place in (self.begin, self.end) if place is not None)

    def surely_lived(self, look: _Look) -> bool:
        """Whether the broker had it, too: it got what was published later, or its goodbye was answered."""
        return self.latest > look.after or (self.end is not None and not self.bad)


class Unseen:
    """What the workers of one queue may have been sent without logging it.

    Args:
        events: The log's events about that queue, in their order.
    """

    def __init__(self, events: list[Event]) -> None:
        self._sessions: list[_Session] = []
        self._looks: list[_Look] = []
        self._published: dict[str | None, tuple[_Stream, int]] = {}
        self._length = len(events)
        self._times = Counter(event.mark for event in events if event.kind == "published")
        self._read(events)

    def _read(self, events: list[Event]) -> None:
        current: dict[str, _Session] = {}
        streams: defaultdict[str, int] = defaultdict(int)
        asked = 0
        for place, event in enumerate(events):
            session = current.get(event.actor)
            if event.kind == "connected" and isinstance(event.detail, ConsumeOptions):
                current[event.actor] = _Session(event.actor, place)
                self._sessions.append(current[event.actor])
            elif event.kind == "connected":
                streams[event.actor] += 1
            elif event.kind == "published":
                self._published[event.mark] = (event.actor, streams[event.actor]), place
            elif event.kind == ASKED:
                asked = place
            elif event.kind == CONSUMERS and isinstance(event.detail, int):
                self._looks.append(_Look(asked, place, event.detail))
            elif session is not None and event.kind == "delivered":
                self._deliver(session, event)
            elif session is not None and session.end is None and event.kind in (*BAD_ENDS, "stopped"):
                session.end, session.bad = place, event.kind != "stopped"

    def _deliver(self, session: _Session, event: Event) -> None:
        session.tags.append(event.delivery_tag)
        # Of what was published or given out more than once nobody knows which of them this is.
        if self._times[event.mark] == 1 and not event.redelivered and event.mark in self._published:
            stream, place = self._published[event.mark]
            session.seen[stream] = max(place, session.seen.get(stream, -1))
            session.latest = max(place, session.latest)

    def gaps(self) -> Iterator[str]:
        """Yield what is missing between deliveries of one connection: the broker counts them from 1."""
        for session in self._sessions:
            for tag, expected in zip(session.tags, itertools.count(1)):
                if tag != expected:
                    yield f"{session.actor} logged no delivery {expected} of its connection, and then {tag}"
                    break

    def messages(self) -> set[str | None]:
        """Return what may have been sent to those who came to a bad end, and not been read."""
        windows = [(session, self._noticed(session)) for session in self._sessions if session.bad]
        return {
            mark
            for mark, (stream, place) in self._published.items()
            if any(session.seen.get(stream, -1) < place < noticed for session, noticed in windows)
        }

    def _noticed(self, session: _Session) -> int:
        """Return by when the broker had surely noticed the end of a worker."""
        assert session.end is not None
        known = (look.after for look in self._looks if look.before > session.end and self._has_no_dead(look))
        return next(known, self._length)

    def _has_no_dead(self, look: _Look) -> bool:
        """Whether the consumers that the broker counted are just those that lived."""
        if any(session.changes(look) for session in self._sessions):
            return False
        living = [session for session in self._sessions if session.lives(look)]
        return len(living) == look.consumers and all(session.surely_lived(look) for session in living)
