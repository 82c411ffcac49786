"""`with_short_pauses`: whoever tries again after a pause shows the same when the pauses are short."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

from workq_helpers.teaching.function import written

__all__ = ["with_short_pauses"]

_LONGEST_SECONDS = 0.005


def with_short_pauses(function: Callable[..., object]) -> Callable[..., object]:
    """Return what does the same, but whose pauses come back soon, and its clocks go on as if they had not.

    It pauses by `time.sleep`, by whichever name it has that, or waits for some time for an event that nobody else could
    set.

    Args:
        function: The learner's.
    """
    names = getattr(written(function), "__globals__", {})

    def call(*arguments: Any, **named: Any) -> object:
        with _short_pauses(names):
            return function(*arguments, **named)

    return call


@contextlib.contextmanager
def _short_pauses(names: dict[str, Any]) -> Iterator[None]:
    """Have the thread that enters this block pause for a short time only.

    Args:
        names: Those of the learner's notebook.
    """
    here, others, wait = threading.get_ident(), set(threading.enumerate()), threading.Event.wait
    skipped = 0.0

    def shorter(seconds: float) -> float:
        nonlocal skipped
        skipped += max(seconds - _LONGEST_SECONDS, 0.0)
        return min(seconds, _LONGEST_SECONDS)

    def pause(seconds: float | SupportsIndex, /) -> None:
        is_here = threading.get_ident() == here and isinstance(seconds, int | float)
        sleep(shorter(seconds) if is_here else seconds)  # type: ignore[arg-type]  # a number, if it is here

    def wait_in_vain(event: threading.Event, timeout: float | None = None) -> bool:
        is_here = threading.get_ident() == here and sys._getframe(1).f_globals is names
        if timeout is None or event.is_set() or not is_here or {*threading.enumerate()} - others:
            return wait(event, timeout)
        return wait(event, shorter(timeout))

    def ahead(clock: Callable[[], float]) -> Callable[[], float]:
        return lambda: clock() + (skipped if threading.get_ident() == here else 0.0)

    sleep, clocks = time.sleep, (time.time, time.monotonic, time.perf_counter)
    instead: list[tuple[object, object]] = [(sleep, pause), *((clock, ahead(clock)) for clock in clocks)]
    event: Any = threading.Event
    event.wait = wait_in_vain
    try:
        with _replaced(vars(time), instead), _replaced(names, instead):
            yield
    finally:
        event.wait = wait


@contextlib.contextmanager
def _replaced(names: dict[str, Any], instead: list[tuple[object, object]]) -> Iterator[None]:
    """Have some names mean something else, as long as nobody else gives them a meaning."""
    found = [(name, old, new) for name, value in names.items() for old, new in instead if value is old]
    names.update({name: new for name, _, new in found})
    try:
        yield
    finally:
        names.update({name: old for name, old, new in found if names.get(name) is new})
