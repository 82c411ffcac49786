"""What ends the threads that a learner's function starts: told to the check, not printed with our own lines."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterable, Iterator

from workq_helpers.clients.pace import WorkerKilled
from workq_helpers.teaching.step import frames_of
from workq_helpers.text import worded

__all__ = ["at_work_in", "begun_since", "is_unnamed", "overhear_deaths", "waits_for_a_job"]

#: How Python names threads that are given no name; those of the course have names of their own.
_PYTHONS_NAME = "Thread-"
_UNNAMED = (_PYTHONS_NAME, "ThreadPoolExecutor-", "asyncio_")

#: In which function of which module a thread waits for somebody to give it a job.
_WAITING_FOR_A_JOB = (("queue", "get"), ("concurrent.futures.thread", "_worker"))


def begun_since(before: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that a learner's function has begun and left behind, which are alive."""
    known = set(before)
    return [each for each in threading.enumerate() if is_unnamed(each) and each not in known]


def is_unnamed(thread: threading.Thread) -> bool:
    """Whether a thread has the name that Python gives it; those of the course have names of their own."""
    return thread.name.startswith(_UNNAMED)


def waits_for_a_job(thread: int | None) -> bool:
    """Whether a thread has nothing to do, as one of a pool or at the end of a queue."""
    for frame in frames_of(thread or 0):
        module = frame.f_globals.get("__name__")
        if module != "threading":
            return (module, frame.f_code.co_name) in _WAITING_FOR_A_JOB
    return False


def at_work_in(file: str) -> set[int]:
    """Return which threads are in the middle of a function of a file, or of a cell."""
    threads = {thread.ident for thread in threading.enumerate() if thread.ident is not None}
    busy = (thread for thread in threads if not waits_for_a_job(thread))
    return {thread for thread in busy if any(frame.f_code.co_filename == file for frame in frames_of(thread))}


class _Hook:
    """What `threading.excepthook` is, from the beginning of a trial to the end of the last thread that it left."""

    def __init__(self, raised: list[str]) -> None:
        self.usual = threading.excepthook
        self._raised = raised
        self._before = weakref.WeakSet(threading.enumerate())
        self._left: weakref.WeakSet[threading.Thread] | None = None

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        thread, error = args.thread, args.exc_value
        if isinstance(error, WorkerKilled):  # the check's own accident
            _take_away_what_is_over()
            return
        if thread is None or error is None or isinstance(error, SystemExit) or not self._is_heard(thread):
            self.usual(args)
            return
        self._raised.append(worded(error))
        _take_away_what_is_over()

    def _is_heard(self, thread: threading.Thread) -> bool:
        return thread in self._left if self._left is not None else is_unnamed(thread) and thread not in self._before

    def end(self) -> None:
        """Hear of nobody from now on but those that are left."""
        # What ends a job of a pool ends no thread.
        left = (thread for thread in begun_since(self._before) if thread.name.startswith(_PYTHONS_NAME))
        self._left = weakref.WeakSet(left)

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
