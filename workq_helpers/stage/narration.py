"""`Narration`: what happened, a sentence an event, summed up where events come faster than anybody reads."""

from __future__ import annotations

import bisect
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from workq_helpers.log.details import BrokerChange, ConsumeOptions
from workq_helpers.log.events import Row, Rows
from workq_helpers.stage import sentences
from workq_helpers.stage.frame import StoryLine
from workq_helpers.stage.sentences import Happening

__all__ = ["Alike", "Narration", "count_alike"]

#: How many sentences a frame has: as many as the stage has room for.
MOST_LINES = 4

#: A kill, a crash or a loss stays in view for so long, whatever else happens meanwhile.
NOTABLE_SECONDS = 10.0

#: What happens again within a beat adds to its sentence. A beat in which much happens is a long one.
BEAT_SECONDS = 0.25
LONG_BEAT_SECONDS = 2.0
MANY_EVENTS = 40

#: Kinds that come by the thousand, which are counted and not read one by one.
_FREQUENT = frozenset({"published", "confirmed", "delivered", "started", "finished", "acked"})

#: Kinds that have no sentence: another one says it.
_UNTOLD = frozenset({"confirmed", "started", "starting", "stopping", "reconnecting", "played", "cluster"})

#: Kinds that end what a client held; what became of it is said in the same sentence.
_ENDINGS = frozenset({"killed", "crashed", "stopped", "disconnected", "hung up", "channel closed", "cancelled"})

#: Kinds of which all within a beat are one sentence, whoever it is.
_TOGETHER = frozenset({"connected", "stopped", "disconnected", "declared", "broker"})

#: Of which of them the sentence is over when another worker does the contrary: who comes later is told later.
_CONTRARY = {"connected": "stopped", "stopped": "connected"}

#: Kinds that say of a task what its worker's end did to it.
_CONSEQUENCES = frozenset({"requeued", "lost"})

#: What is counted together: equal kind, actor, queue and redelivered.
_ALIKE_FIELDS = (1, 2, 3, 7)
_alike = itemgetter(*_ALIKE_FIELDS)

#: What tells a sentence from another of the same beat.
_Key = tuple[object, ...]
Alike = tuple[str, str, str, bool]


def count_alike(rows: Rows) -> Counter[Alike]:
    """Count the rows of equal kind, actor, queue and redelivered: in a flood that is much less to look at."""
    return Counter(zip(*map(rows.column, _ALIKE_FIELDS), strict=True))


class _Beat(NamedTuple):
    """A stretch of time in which equal events make one sentence."""

    begin_seconds: float
    told: dict[_Key, Happening]

    def close(self, kind: str | None) -> None:
        """Have what happens from now on of a kind be sentences of their own."""
        for key in [key for key in self.told if key[0] == kind]:
            happening = self.told.pop(key)
            self.told["told", happening.number] = happening

    def happenings(self, busy: bool) -> list[Happening]:
        """Return what happened in it; in a busy one workers are summed up too."""
        told = sorted(self.told.values(), key=lambda each: each.number)
        return sentences.without_repetition(sentences.in_order(sentences.summed_up(told) if busy else told))


