"""`Accident`: a worker's death at a chosen point of its callback."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from workq_helpers.clients.pace import pause
from workq_helpers.errors import WaitTimeoutError

if TYPE_CHECKING:
    from workq_helpers.session import Session

__all__ = ["Accident"]

#: Longer than anybody waits: a callback that halts ends with its worker.
_HALT_SECONDS = 3600.0


class Accident:
    """A point in a callback at which the first worker that comes to it is killed; later ones pass.

    Args:
        lesson: Whose newest worker is killed.
    """

    def __init__(self, lesson: Session) -> None:
        self._lesson = lesson
        self._reached = threading.Event()

    @property
    def happened(self) -> bool:
        """Whether a worker has come to it."""
        return self._reached.is_set()

    def __call__(self) -> None:
        """Halt here, the first time, until `strike`; to be called in a callback."""
        if not self._reached.is_set():
            self._reached.set()
            pause(_HALT_SECONDS)

    def strike(self, timeout: float = 60.0) -> str:
        """Wait until a worker has come to it, kill that worker, and return its name.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: None came.
        """
        if not self._reached.wait(timeout):
            raise WaitTimeoutError(f"No worker came to this accident within {timeout} seconds. Was an order sent?")
        worker = self._lesson.workers[-1]
        worker.kill()
        return worker.name
