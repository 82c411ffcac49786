"""`short_pauses`: whoever tries again after a pause shows the same when the pauses are short."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import SupportsIndex

__all__ = ["short_pauses"]

_LONGEST_SECONDS = 0.005


@contextlib.contextmanager
def short_pauses() -> Iterator[None]:
    """Have `time.sleep` come back soon in the thread that enters this block, and its clocks go on as if it had not."""
    sleep, time_, monotonic, here = time.sleep, time.time, time.monotonic, threading.get_ident()
    skipped = 0.0

    def pause(seconds: float | SupportsIndex, /) -> None:
        nonlocal skipped
        given = seconds
        if threading.get_ident() == here and isinstance(seconds, int | float) and seconds > _LONGEST_SECONDS:
            given = _LONGEST_SECONDS
            skipped += seconds - given
        sleep(given)

    def ahead(clock: Callable[[], float]) -> Callable[[], float]:
        return lambda: clock() + (skipped if threading.get_ident() == here else 0.0)

    time.sleep, time.time, time.monotonic = pause, ahead(time_), ahead(monotonic)
    try:
        yield
    finally:
        time.sleep, time.time, time.monotonic = sleep, time_, monotonic
