"""`WorkerEnd`: how and by what a worker ends."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WorkerEnd"]


@dataclass
class WorkerEnd:
    """Written by the worker's `Consumer` alone, and read by its channels.

    Attributes:
        state: "stopped", "killed" or "crashed" from when that is sure; empty before.
        error: By what it crashed.
        gone: Whether the connection is gone for good.
    """

    state: str = ""
    error: BaseException | None = None
    gone: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether its connection ends without a goodbye."""
        return self.state in ("killed", "crashed")

    @property
    def why(self) -> str:
        """What the log says of what the worker held."""
        return f"the worker was {self.state}"
