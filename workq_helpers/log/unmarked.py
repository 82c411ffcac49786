"""`UnmarkedMessages`: tells messages apart that bear no mark of the log's, by queue, body and order."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Literal

__all__ = ["UnmarkedMessages", "fingerprint"]


#: How long a digest is, and the size beside it.
_DIGEST_BYTES, _SIZE_BYTES = 16, 8

#: How many messages are remembered that were settled last: a crash of RabbitMQ may undo what it had not written.
_KEPT_SETTLED = 1_000

_NONE: OrderedDict[str, Any] = OrderedDict()
_NOBODY = object()


def fingerprint(body: bytes, size: int) -> bytes:
    """Return what bodies are compared by: a digest and the size, or the body itself if that is shorter."""
    if size < _DIGEST_BYTES + _SIZE_BYTES:
        return body
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + size.to_bytes(_SIZE_BYTES)


_Place = Literal["fresh", "held", "answered", "back", "dead", "overtaken"]


class _Alike:
    """The messages in one queue with equal bodies, by their marks, in their order."""

    __slots__ = ("answered", "back", "dead", "fresh", "held", "overtaken", "routed")

    def __init__(self) -> None:
        # Ordered dicts: the first of a plain one is the further away the more have gone before it. They are made when
        # they are needed: most messages are the only one of their kind, and most of these are never used.
        self.fresh = _NONE  # published, and not delivered yet
        self.held = _NONE  # each with its holder
        self.answered = _NONE  # each with who held it; nothing has shown yet that RabbitMQ knows of the answer
        self.back = _NONE  # delivered before
        self.dead = _NONE  # turned away: it may be a dead letter by now
        self.overtaken = _NONE  # read as redelivered, and its first delivery not yet: its reader may be slow
        self.routed = 0  # how many of those that came through an exchange

    @property
    def is_empty(self) -> bool:
        known = self.fresh or self.held or self.answered or self.back or self.dead or self.overtaken
        return not (known or self.routed)

    def put(self, place: _Place, mark: str, holder: object = None) -> None:
        """Take in a message."""
        marks = getattr(self, place)
        if marks is _NONE:
            marks = OrderedDict()
            setattr(self, place, marks)
        marks[mark] = holder

    def let_go(self, mark: str, holder: object) -> bool:
        """Take a message from its holder; return whether that was the last one to get it."""
        for marks in (self.held, self.answered):
            if marks.get(mark, _NOBODY) is holder:
                del marks[mark]
                return True
        return False


class UnmarkedMessages:
    """Gives each message without a mark a name in the log, and finds it again wherever it turns up.

    Programs publish without marks, and their bytes pass the relay as they are. So a message of theirs is recognized by
    its queue, its body and the order, as a queue keeps it; what came through an exchange, by its body and the order in
    each queue. That is a guess where bodies are equal: which of two equal messages it was, nobody could tell.

    Args:
        new_mark: Returns a mark that no other message has.
    """

    def __init__(self, new_mark: Callable[[], str]) -> None:
        self._new_mark = new_mark
        self._lock = threading.Lock()
        self._alike: dict[tuple[str, bytes], _Alike] = {}
        self._routed: dict[bytes, list[str]] = {}
        self._settled: OrderedDict[tuple[str, bytes], str] = OrderedDict()
        self._crashed = False

    def crashed(self) -> None:
        """Learn that RabbitMQ crashes: what was acknowledged a moment ago may come again."""
        self._crashed = True

    def published(self, mark: str, queue: str, body: bytes) -> None:
        """Learn that a message was published.

        Args:
            mark: What the log calls it.
            queue: The queue it was sent to, ``""`` if an exchange routes it.
            body: The body's `fingerprint`, as everywhere here.
        """
        with self._lock:
            if queue:
                self._those_like(queue, body).put("fresh", mark)
            else:
                self._routed.setdefault(body, []).append(mark)

    def delivered(
        self, queue: str, body: bytes, redelivered: bool, died_in: Iterable[str] = (), holder: object = None
    ) -> str:
        """Return the mark of a message that was delivered.

        Args:
            queue: The queue it came from.
            body: Its body.
            redelivered: Whether RabbitMQ says that it was delivered before.
            died_in: The queues that it was dead-lettered from, the last one first.
            holder: What stands for this delivery; whoever held the message before has no say any more.
        """
        with self._lock:
            alike = self._those_like(queue, body)
            # One that somebody seems to hold may be back, and its connection's end not have been noticed here yet; so
            # may one that was answered when the channel was closed already.
            again = self._first(alike.back, alike.held, alike.answered) if redelivered else None
            mark = again or self._dead_letter(died_in, body) or self._first(alike.fresh)
            mark = mark or self._next_routed(alike, body)
            late = None if mark or redelivered else self._first(alike.overtaken)
            if late is not None and late not in alike.back:
                self._forget_empty(queue, body)
                return late  # whoever has got it since keeps it
            # After a restart RabbitMQ may flag as new what comes again (seen with basic.get on 3.10.8 and 4.3.6).
            mark = mark or late or self._first(alike.back)
            undone = self._settled.pop((queue, body), None) if mark is None and redelivered and self._crashed else None
            mark = mark or undone or self._new_mark()
            if redelivered and again is None and undone is None:
                alike.put("overtaken", mark)
            alike.back.pop(mark, None)
            alike.dead.pop(mark, None)
            alike.put("held", mark, holder)
            return mark

    def answered(self, mark: str, queue: str, body: bytes, holder: object = None) -> None:
        """Learn that a delivered message was acknowledged; nobody gets it again, if that arrives."""
        with self._lock:
            alike = self._those_like(queue, body)
            if alike.let_go(mark, holder):
                alike.put("answered", mark, holder)

    def settled(self, mark: str, queue: str, body: bytes, holder: object = None) -> None:
        """Learn that nobody will get a delivered message again."""
        with self._lock:
            alike = self._alike.get((queue, body))
            if alike is not None and alike.let_go(mark, holder):
                self._forget_empty(queue, body)
                self._settled[queue, body] = mark
                if len(self._settled) > _KEPT_SETTLED:
                    self._settled.popitem(last=False)

    def turned_away(self, mark: str, queue: str, body: bytes, holder: object = None) -> None:
        """Learn that a delivered message was turned away, and may come again as a dead letter, if that arrives."""
        with self._lock:
            alike = self._those_like(queue, body)
            if alike.let_go(mark, holder):
                alike.put("answered", mark, holder)
                alike.put("dead", mark)

    def put_back(self, mark: str, queue: str, body: bytes, holder: object = None) -> None:
        """Learn that a delivered message is in its queue again."""
        with self._lock:
            alike = self._those_like(queue, body)
            if alike.let_go(mark, holder):
                alike.dead.pop(mark, None)
                alike.put("back", mark)

    def returned(self, queue: str, body: bytes) -> str | None:
        """Return the mark of a message that RabbitMQ sent back to its publisher, and forget it."""
        with self._lock:
            if not queue:
                marks = self._routed.get(body)
                return marks.pop() if marks else None
            alike = self._alike.get((queue, body))
            mark = None if alike is None else self._first(alike.fresh)
            self._forget_empty(queue, body)
            return mark

    def never_arrived(self, mark: str, queue: str, body: bytes) -> None:
        """Learn that RabbitMQ did not take a message."""
        with self._lock:
            alike = self._alike.get((queue, body))
            if alike is not None:
                alike.fresh.pop(mark, None)
                self._forget_empty(queue, body)
            elif mark in self._routed.get(body, ()):
                self._routed[body].remove(mark)

    def emptied(self, queue: str) -> None:
        """Learn that a queue was purged or deleted."""
        with self._lock:
            for name, body in list(self._alike):
                if name == queue:
                    self._alike[name, body].fresh.clear()
                    self._alike[name, body].back.clear()
                    self._forget_empty(name, body)

    def _those_like(self, queue: str, body: bytes) -> _Alike:
        alike = self._alike.get((queue, body))
        if alike is None:
            alike = self._alike[queue, body] = _Alike()
        return alike

    def _dead_letter(self, died_in: Iterable[str], body: bytes) -> str | None:
        for queue in died_in:
            alike = self._alike.get((queue, body))
            mark = None if alike is None else self._first(alike.dead, alike.back, alike.fresh)
            if alike is not None and mark is not None:
                alike.answered.pop(mark, None)
            self._forget_empty(queue, body)
            if mark is not None:
                return mark
        return None

    @staticmethod
    def _first(*places: OrderedDict[str, Any]) -> str | None:
        for marks in places:
            if marks:
                return marks.popitem(last=False)[0]
        return None

    def _next_routed(self, alike: _Alike, body: bytes) -> str | None:
        marks = self._routed.get(body)
        if marks is None or alike.routed == len(marks):
            return None
        alike.routed += 1
        return marks[alike.routed - 1]

    def _forget_empty(self, queue: str, body: bytes) -> None:
        alike = self._alike.get((queue, body))
        if alike is not None and alike.is_empty:
            del self._alike[queue, body]
