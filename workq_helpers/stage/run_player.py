"""`RunPlayer`: a saved run in a notebook, on a stage without levers."""

from __future__ import annotations

import anywidget
import traitlets

from workq_helpers.stage.run_page import PLAYER_CSS, PLAYER_JS, packed, run_line
from workq_helpers.stage.saved_run import SavedRun

__all__ = ["RunPlayer"]


class RunPlayer(anywidget.AnyWidget):
    """Plays a run in the browser; once it is shown it needs no kernel."""

    _esm = PLAYER_JS
    _css = PLAYER_CSS

    packed = traitlets.Unicode().tag(sync=True)

    def __init__(self, run: SavedRun) -> None:
        super().__init__(packed=packed(run))
        self._line = run_line(run)

    def __repr__(self) -> str:
        return f"<RunPlayer: {self._line}>"
