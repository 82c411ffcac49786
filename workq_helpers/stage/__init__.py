"""The stage: a live view of the lesson's RabbitMQ in the notebook, with controls.

Data flows one way: the log → `Scene`, up to the moment that the `Playhead` shows → a frame → the widget,
whose JavaScript only draws it. What a learner presses comes back as a command and becomes a `Call`: the
Python that does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from workq_helpers.stage import saving
    from workq_helpers.stage.run_player import RunPlayer
    from workq_helpers.stage.stage import Stage

__all__ = ["RunPlayer", "Stage", "saving"]

# Imported when first asked for: widgets take a second, and not every program that opens a lesson shows its stage.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submodules=["saving"], submod_attrs={"run_player": ["RunPlayer"], "stage": ["Stage"]}
)
