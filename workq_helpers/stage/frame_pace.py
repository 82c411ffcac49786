"""`FramePace`: when the next frame may go to the browser."""

from __future__ import annotations

import json

from workq_helpers.stage.frame import Frame

__all__ = ["FRAME_SECONDS", "FramePace", "frame_seconds"]

#: At most ten frames a second: more would run into Jupyter's limit on messages, and no eye needs them.
FRAME_SECONDS = 0.1

#: Jupyter drops what comes faster than a million bytes a second; the rest is for what else a notebook says.
FRAME_BYTES_A_SECOND = 800_000


#: So many may go at once after a pause, or a press: what was pressed, who begins to do it, and what comes of that.
FRAMES_AT_ONCE = 3


class FramePace:
    """Lets ten frames a second go, and some at once after a pause, and when something was pressed."""

    def __init__(self) -> None:
        self._due_seconds = 0.0

    def sent(self, frame: Frame, at_seconds: float) -> None:
        """Take note of a frame, and when it was begun, on a monotonic clock."""
        self._due_seconds = max(self._due_seconds, at_seconds - (FRAMES_AT_ONCE - 1) * FRAME_SECONDS)
        self._due_seconds += frame_seconds(frame)

    def pressed(self, at_seconds: float) -> None:
        """Take note that the learner did something: what comes of that need not wait for what went before."""
        self._due_seconds = min(self._due_seconds, at_seconds - (FRAMES_AT_ONCE - 1) * FRAME_SECONDS)

    def wait_seconds(self, now_seconds: float) -> float:
        """Return how long the next one has to wait."""
        return max(0.0, self._due_seconds - now_seconds)


def frame_seconds(frame: Frame) -> float:
    """Return the share of the time that a frame takes: the larger, the longer."""
    size = len(json.dumps(frame, ensure_ascii=False).encode())
    return max(FRAME_SECONDS, size / FRAME_BYTES_A_SECOND)
