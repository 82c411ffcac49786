"""`SavedRun`: what happened in a lesson, moment by moment, as a file that any browser plays.

The file is JSON, and docs/saved_runs.md says what is in it. What moments have in common is written once: a moment names
its parts by their place in one list, so that any of them can be shown without those before it.
"""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypedDict, cast

from workq_helpers.errors import RunFileError
from workq_helpers.log.ledger import ENDS
from workq_helpers.stage.conformity import why_unlike
from workq_helpers.stage.frame import Recorded, StoryLine

__all__ = ["FORMAT", "MOST_BYTES", "MOST_MOMENTS", "RunFile", "RunMoment", "SavedRun", "TaskRow"]

FORMAT: Final = "workq-run"
VERSION: Final = 1

#: A browser must hold all of it.
MOST_MOMENTS = 60_000
MOST_BYTES = 200_000_000

_FIELDS = tuple(Recorded.__annotations__)
#: What files have that were written since it is drawn, and what earlier ones mean.
_LATER: dict[str, Any] = {"cluster": None, "resting": []}

#: Where a part of a moment stands in the list of parts: one place, or a place for each of its own parts.
Reference = int | list[int] | dict[str, int]


class TaskRow(TypedDict):
    """What became of one task.

    Attributes:
        task: Its text.
        queue: The queue that it was in last.
        deliveries: How often it was delivered.
        workers: Who got it, in order.
        fate: What became of it, as `Lesson.tasks` has it.
    """

    task: str
    queue: str
    deliveries: int
    workers: str
    fate: str


class RunFile(TypedDict):
    """The file.

    Attributes:
        format: Tells it from other JSON.
        version: Of the format; a player refuses one that it does not know.
        lesson: The lesson's name.
        recorded: The day it happened, in UTC, as ISO 8601 has it.
        rabbitmq: The broker's version.
        fields: The names of what a moment consists of, in their order.
        parts: All of that, each once.
        moments: For each moment its seconds since the lesson opened, how many events had happened by then, and for each
            field where it stands in the parts: a number, a list of them, or an object of them.
        marks: The kills, crashes and losses, as sentences, oldest first.
        tasks: What had become by its end of each task to which something happened in it, in order.
    """

    format: Literal["workq-run"]
    version: Literal[1]
    lesson: str
    recorded: str
    rabbitmq: str
    fields: list[str]
    parts: list[Any]
    moments: list[list[Any]]
    marks: list[StoryLine]
    tasks: list[TaskRow]


class RunMoment(NamedTuple):
    """One moment of a run."""

    seconds: float
    events: int  # had happened by then
    shown: Recorded


