"""How the finding of a broker is shown where nobody asked for anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from workq_helpers.broker.server import Progress
from workq_helpers.interrupts import deferred

__all__ = ["Shown", "shown", "spoken"]

_STEPS = 5  # of a download that is told in words


def spoken(tell: Callable[[str], None]) -> Progress:
    """Return a progress that tells everything in words, a download in a few lines."""
    last = ("", -1)

    def progress(text: str, done: int = 0, total: int = 0) -> None:
        nonlocal last
        step = (text, done * _STEPS // total if total else 0)
        if step == last:
            return
        last = step
        tell(f"{text}: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else text)

    return progress


@contextlib.contextmanager
def shown(tell: Callable[[str], None] | None) -> Iterator[Progress]:
    """Have steps told in words, or shown as a bar where nobody wants to be told."""
    if tell is not None:
        yield spoken(tell)
        return
    with Shown() as bar:
        yield bar


class Shown:
    """A progress bar, in a notebook or a terminal, that appears only if there is something to wait for."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._text = ""

    def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
        """Show one step."""
        if self._bar is None or bool(total) != bool(self._bar.total) or (total and text != self._text):
            self.close()
            self._bar = self._new_bar(total)
        self._text = text
        self._bar.set_description_str(text.splitlines()[0][:200], refresh=False)
        if total:
            self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away; idempotent."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _new_bar(total: int) -> Any:
        # It imports IPython's widgets in a notebook, and whoever finds a broker that runs is shown no bar.
        with deferred():
            from tqdm import auto  # noqa: PLC0415

        class Bar(auto.tqdm):  # type: ignore[type-arg]  # not subscriptable where its notebook form is chosen
            monitor_interval = 0  # else a thread of tqdm's own outlives the bar

        # None: not where standard error is a file or a pipe, in which every refresh would stay.
        if total:
            return Bar(total=total, unit="B", unit_scale=True, leave=False, disable=None)
        return Bar(bar_format="{desc} {elapsed}", leave=False, disable=None)
