"""How long a learner's function may take: `Effort` measures it, `call_with_patience` calls it, `interrupt` ends it.

What never comes back either spins, which its processor time tells whatever else the machine does, or waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import linecache
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.function import never_ends
from workq_helpers.waiting import wait_until

__all__ = ["Effort", "Interrupted", "call_with_patience", "interrupt", "undisturbed"]

_here = threading.local()

#: What spins for so long at one order does not come back; right answers need a hundredth of it. In seconds.
_SPIN_SECONDS = 2.0

#: What waits for so long, beside the work it has, waits for something that never comes. In seconds.
_WAIT_SECONDS = 12.0

#: The same for a function that has a loop which nothing leaves.
_WAIT_SECONDS_IN_A_LOOP = 2.0

#: How long what was interrupted may take to end, in seconds; what takes longer is given up.
_LAST_SECONDS = 1.0


class Interrupted(BaseException):
    """Ends a learner's function; not an `Exception`, so that it is not caught there."""


class Effort:
    """What a call takes. Make it in the thread that makes the call; any thread may ask.

    Args:
        function: What is called.
        seconds: How long it may work, beside what it may wait.
    """

    def __init__(self, function: object, seconds: float = 0.0) -> None:
        self.thread = threading.get_ident()
        self._function = function
        self._began = time.monotonic()
        self._clock = time.pthread_getcpuclockid(self.thread) if hasattr(time, "pthread_getcpuclockid") else None
        self._spent = self._processor_seconds()
        self._waits = seconds + (_WAIT_SECONDS_IN_A_LOOP if never_ends(function) else _WAIT_SECONDS)
        self._ending = threading.Lock()
        self._undisturbed = False
        self._put_off: type[BaseException] | None = None
        #: Whether the call has come to its end.
        self.over = False

    def end(self) -> None:
        """Take note, in the thread that made the call, that it has come to its end.

        Raises:
            BaseException: An interrupt had been set before, and comes out here: later it would do harm.
        """
        with self._ending:
            self.over = True
        _checkpoint()

    def interrupt(self, error: type[BaseException]) -> None:
        """Make the call raise at its next step that may be disturbed, unless it has come to its end."""
        with self._ending:
            if self._undisturbed:
                self._put_off = error
            elif not self.over:
                thread = ctypes.c_ulong(self.thread)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(error))

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Put an interrupt off to the end of this block, in the thread that makes the call; its time does not count."""
        if self._undisturbed:
            yield  # inside another one
            return
        began, spent = time.monotonic(), self._processor_seconds()
        with self._ending:
            self._undisturbed = True
        try:
            _checkpoint()
            yield
        finally:
            with self._ending:
                self._began += time.monotonic() - began
                self._spent += self._processor_seconds() - spent
                self._undisturbed, put_off, self._put_off = False, self._put_off, None
            if put_off is not None:
                raise put_off

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    @property
    def trouble(self) -> str:
        """Say that it will not come back, and where it is; empty as long as it may."""
        spent = self._processor_seconds() - self._spent
        if self.over or self._undisturbed or (spent < _SPIN_SECONDS and self.seconds < self._waits):
            return ""
        return f"still runs after {self.seconds:.0f} s{self._where()}, and does not come back"

    def _processor_seconds(self) -> float:
        if self._clock is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return 0.0

    def _where(self) -> str:
        """Name the innermost line of the file that the function is in."""
        code = getattr(self._function, "__code__", None)
        frame: FrameType | None = sys._current_frames().get(self.thread)
        while frame is not None and code is not None:
            if frame.f_code.co_filename == code.co_filename:
                line = linecache.getline(code.co_filename, frame.f_lineno).strip()
                return f" in the line: {line}" if line else ""
            frame = frame.f_back
        return ""


def interrupt(effort: Effort, error: type[BaseException] = Interrupted) -> bool:
    """Have a call end, and return whether it did: one that sits in code of C can't be ended, and is given up.

    Args:
        effort: The call's.
        error: What is raised in it, again and again: it may catch the first.
    """

    def is_over() -> bool:
        effort.interrupt(error)
        return effort.over

    return wait_until(is_over, _LAST_SECONDS)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the interrupt of a learner's function out of this block: it is ours, and what is half done would stay so."""
    effort: Effort | None = getattr(_here, "effort", None)
    with contextlib.nullcontext() if effort is None else effort.undisturbed():
        yield


def call_with_patience(
    function: Callable[..., object],
    *arguments: Any,
    name: str,
    give_up: Callable[[], object],
    about: object = None,
) -> object:
    """Call a learner's function in a thread of its own, and return what it returns.

    Args:
        function: The function.
        *arguments: Its arguments.
        name: What it is called.
        give_up: Called when it does not come back and can't be ended, to take away what it waits for.
        about: The learner's own function, if this one only passes on to it.

    Raises:
        CheckFailedError: It does not come back.
        BaseException: Whatever it raised.
    """
    outcome: list[object] = []
    raised: list[BaseException] = []
    efforts: list[Effort] = []
    done = threading.Event()

    def call() -> None:
        effort = _here.effort = Effort(about or function)
        efforts.append(effort)
        try:
            try:
                outcome.append(function(*arguments))
            finally:
                effort.end()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            raised.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=call, name=f"exercise: {name}", daemon=True)
    thread.start()
    try:
        while not done.wait(0.1):
            if efforts and (trouble := efforts[0].trouble):
                raise CheckFailedError(f"{name} {trouble}. It has to return before anything else can go on.")
    finally:
        if not done.is_set() and efforts and not interrupt(efforts[0]):
            give_up()
            interrupt(efforts[0])
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]


def _checkpoint() -> None:
    """Let a pending interrupt out: Python looks for one at every call."""
