"""`Lanes`: what a learner asked for, done in the background in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["Lanes"]


class Lanes:
    """Runs jobs in threads: those of one lane one after another, lanes beside each other.

    A lane's thread lives for as long as the lane has jobs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, deque[Callable[[], None]]] = {}
        self._threads: dict[str, threading.Thread] = {}

    def run(self, lane: str, job: Callable[[], None]) -> None:
        """Do `job` after those that the lane holds already, and return at once."""
        with self._lock:
            if lane in self._jobs:
                self._jobs[lane].append(job)
                return
            self._jobs[lane] = deque([job])
            thread = threading.Thread(target=self._work, args=(lane,), name=f"stage: {lane}", daemon=True)
            self._threads[lane] = thread
        thread.start()

    def drop(self, timeout: float) -> None:
        """Forget the jobs that have not begun, and wait for those that have, for `timeout` seconds at most."""
        with self._lock:
            for jobs in self._jobs.values():
                jobs.clear()
            threads = list(self._threads.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _work(self, lane: str) -> None:
        while True:
            with self._lock:
                jobs = self._jobs[lane]
                if not jobs:
                    del self._jobs[lane], self._threads[lane]
                    return
                job = jobs.popleft()
            job()
