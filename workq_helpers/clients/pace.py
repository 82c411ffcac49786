"""`work`: the pretended work of a task, a second for every dot, and what can interrupt it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep  # their own: a learner's cell may put others in their place
from typing import Literal

from workq_helpers.hidden import ENVIRON
from workq_helpers.settings import seconds_of

__all__ = ["Pace", "WorkerKilled", "overhear", "overhear_others", "pause", "seconds_per_dot", "work"]

_here = threading.local()

Tell = Callable[[Literal["begins", "over"], float], object]
TellOf = Callable[[bytes | str, Literal["begins", "over"], float], object]

#: Who hears of work in threads that are no worker's.
_listeners: list[TellOf] = []


class WorkerKilled(BaseException):
    """Unwinds a killed worker's callback; not an `Exception`, so that ``except Exception`` lets it pass."""


def seconds_per_dot() -> float:
    """Return how long a dot of work takes, in seconds.

    Raises:
        InvalidArgumentError: ``WORKQ_SECONDS_PER_DOT`` is not a number of seconds.
    """
    return seconds_of("WORKQ_SECONDS_PER_DOT", ENVIRON.get("WORKQ_SECONDS_PER_DOT", "1.0"), "1.0")


def work(body: bytes | str) -> None:
    """Pretend to work on a task: one second for every dot in its body.

    Args:
        body: The message body, as a callback gets it. ``WORKQ_SECONDS_PER_DOT`` scales the second.
    """
    dots = body.count(b".") if isinstance(body, bytes) else body.count(".")
    pause(dots * seconds_per_dot(), body)


def pause(seconds: float, task: bytes | str | None = None) -> None:
    """Sleep, as a worker's callback may: frozen with its worker, and ended with it.

    Args:
        seconds: How long.
        task: What it works on, if it works.
    """
    pace: Pace | None = getattr(_here, "pace", None)
    tell: Tell | None = getattr(_here, "tell", None)
    if tell is None:
        tell = _nothing if pace is not None or task is None else functools.partial(_tell_listeners, task)
    tell("begins", seconds)
    if pace is None:
        sleep(seconds)
    else:
        pace.rest(seconds)
    tell("over", seconds)


@contextlib.contextmanager
def overhear(tell: Tell) -> Iterator[None]:
    """Tell of each pause that this thread makes in this block, as it begins and when it is over.

    Args:
        tell: Called with "begins" or "over", and the length of the pause in seconds.
    """
    _here.tell = tell
    try:
        yield
    finally:
        _here.tell = None


@contextlib.contextmanager
def overhear_others(tell: TellOf) -> Iterator[None]:
    """Tell of the work in threads that are no worker's, as it begins and when it is over.

    Args:
        tell: Called in that thread with the body, and then as `overhear` has it.
    """
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


def _tell_listeners(task: bytes | str, what: Literal["begins", "over"], seconds: float) -> None:
    for tell in list(_listeners):
        tell(task, what, seconds)


def _nothing(_what: str, _seconds: float) -> None:
    """Tell nobody."""


class Pace:
    """Lets a worker's thread sleep, freezes it and ends it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frozen = False
        self._killed = False

    @property
    def frozen(self) -> bool:
        """Whether the worker is frozen."""
        return self._frozen

    @property
    def killed(self) -> bool:
        """Whether the worker was killed."""
        return self._killed

    def enter(self) -> None:
        """Make `work` in this thread follow this pace."""
        _here.pace = self

    def freeze(self) -> None:
        """Have the worker hang at its next point of work."""
        self._set(frozen=True)

    def thaw(self) -> None:
        """Let it go on."""
        self._set(frozen=False)

    def kill(self) -> None:
        """End it: whatever waits here raises `WorkerKilled`, now and later."""
        self._set(killed=True)

    def _set(self, *, frozen: bool | None = None, killed: bool | None = None) -> None:
        with self._changed:
            self._frozen = self._frozen if frozen is None else frozen
            self._killed = self._killed if killed is None else killed
            self._changed.notify_all()

    def check(self) -> None:
        """Wait while frozen.

        Raises:
            WorkerKilled: The worker was killed.
        """
        if self._frozen or self._killed:
            self.rest(0)

    def rest(self, seconds: float) -> None:
        """Sleep; time spent frozen does not count.

        Raises:
            WorkerKilled: The worker was killed, before or meanwhile.
        """
        deadline = monotonic() + seconds
        with self._changed:
            while True:
                if self._killed:
                    raise WorkerKilled
                if self._frozen:
                    began = monotonic()
                    self._changed.wait()
                    deadline += monotonic() - began
                    continue
                remaining = deadline - monotonic()
                if remaining <= 0:
                    return
                self._changed.wait(remaining)
