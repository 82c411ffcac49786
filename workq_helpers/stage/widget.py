"""`StageWidget`: the stage in the browser, which draws frames and sends back what is pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workq_helpers.stage.still import HIDDEN_BESIDE_A_LIVE_STAGE

__all__ = ["StageWidget"]

_HERE = Path(__file__).parent


class StageWidget(anywidget.AnyWidget):
    """Shows `frame`, and sends commands as custom messages.

    Attributes:
        frame: What to draw, whole: a frame that was lost on the way is made good by the next one.
    """

    # As text: given as a path, anywidget watches the file and keeps every instance alive.
    _esm = (_HERE / "stage.js").read_text(encoding="utf-8")
    _css = (_HERE / "stage.css").read_text(encoding="utf-8") + HIDDEN_BESIDE_A_LIVE_STAGE

    frame: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
