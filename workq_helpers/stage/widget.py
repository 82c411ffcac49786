"""`StageWidget`: the stage in the browser, which draws frames and sends back what is pressed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import anywidget
import traitlets

from workq_helpers.pictures.palette import DARK_THEME
from workq_helpers.stage.frame import Frame
from workq_helpers.stage.still import HIDDEN_BESIDE_A_LIVE_STAGE
from workq_helpers.stage.subshells import take_where_sent

__all__ = ["StageWidget"]

#: Made from the modules in `js` and `css` by ``make bundle``.
_BUNDLE = Path(__file__).parent / "bundle"


class StageWidget(anywidget.AnyWidget):
    """Shows `frame`, and sends commands as custom messages.

    Attributes:
        frame: What to draw, whole: a frame that was lost on the way is made good by the next one.
    """

    # As text: given as a path, anywidget watches the file and keeps every instance alive.
    _esm = (_BUNDLE / "stage.js").read_text(encoding="utf-8")
    _css = (_BUNDLE / "stage.css").read_text(encoding="utf-8") + HIDDEN_BESIDE_A_LIVE_STAGE + DARK_THEME

    def __init__(self) -> None:
        super().__init__()
        take_where_sent(self.comm)

    frame = cast("traitlets.TraitType[Frame, Frame]", traitlets.Dict().tag(sync=True))
