"""`Reason`: where one can see why something is not so yet."""

from __future__ import annotations

from typing import NamedTuple

from IPython import display

from workq_helpers import pictures
from workq_helpers.log.events import EventLog

__all__ = ["Reason"]

#: As wide as a text column beside the stage, in pixels.
_WIDTH = 520


class Reason(NamedTuple):
    """What the workers did, as a small timeline."""

    log: EventLog
    since_seconds: float = 0.0

    def html(self) -> str:
        """Return the timeline for a notebook; ``""`` where no worker got anything."""
        if all(event.kind != "delivered" or event.seconds < self.since_seconds for event in self.log):
            return ""
        picture = pictures.timeline.timeline(self.log, since_seconds=self.since_seconds)
        return f'<p class="workq-reason">{picture.html(_WIDTH)}</p>'

    def show(self) -> None:
        """Show it in the cell that runs, if there is anything to see."""
        html = self.html()
        if html:
            display.display(display.HTML(html))