class Narration:
    """A fold over the log's rows, as `Scene` is: equal rows make equal sentences, however many come at a time."""

    def __init__(self) -> None:
        self._events = 0
        self._past: deque[Happening] = deque(maxlen=2 * MOST_LINES)
        self._notable: deque[Happening] = deque(maxlen=64)
        self._ended: dict[str, Happening] = {}
        self._workers: set[str] = set()
        self._cut_off: set[str] = set()
        self._broker_away = False
        self._begin_beat(0.0)

    def _begin_beat(self, seconds: float) -> None:
        self._beat = _Beat(seconds, {})
        self._early = 0  # events of the beat in its first moments, which make it a long one or not

    # -- what happens

    def update(self, rows: Rows, counted: Mapping[Alike, int] | None = None) -> None:
        """Take in the rows that follow those taken in before.

        Args:
            rows: The rows.
            counted: What `count_alike` says of them, where somebody has counted: in a flood that is most of the work.
        """
        at = 0
        while at < len(rows):
            at = self._take_one_beat(rows, at, counted)

    def _take_one_beat(self, rows: Rows, at: int, counted: Mapping[Alike, int] | None) -> int:
        """Take in the rows of one beat from `at` on, and return where the next one begins."""
        begin = self._beat.begin_seconds
        soon = self._index(rows, begin + BEAT_SECONDS, at)
        self._early += soon - at
        stop = self._index(rows, begin + LONG_BEAT_SECONDS, soon) if self._busy else soon
        if stop - at == len(rows) and counted is not None:
            self._take(rows, counted)
        elif stop > at:
            self._take(rows[at:stop], count_alike(rows[at:stop]))
        if stop < len(rows):
            self._past.extend(self._beat.happenings(self._busy)[-MOST_LINES:])
            self._begin_beat(rows[stop][0])
        return stop

    @staticmethod
    def _index(rows: Rows, seconds: float, begin: int) -> int:
        return bisect.bisect_right(rows, seconds, lo=begin, key=itemgetter(0))

    @property
    def _busy(self) -> bool:
        return self._early > MANY_EVENTS

    def _take(self, rows: Rows, counted: Mapping[Alike, int]) -> None:
        for key, count in counted.items():
            if key[0] in _FREQUENT and key[0] not in _UNTOLD:
                self._count(key, count, rows)
        if any(key[0] not in _FREQUENT for key in counted):
            for number, row in enumerate(rows, start=self._events + 1):
                if row[1] not in _FREQUENT:
                    self._learn(number, row)
        self._events += len(rows)

    def _count(self, key: tuple[str, str, str, bool], count: int, rows: Rows) -> None:
        kind, actor, queue, redelivered = key
        happening = self._beat.told.get(key)
        if happening is None:
            at = next(index for index, row in enumerate(rows) if _alike(row) == key)
            happening = Happening(self._events + at + 1, rows[at][0], kind, queue, redelivered=redelivered)
            happening.actors[actor] = None
            self._beat.told[key] = happening
        if not self._busy:
            happening.last_number = self._events + max(at for at, row in enumerate(rows, 1) if _alike(row) == key)
        named: Iterable[str] = () if self._busy else (row[5] for row in rows if _alike(row) == key)
        happening.tasks.add(count, named)

    def _learn(self, number: int, row: Row) -> None:
        kind, actor, detail = row[1], row[2], row[8]
        if kind in _CONSEQUENCES and actor in self._ended:
            self._ended[actor].follow(row)
            return
        if isinstance(detail, ConsumeOptions) and kind != "delivered":
            self._workers.add(actor)
        if kind in _UNTOLD or (kind in ("connected", "stopped") and actor not in self._workers):
            return
        happening = self._tell(number, row)
        if kind in _ENDINGS:
            self._ended[actor] = happening
        elif kind == "connected":
            self._ended.pop(actor, None)
        if kind == "broker":
            self._broker_away = detail is not BrokerChange.UP

    def _tell(self, number: int, row: Row) -> Happening:
        seconds, kind, actor, queue, _, task, _, _, detail = row
        again = kind == "connected" and actor in self._cut_off
        said = str(detail)
        key: _Key = (kind, "" if kind in _TOGETHER else actor, queue, said, again)
        self._beat.close(_CONTRARY.get(kind))
        happening = self._beat.told.get(key)
        if happening is None:
            happening = Happening(number, seconds, kind, queue, detail=said, again=again, away=self._broker_away)
            self._beat.told[key] = happening
            if happening.mark:
                self._notable.append(happening)
        happening.actors[actor] = None
        happening.last_number = number
        if row[4] is not None or task:
            happening.tasks.add(1, [task])
        if kind in ("disconnected", "hung up"):
            self._cut_off.add(actor)
        elif kind == "connected":
            self._cut_off.discard(actor)
        return happening

    def lose(self, tasks: Sequence[str], count: int) -> None:
        """Say in the last sentence on the broker that messages went with it."""
        told = [each for each in self._beat.told.values() if each.kind == "broker"]
        if told:
            told[-1].lost.add(count, tasks)
            if told[-1] not in self._notable:
                self._notable.append(told[-1])

    # -- what is told

    def notable(self) -> list[StoryLine]:
        """Return the sentences on kills, crashes and losses, oldest first."""
        return [each.line() for each in self._notable]

    def latest(self, seconds: float) -> list[StoryLine]:
        """Return the last sentences, oldest first.

        Args:
            seconds: The moment that is shown: what was bad and is not long past is among them.
        """
        all_of_them = {id(each): each for each in [*self._past, *self._beat.happenings(self._busy)]}.values()
        told = sorted(all_of_them, key=lambda each: each.place)[-MOST_LINES:]
        missing = [
            each for each in self._notable if seconds - each.last_seconds <= NOTABLE_SECONDS and each not in told
        ][-(MOST_LINES - 1) :]
        plain = [each for each in told if not each.mark][len(missing) :]
        kept = [*missing, *plain, *(each for each in told if each.mark)] if missing else told
        return [each.line() for each in sorted(kept, key=lambda each: each.place)[-MOST_LINES:]]
