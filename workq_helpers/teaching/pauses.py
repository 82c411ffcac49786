"""`with_short_pauses`: whoever tries again after a pause shows the same when the pauses are short."""

from __future__ import annotations

import contextlib
import datetime
import queue
import select
import selectors
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any

from workq_helpers.teaching.function import written

__all__ = ["with_short_pauses"]

_LONGEST_SECONDS = 0.005

#: What learners read the time from, with how many of its units a second has.
_CLOCKS = {
    time.time: 1,
    time.monotonic: 1,
    time.perf_counter: 1,
    time.time_ns: 10**9,
    time.monotonic_ns: 10**9,
    time.perf_counter_ns: 10**9,
}

#: What passes on to a wait for a condition; `threading.Event` and `queue.Queue` do.
_ON_THE_WAY = ("threading", "queue")


def with_short_pauses(function: Callable[..., object]) -> Callable[..., object]:
    """Return what does the same, but whose pauses come back soon, and its clocks go on as if they had not.

    It pauses by `time.sleep`, by whichever name it has that, or it waits for some time for what nobody could give it:
    for no file, for an event, a queue or asyncio when no other thread is there.

    Args:
        function: The learner's.
    """
    names = getattr(written(function), "__globals__", {})

    def call(*arguments: Any, **named: Any) -> object:
        with _short_pauses(names):
            return function(*arguments, **named)

    return call


class _Pause:
    """What a thread does instead of waiting.

    Args:
        names: Those of the learner's notebook.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._thread = threading.get_ident()
        self._others = set(threading.enumerate())
        #: How much longer it would have waited.
        self.skipped = 0.0

    def shorter(self, seconds: float) -> float:
        """Return for how long to wait instead, and let the clocks have the rest."""
        self.skipped += max(seconds - _LONGEST_SECONDS, 0.0)
        return min(seconds, _LONGEST_SECONDS)

    @property
    def ahead(self) -> float:
        """How far this thread's clocks are ahead, in seconds."""
        return self.skipped if self.is_here else 0.0

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that pauses."""
        return threading.get_ident() == self._thread

    def is_in_vain(self, caller: FrameType | None) -> bool:
        """Whether a wait is the learner's own, and nobody is there to end it."""
        while caller is not None and caller.f_globals.get("__name__") in _ON_THE_WAY:
            caller = caller.f_back
        return caller is not None and caller.f_globals is self._names and self.is_alone

    @property
    def is_alone(self) -> bool:
        """Whether this is the thread that pauses, and none has begun since that could end a wait."""
        return self.is_here and {*threading.enumerate()} <= self._others


@contextlib.contextmanager
def _short_pauses(names: dict[str, Any]) -> Iterator[None]:
    """Have the thread that enters this block pause for a short time only.

    Args:
        names: Those of the learner's notebook.
    """
    pause = _Pause(names)
    modules: tuple[ModuleType, ...] = (time, datetime, select, threading, queue)
    methods: tuple[tuple[type, str, Any], ...] = (
        (threading.Condition, "wait", _wait_for_a_condition(pause)),
        (selectors.DefaultSelector, "select", _wait_for_a_selector(pause)),
    )
    instead = [
        (time.sleep, _sleep(pause)),
        (select.select, _select(pause)),
        (datetime.datetime, _datetime(pause)),
        *((clock, _clock(pause, clock, units)) for clock, units in _CLOCKS.items()),
    ]
    with contextlib.ExitStack() as stack:
        for kind, name, method in methods:
            stack.callback(setattr, kind, name, getattr(kind, name))
            setattr(kind, name, method)
        for each in (*map(vars, modules), names):
            stack.enter_context(_replaced(each, instead))
        yield


def _sleep(pause: _Pause) -> Callable[..., object]:
    sleep = time.sleep

    def short(seconds: Any, /) -> None:
        sleep(pause.shorter(seconds) if pause.is_here and isinstance(seconds, int | float) else seconds)

    return short


def _select(pause: _Pause) -> Callable[..., object]:
    wait = select.select

    def short(read: Any, write: Any, error: Any, timeout: float | None = None, /) -> object:
        if timeout is not None and pause.is_here and not (read or write or error):
            timeout = pause.shorter(timeout)
        return wait(read, write, error, timeout)

    return short


def _wait_for_a_condition(pause: _Pause) -> Callable[..., object]:
    wait = threading.Condition.wait

    def short(condition: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is not None and timeout > 0 and pause.is_in_vain(sys._getframe(1)):
            timeout = pause.shorter(timeout)
        return wait(condition, timeout)

    return short


def _wait_for_a_selector(pause: _Pause) -> Callable[..., object]:
    wait = selectors.DefaultSelector.select

    def short(selector: Any, timeout: float | None = None) -> object:
        # asyncio wakes itself up through the only file that it watches then, and from other threads alone.
        if timeout is not None and timeout > 0 and pause.is_alone and len(selector.get_map()) <= 1:
            timeout = pause.shorter(timeout)
        return wait(selector, timeout)

    return short


def _clock(pause: _Pause, clock: Callable[[], float], units: int) -> Callable[[], float]:
    return lambda: clock() + type(clock())(pause.ahead * units)


def _datetime(pause: _Pause) -> type[datetime.datetime]:
    class Ahead(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return super().now(tz) + datetime.timedelta(seconds=pause.ahead)

        @classmethod
        def utcnow(cls) -> Any:
            return super().now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=pause.ahead)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    Ahead.__name__ = Ahead.__qualname__ = "datetime"
    return Ahead


@contextlib.contextmanager
def _replaced(names: dict[str, Any], instead: Sequence[tuple[object, object]]) -> Iterator[None]:
    """Have some names mean something else, as long as nobody else gives them a meaning."""
    found = [(name, old, new) for name, value in names.items() for old, new in instead if value is old]
    names.update({name: new for name, _, new in found})
    try:
        yield
    finally:
        names.update({name: old for name, old, new in found if names.get(name) is new})
