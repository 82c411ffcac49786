"""`HelpButtons`: *Hint* and *Solution*, below an exercise that is not solved yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import ipywidgets

from workq_helpers.teaching import widgets

__all__ = ["HelpButtons"]


class _Shown(Protocol):
    """What a notebook shows as HTML."""

    def _repr_html_(self) -> str: ...


class HelpButtons:
    """Two buttons and what they showed.

    They do what the lesson's text says how to type, so where there are no widgets nothing is missing.
    """

    def __init__(self, hint: Callable[[], _Shown], solution: Callable[[], _Shown]) -> None:
        self.hint = ipywidgets.Button(description="Hint", tooltip="Show the next hint")
        self.solution = ipywidgets.Button(description="Solution", tooltip="Show code that passes the check")
        self.shown = ipywidgets.HTML()
        self.hint.on_click(lambda _: self._show(hint()))
        self.solution.on_click(lambda _: self._show(solution()))

    def _show(self, what: _Shown) -> None:
        self.shown.value = what._repr_html_()

    def widget(self) -> Any:
        """Return the buttons as one ipywidget."""
        return widgets.form([ipywidgets.HBox([self.hint, self.solution]), self.shown])

    def show(self) -> None:
        """Show them below the cell that runs, and nothing where there are no widgets."""
        widgets.show_alone(self.widget())
