"""`Cells`: which of the notebook's cells runs, as IPython tells it."""

from __future__ import annotations

from collections.abc import Callable

from IPython import get_ipython

__all__ = ["Cells"]


class Cells:
    """Counts the cells that were begun, from now on."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        #: How many were begun.
        self.begun = 0
        #: Whether one runs.
        self.running = False
        if shell := get_ipython():
            shell.events.register("pre_run_cell", self._begin)
            shell.events.register("post_run_cell", self._end)

    def _begin(self, _info: object = None) -> None:
        self.begun += 1
        self.running = True
        self._changed()

    def _end(self, _result: object = None) -> None:
        self.running = False
        self._changed()