@dataclass(frozen=True)
class SavedRun:
    """A run as it is kept in a file."""

    file: RunFile

    @classmethod
    def of(
        cls,
        moments: Iterable[RunMoment],
        *,
        lesson: str,
        recorded: str,
        rabbitmq: str,
        marks: list[StoryLine],
        tasks: list[TaskRow],
        told: Callable[[str], str] = str,
    ) -> SavedRun:
        """Return the run of these moments.

        Args:
            moments: What was shown, in order.
            lesson: The lesson's name.
            recorded: The day, as ISO 8601 has it.
            rabbitmq: The broker's version.
            marks: The kills, crashes and losses.
            tasks: What became of each task.
            told: Returns what may be shown to anybody of a text.
        """
        parts = _Parts(told)
        rows = [[round(each.seconds, 6), each.events, *parts.references(each.shown)] for each in moments]
        return cls(
            {
                "format": FORMAT,
                "version": VERSION,
                "lesson": lesson,
                "recorded": recorded,
                "rabbitmq": rabbitmq,
                "fields": list(_FIELDS),
                "parts": parts.values,
                "moments": rows,
                "marks": _told_in(marks, told),
                "tasks": _told_in(tasks, told),
            }
        )

    @classmethod
    def parse(cls, text: str) -> SavedRun:
        """Return the run that a file holds, once everything in it is what it must be.

        Raises:
            RunFileError: It holds no run, or not a whole one.
        """
        try:
            return cls._parsed(text)
        except RecursionError as error:
            raise RunFileError(f"This is no saved run: lists lie in lists too deep. {_NEXT}") from error

    @classmethod
    def _parsed(cls, text: str) -> SavedRun:
        try:
            found = json.loads(text, parse_constant=_number, parse_float=_number, parse_int=_whole_number)
            if _ESCAPED_HALF.search(text):
                json.dumps(found, ensure_ascii=False).encode()
        except ValueError as error:
            raise RunFileError(f"This is no saved run: it is not JSON ({error}). {_NEXT}") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise RunFileError(f"This is no saved run: it does not say that its format is {FORMAT!r}. {_NEXT}")
        if why_unlike(found.get("version"), Literal[1]):
            raise RunFileError(
                f"This run is of version {found.get('version')!r} of its format, and this course knows version "
                f"{VERSION}. Update the course, or save the run anew with this one."
            )
        if why := why_unlike(found, RunFile):
            raise RunFileError(f"This run is not whole: {why}. {_NEXT}")
        run = cls(cast("RunFile", found))
        run._check()
        return run._without_idle_parts()

    @property
    def text(self) -> str:
        """The file's text."""
        return json.dumps(self.file, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @property
    def moments(self) -> Sequence[RunMoment]:
        """What was shown, in order."""
        return [self._moment(row) for row in self.file["moments"]]

    def __repr__(self) -> str:
        file = self.file
        return (
            f"<SavedRun of the lesson {file['lesson']!r}: {len(file['moments'])} moments, RabbitMQ {file['rabbitmq']}>"
        )

    def _moment(self, row: list[Any]) -> RunMoment:
        seconds, events, *references = row
        shown = {field: self._part(reference) for field, reference in zip(self.file["fields"], references, strict=True)}
        return RunMoment(seconds, events, cast("Recorded", _LATER | shown))

    def _part(self, reference: Reference) -> Any:
        parts = self.file["parts"]
        if isinstance(reference, list):
            return [parts[place] for place in reference]
        if isinstance(reference, dict):
            return {name: parts[place] for name, place in reference.items()}
        return parts[reference]

    def _check(self) -> None:
        """Raise where a moment is not what the stage draws."""
        file = self.file
        fields = file["fields"]
        if not set(_FIELDS) - set(_LATER) <= set(fields) <= set(_FIELDS) or len(set(fields)) != len(fields):
            raise RunFileError(f"This run is not whole: a moment of it has {', '.join(file['fields'])}. {_NEXT}")
        if not 0 < len(file["moments"]) <= MOST_MOMENTS:
            raise RunFileError(
                f"This run has {len(file['moments']):,} moments; from 1 to {MOST_MOMENTS:,} can be played."
            )
        before: tuple[float, int] = (0.0, 0)
        parts = _Conforming(file["parts"])
        for index, row in enumerate(file["moments"]):
            if why := self._why_bad(row, before, parts):
                raise RunFileError(f"This run is not whole: {why} (moment {index + 1}). {_NEXT}")
            before = row[0], row[1]

    def _why_bad(self, row: list[Any], before: tuple[float, int], parts: _Conforming) -> str:
        if len(row) != len(self.file["fields"]) + 2 or why_unlike(row[0], float) or why_unlike(row[1], int):
            return "a moment is not its seconds, its events and its parts"
        if not all(0 <= place < len(self.file["parts"]) for place in _places(row[2:])):
            return "a moment names a part that there is not"
        if row[0] < before[0] or row[1] < before[1]:
            return "a moment comes before the one that it follows"
        reasons = (
            (name, parts.why_unlike(name, each)) for name, each in zip(self.file["fields"], row[2:], strict=True)
        )
        return next((f"its {name}: {reason}" for name, reason in reasons if reason), "")

    def _without_idle_parts(self) -> SavedRun:
        """Return it without what no moment names, of which nobody knows what it is."""
        used = {place for row in self.file["moments"] for place in _places(row[2:])}
        parts = [part if place in used else None for place, part in enumerate(self.file["parts"])]
        return SavedRun({**self.file, "parts": parts})


_NEXT = "Save the run anew, or get the file once more."


#: Half of a character, as JSON may write it; no text has it by itself.
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_LARGEST = 2**53  # a browser counts no further


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number")
    return value


def _whole_number(text: str) -> int:
    if len(text) > len(str(_LARGEST)) + 1 or abs(int(text)) > _LARGEST:
        raise ValueError(f"{text[:20]} is larger than any number in a run")
    return int(text)


def _places(references: list[Any]) -> Iterator[Any]:
    """Yield the places in the parts that a moment names; -1 for what is none."""
    for reference in references:
        if isinstance(reference, dict):
            places = list(reference.values())
        else:
            places = reference if isinstance(reference, list) else [reference]
        yield from (place if type(place) is int else -1 for place in places)


def _told_in(value: Any, told: Callable[[str], str]) -> Any:
    """Return a value with each text in it as it may be shown."""
    if isinstance(value, str):
        return told(value)
    if isinstance(value, list):
        return [_told_in(each, told) for each in value]
    if isinstance(value, dict):
        return {name: _told_in(each, told) for name, each in value.items()}
    return value


class _Conforming:
    """Whether parts are what their fields say; each is looked at once, however many moments name it."""

    _HINTS: Final = typing.get_type_hints(Recorded)

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts
        self._known: dict[tuple[str, bool, int], str] = {}

    def why_unlike(self, field: str, reference: Reference) -> str:
        """Return in a few words how a field differs from its type, ``""`` if it does not."""
        hint = self._HINTS[field]
        kind = typing.get_origin(hint)
        if isinstance(reference, int):
            return self._why(field, reference, hint, alone=True)
        if kind is not type(reference):
            return f"there is a {type(reference).__name__} of parts"
        if field == "ends" and not set(ENDS) <= set(reference):
            return f"it has {', '.join(map(str, reference))[:200] or 'none'}"
        places = reference.values() if isinstance(reference, dict) else reference
        inner = typing.get_args(hint)[-1]
        return next(filter(None, (self._why(field, place, inner, alone=False) for place in places)), "")

    def _why(self, field: str, place: int, hint: Any, *, alone: bool) -> str:
        key = (field, alone, place)
        if key not in self._known:
            self._known[key] = why_unlike(self._parts[place], hint)
        return self._known[key]


class _Parts:
    """The parts of moments, each once."""

    def __init__(self, told: Callable[[str], str]) -> None:
        self.values: list[Any] = []
        self._told = told
        self._places: dict[str, int] = {}
        self._last: dict[tuple[str, object], tuple[Any, int]] = {}

    def references(self, shown: Recorded) -> Iterator[Reference]:
        """Yield where each field of a moment stands."""
        for field in _FIELDS:
            value: Any = shown[field]  # type: ignore[literal-required]  # they are its own
            if isinstance(value, list):
                yield [self._place((field, index), each) for index, each in enumerate(value)]
            elif isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
                yield {name: self._place((field, name), each) for name, each in value.items()}
            else:
                yield self._place((field, None), value)

    def _place(self, where: tuple[str, object], value: Any) -> int:
        # Nine of ten are as they were a moment ago, which is seen at once; there they are of the same type, too.
        last = self._last.get(where)
        if last is not None and last[0] == value:
            return last[1]
        place = self._place_of(value)
        self._last[where] = value, place
        return place

    def _place_of(self, value: Any) -> int:
        key = repr(value)  # tells 1 from True, and is made faster than JSON
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(_told_in(value, self._told))
        return self._places[key]
