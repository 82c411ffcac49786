"""`Console`: what one worker printed, as in a terminal of its own.

`print` in a background thread would land in whichever cell runs at that moment. While a worker's thread is
captured, what it writes to ``sys.stdout`` and ``sys.stderr`` goes to the worker's console instead; every
other thread writes where it always did.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from workq_helpers.text import printable

__all__ = ["Console"]

#: A console keeps its last lines only, so that a worker that prints for hours needs no more memory.
KEPT_LINES = 10_000

_here = threading.local()

#: What has those threads print into it that have no console, while somebody listens to them.
_listening: list[tuple[Callable[[threading.Thread], bool], Console]] = []


class Console:
    """The last lines of what a worker printed.

    Shown, they steer no terminal, whatever was in a message; `text` and `lines` are what was printed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque(maxlen=KEPT_LINES)
        self._unfinished = (0.0, "")
        #: Grows with every write, so that a reader sees whether there is something new.
        self.writes = 0

    def write(self, text: str) -> int:
        """Append text, as a file would."""
        with self._lock:
            now = self._clock()
            *complete, unfinished = (self._unfinished[1] + text).split("\n")
            self._lines.extend((now, line) for line in complete)
            self._unfinished = (now, unfinished)
            self.writes += 1
        return len(text)

    @property
    def lines(self) -> list[str]:
        """The lines so far, without their line ends; the last may be unfinished."""
        return [line for _, line in self.written]

    def tail(self, count: int, until_seconds: float = math.inf) -> list[str]:
        """Return the last lines, `count` at most, of those written by a moment."""
        with self._lock:
            newest_first = itertools.chain([self._unfinished] if self._unfinished[1] else [], reversed(self._lines))
            written = (line for seconds, line in newest_first if seconds <= until_seconds)
            return list(itertools.islice(written, count))[::-1]

    @property
    def written(self) -> list[tuple[float, str]]:
        """The lines so far, each with when it was written, on its clock; the last may be unfinished."""
        with self._lock:
            return [*self._lines, self._unfinished] if self._unfinished[1] else list(self._lines)

    @property
    def text(self) -> str:
        """The lines so far as one string."""
        return "\n".join(self.lines)

    @contextlib.contextmanager
    def capture(self) -> Iterator[None]:
        """Send what this thread prints here, for as long as the context lasts."""
        _route_standard_streams()
        _here.console = self
        try:
            yield
        finally:
            _here.console = None

    @contextlib.contextmanager
    def capture_others(self, among: Callable[[threading.Thread], bool]) -> Iterator[None]:
        """Send what other threads print here, for as long as the context lasts.

        Args:
            among: Says of a thread that has no console whether it is meant.
        """
        _route_standard_streams()
        listener = among, self
        _listening.append(listener)
        try:
            yield
        finally:
            _listening.remove(listener)

    def __repr__(self) -> str:
        return printable(self.text, lines=True)


class _Router:
    """Stands in for a standard stream and sends what a captured thread writes to its console."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write: Callable[[str], int] | None = None

    @property
    def write(self) -> Callable[[str], int]:
        """What writes for the thread that asks.

        IPython puts its own `write` here while a cell runs, and keeps for ever what comes to it. That is for what the
        cell prints, so a captured thread never gets it.
        """
        console = _console()
        if console is not None:
            return console.write
        return self._stream.write if self._write is None else self._write

    @write.setter
    def write(self, write: Callable[[str], int]) -> None:
        self._write = write

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _console() is None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _console() -> Console | None:
    """Return where this thread prints; ``None`` if it prints where it always did."""
    own: Console | None = getattr(_here, "console", None)
    if own is not None or not _listening:
        return own
    return next((console for among, console in list(_listening) if among(threading.current_thread())), None)


_routing = threading.Lock()


def _route_standard_streams() -> None:
    """Put a router before both standard streams, unless one is there.

    It stays: taking it away while another thread prints, or after somebody replaced the stream in turn,
    would do more harm than a router that passes everything on.
    """
    with _routing:
        if not isinstance(sys.stdout, _Router):
            sys.stdout = _Router(sys.stdout)
        if not isinstance(sys.stderr, _Router):
            sys.stderr = _Router(sys.stderr)
