"""`Reason`: where one can see why something is not so yet."""

from __future__ import annotations

from typing import NamedTuple

from IPython import display

from workq_helpers import pictures
from workq_helpers.log.details import ProgramOptions
from workq_helpers.log.events import EventLog

__all__ = ["Reason"]

#: As wide as a text column beside the stage, in pixels.
_WIDTH = 520


class Reason(NamedTuple):
    """What the workers did, as a small timeline."""

    log: EventLog
    since_seconds: float = 0.0

    def html(self) -> str:
        """Return the timeline for a notebook; ``""`` where nobody whom it could show got anything."""
        kinds = {event.kind for event in self.log if event.seconds >= self.since_seconds}
        programs = any(isinstance(event.detail, ProgramOptions) for event in self.log)
        # Of what a cell took by itself nobody sees when it works on it.
        if ("delivered" if programs else "started") not in kinds:
            return ""
        picture = pictures.timeline.timeline(self.log, since_seconds=self.since_seconds)
        return f'<p class="workq-reason">{picture.html(_WIDTH)}</p>'

    def show(self) -> None:
        """Show it in the cell that runs, if there is anything to see."""
        html = self.html()
        if html:
            display.display(display.HTML(html))
