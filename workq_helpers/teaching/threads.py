"""What ends the threads that a learner's function starts: told to the check, not printed with our own lines."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterable, Iterator

from workq_helpers.clients.pace import WorkerKilled
from workq_helpers.text import worded

__all__ = ["begun_since", "overhear_deaths"]


def begun_since(before: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that a learner's function has begun and left behind, which are alive."""
    known = set(before)
    return [each for each in threading.enumerate() if _is_unnamed(each) and each not in known]


def _is_unnamed(thread: threading.Thread) -> bool:
    """Whether a thread has the name that Python gives it; those of the course have names of their own."""
    return thread.name.startswith("Thread-")


class _Hook:
    """What `threading.excepthook` is, from the beginning of a trial to the end of the last thread that it left."""

    def __init__(self, raised: list[str]) -> None:
        self.usual = threading.excepthook
        self._raised = raised
        self._before = weakref.WeakSet(threading.enumerate())
        self._left: weakref.WeakSet[threading.Thread] | None = None

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        thread, error = args.thread, args.exc_value
        if thread is None or error is None or isinstance(error, SystemExit) or not self._is_heard(thread):
            self.usual(args)
            return
        if not isinstance(error, WorkerKilled):  # the check's own accident
            self._raised.append(worded(error))
        _take_away_what_is_over()

    def _is_heard(self, thread: threading.Thread) -> bool:
        return thread in self._left if self._left is not None else _is_unnamed(thread) and thread not in self._before

    def end(self) -> None:
        """Hear of nobody from now on but those that are left."""
        self._left = weakref.WeakSet(begun_since(self._before))

    def is_over(self) -> bool:
        """Whether nobody is left, but perhaps the thread that ends just now."""
        left = self._left
        return left is not None and not any(each.is_alive() for each in left if each is not threading.current_thread())


def _take_away_what_is_over() -> None:
    while isinstance(hook := threading.excepthook, _Hook) and hook.is_over():
        threading.excepthook = hook.usual


@contextlib.contextmanager
def overhear_deaths(raised: list[str]) -> Iterator[None]:
    """Note which errors end threads without a name of their own that begin meanwhile, though they may end later."""
    _take_away_what_is_over()
    hook = threading.excepthook = _Hook(raised)
    try:
        yield
    finally:
        hook.end()
        _take_away_what_is_over()
