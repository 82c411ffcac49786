"""Rounds: every side of a comparison measured in turn, again and again, so that a busy moment hits all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

__all__ = ["Side", "interleaved", "processor_seconds_of"]

#: Measures once and returns the figure.
Side = Callable[[], float]


def interleaved(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Measure all sides once a round; each round begins with another one.

    Args:
        sides: What to measure, by name.
        rounds: How often.

    Returns:
        Each side's figures, in the order of the rounds.
    """
    names = list(sides)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(sides[name]())
    return figures


def processor_seconds_of(function: Callable[[], object]) -> float:
    """Return the processor time that a call takes, without the garbage collector's.

    A call of milliseconds fits between two turns of other programs and one of seconds does not, so time on the clock
    would seem to grow faster than what is measured.
    """
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        function()
        return time.process_time() - begun
    finally:
        gc.enable()
