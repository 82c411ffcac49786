"""How long a learner's function may take: `Effort` measures it, `call_with_patience` calls it, `interrupt` ends it.

What never comes back either spins, which its processor time tells whatever else the machine does, or waits: for
RabbitMQ, which may be slow, or by itself. Whoever gets something done in between has time again.
"""

from __future__ import annotations

import contextlib
import ctypes
import linecache
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any

import pika

from workq_helpers.clients import pika_private
from workq_helpers.errors import CheckFailedError
from workq_helpers.teaching.function import endless_loops, written
from workq_helpers.teaching.step import Step, Wait, frames_of, step_of
from workq_helpers.text import worded
from workq_helpers.waiting import wait_until

__all__ = ["AnswerError", "Effort", "Interrupted", "Tries", "call_with_patience", "interrupt", "undisturbed"]

_here = threading.local()

#: What spins for so long does not come back; a right answer that opens twenty connections needs a tenth of it, and slow
#: machines take several times as long. In seconds.
_SPIN_SECONDS = 2.0

#: What waits for so long, beside the work it has, waits for something that never comes. In seconds.
_WAIT_SECONDS = 12.0

#: The same for what waits by itself and says no end, when nobody else can be slow.
_IDLE_SECONDS = 2.0

#: The same for what waits again and again, and for what has pika wait for whatever comes.
_IDLE_SECONDS_IN_PIECES = 3.0
_IDLE_SECONDS_IN_PIKA = 4.0

#: How long nobody may have looked for what it did meanwhile to count as waiting, if it has moved.
_LOOK_SECONDS = 0.25

#: The same for what is in a loop which nothing leaves: it may yet meet an error, which says more.
_SECONDS_IN_A_LOOP = 0.5

#: Between two looks no more than this counts, in seconds: a process that was stopped, or whose machine slept, has not
#: waited meanwhile.
_MOST_BETWEEN_LOOKS = 1.0

#: What goes on for so long goes on for ever, whatever it gets done. In seconds.
_MOST_SECONDS = 60.0

#: Who tries so often in vain goes on for ever, and who does so some times, for so many seconds: a right answer may try
#: a dozen times without a pause, or some times with pauses that grow.
_MOST_TRIES, _SOME_TRIES, _TRYING_SECONDS = 200, 10, 12.0

#: How long what was interrupted may take to end, in seconds; what takes longer is given up.
_LAST_SECONDS = 0.3


class Interrupted(BaseException):
    """Ends a learner's function; not an `Exception`, so that it is not caught there."""


class AnswerError(Exception):
    """What a learner's function raised, apart from what is raised around it.

    Args:
        error: It may be anything, also what would end a program.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(worded(error))
        self.error = error


class Tries:
    """What is tried again and again, so far in vain."""

    def __init__(self) -> None:
        self.count = 0
        self._began = 0.0

    def one_more(self) -> bool:
        """Take note of another one, and say whether they have no end."""
        now = time.monotonic()
        self._began = self._began or now
        self.count += 1
        return self.count > _MOST_TRIES or (self.count > _SOME_TRIES and now - self._began > _TRYING_SECONDS)


class Effort:
    """What a call takes. Make it in the thread that makes the call; any thread may ask.

    Args:
        function: What is called.
        seconds: How long it may work, beside what it may wait.
        progress: Says what it has done so far; after any change it may wait again.
        alone: Whether nobody else is at work, who could give it what it waits for.
        thread: One that the call has left behind, if that is meant, and not the call.
    """

    def __init__(
        self,
        function: object,
        seconds: float = 0.0,
        progress: Callable[[], object] = lambda: None,
        alone: Callable[[], bool] = lambda: False,
        thread: int | None = None,
    ) -> None:
        self.thread = thread or threading.get_ident()
        self._code: CodeType | None = getattr(written(function), "__code__", None)
        self._work = seconds
        self._progress, self._alone = progress, alone
        self._done: object = None
        #: When it got something done, in seconds from its beginning; since then how long it waited by itself, in
        #: whatever says an end.
        self._done_at = self._idle = 0.0
        #: How often it has tried to connect, since it was let in or got something done.
        self._knocks = 0
        #: Where it was when somebody looked, since when, and when that was.
        self._step: Step | None = None
        self._step_began = self._looked_at = 0.0
        self._loops = endless_loops(function) if thread is None else []  # a thread may serve for ever
        self._lost_at: float | None = None
        #: What counts of the time that it takes, and how long it took when somebody asked last.
        self._counted = self._asked_at = 0.0
        self._began = time.monotonic()
        # Of a thread that may have ended nobody can ask for its clock.
        has_clock = thread is None and hasattr(time, "pthread_getcpuclockid")
        self._clock = time.pthread_getcpuclockid(self.thread) if has_clock else None
        self._spent = self._processor_seconds()
        self._ending = threading.Lock()
        self._undisturbed = self._is_ours = False
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
        self._step = None  # a frame keeps all that is in it
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
    def undisturbed(self, *, ours: bool = True) -> Iterator[None]:
        """Put an interrupt off to the end of this block, in the thread that makes the call.

        Args:
            ours: Whether it is the course that is at work there, so that its time does not count.
        """
        if self._undisturbed:
            yield  # inside another one
            return
        began, spent = time.monotonic(), self._processor_seconds()
        with self._ending:
            self._undisturbed, self._is_ours = True, ours
        try:
            _checkpoint()
            yield
        finally:
            with self._ending:
                if ours:
                    self._began += time.monotonic() - began
                    self._spent += self._processor_seconds() - spent
                self._undisturbed, self._is_ours = False, False
                put_off, self._put_off = self._put_off, None
            if put_off is not None:
                raise put_off

    @property
    def file(self) -> str:
        """The file that the function is in; empty if that can't be told."""
        return self._code.co_filename if self._code else ""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    @property
    def is_lost(self) -> bool:
        """Whether it is in a loop of its own which nothing leaves."""
        outermost = list(self._own_frames())[-1:]  # who has called an inner one may catch what it raises
        return any(loop.holds(frame) for frame in outermost for loop in self._loops)

    @property
    def trouble(self) -> str:
        """Say that it will not come back, and where it is; empty as long as it may."""
        if self.over or self._is_ours:
            return ""
        asked_at, self._asked_at = self._asked_at, self.seconds
        self._counted += min(self._asked_at - asked_at, _MOST_BETWEEN_LOOKS)
        if (done := self._progress()) != self._done:
            self._done = done
            self.got_on()
        if self._has_been_lost():
            return f"is in a loop that nothing leaves: it still runs{self._where()}, and does not come back"
        if self._knocks > _MOST_TRIES:
            return f"has tried to connect {self._knocks} times in vain{self._where()}, and does not come back"
        wait = self._look()
        if wait is not None and (wait.seconds or 0.0) > self._work + _WAIT_SECONDS:
            return f"waits for {wait.seconds:,.0f} s{self._where()}"
        spins = self._processor_seconds() - self._spent >= _SPIN_SECONDS
        waited = self._counted - self._done_at >= self._work + _WAIT_SECONDS
        waited = waited or self._counted >= self._work + _MOST_SECONDS
        if spins or waited or (wait is not None and self._is_idle(wait)):
            return f"still runs after {self.seconds:.0f} s{self._where()}, and does not come back"
        return ""

    def got_on(self) -> bool:
        """Take note that it has got something done: from now on it may wait again; return whether it was not ours."""
        self._done_at = self._counted
        self._do_not_only_wait()
        self._knocks = 0
        return not self._is_ours

    def knock(self) -> None:
        """Take note that it tries to connect: who does so again and again in vain pauses in between."""
        self._do_not_only_wait()
        self._knocks += 1

    def _do_not_only_wait(self) -> None:
        self._step_began, self._idle = self._counted, 0.0

    def _look(self) -> Wait | None:
        """Take note of where it is, and return what it waits for there by itself, if it does."""
        step, now = step_of(self.thread), self._counted
        wait = None if step is None or self._code is None else step.wait(self._code)
        passed, stays = now - self._looked_at, step == self._step
        if not stays:
            self._step_began = now
        if wait is not None and (wait.is_for_pika or wait.seconds is not None):
            self._idle += passed if stays else min(passed, _LOOK_SECONDS)
        self._step, self._looked_at = None if self.over else step, now  # over by now: nobody looks again
        return wait

    def _has_been_lost(self) -> bool:
        """Whether it has been lost for a while."""
        if self._lost_at is None and self.is_lost:
            self._lost_at = self._counted
        return self._lost_at is not None and self._counted - self._lost_at >= _SECONDS_IN_A_LOOP

    def _is_idle(self, wait: Wait) -> bool:
        if wait.is_for_pika:
            return self._idle >= self._work + max(_IDLE_SECONDS_IN_PIKA, 2 * (wait.seconds or 0.0))
        if wait.seconds is None:
            waited = self._looked_at - self._step_began - _IDLE_SECONDS
            return waited >= self._work or (waited >= 0.0 and wait.is_for_others and self._alone())
        return self._idle >= self._work + max(_IDLE_SECONDS_IN_PIECES, 2 * wait.seconds)

    def _processor_seconds(self) -> float:
        if self._clock is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return 0.0

    def _where(self) -> str:
        """Name the innermost line of the file that the function is in."""
        for frame in self._own_frames():
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            return f" in the line: {line}" if line else ""
        return ""

    def _own_frames(self) -> Iterator[FrameType]:
        """Yield the frames that are in the function's own file, from the innermost."""
        return (frame for frame in frames_of(self.thread) if frame.f_code.co_filename == self.file)


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
    progress: Callable[[], object] = lambda: None,
) -> object:
    """Call a learner's function in a thread of its own, and return what it returns.

    Args:
        function: The function.
        *arguments: Its arguments.
        name: What it is called.
        give_up: Called when it does not come back and can't be ended, to take away what it waits for.
        about: The learner's own function, if this one only passes on to it.
        progress: Says what it has done so far, as `Effort` has it.

    Raises:
        CheckFailedError: It does not come back, or the check itself has ended it.
        AnswerError: It raised something.
    """
    outcome: list[object] = []
    raised: list[BaseException] = []
    efforts: list[Effort] = []
    done = threading.Event()
    made = weakref.WeakSet[pika.BlockingConnection]()

    def call() -> None:
        effort = _here.effort = Effort(about or function, progress=progress)
        efforts.append(effort)
        try:
            try:
                with _connections_made_or_not(made):
                    outcome.append(function(*arguments))
            finally:
                effort.end()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            raised.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=call, name=f"exercise: {name}", daemon=True)
    try:
        thread.start()
        while not done.wait(0.1):
            if efforts and (trouble := efforts[0].trouble):
                raise CheckFailedError(f"{name} {trouble}. It has to return before anything else can go on.")
    finally:
        if not done.is_set() and efforts:
            _end(efforts[0], give_up, made)
    thread.join()
    for error in raised:
        if isinstance(error, CheckFailedError):
            raise error
        raise AnswerError(error) from error
    return outcome[0]


def _end(effort: Effort, give_up: Callable[[], object], made: Iterable[pika.BlockingConnection]) -> None:
    """End a call, and what it leaves open."""
    if not interrupt(effort):
        give_up()
        for connection in list(made):
            pika_private.cut(connection._impl)
        if not interrupt(effort):
            return
    for connection in list(made):
        if not connection.is_closed:  # it may be in the middle of closing
            pika_private.discard(connection)


@contextlib.contextmanager
def _connections_made_or_not(made: weakref.WeakSet[pika.BlockingConnection]) -> Iterator[None]:
    """Keep the interrupt out of the making of a connection: in the middle of it pika would leave sockets open.

    Args:
        made: Gets the connections that the learner's function makes.
    """
    make = pika.BlockingConnection.__init__

    def make_undisturbed(connection: pika.BlockingConnection, *arguments: Any, **named: Any) -> None:
        here: Effort | None = getattr(_here, "effort", None)
        if here is None:
            make(connection, *arguments, **named)
            return
        with here.undisturbed(ours=False):
            here.knock()
            make(connection, *arguments, **named)
            if here.got_on():
                made.add(connection)

    theirs: Any = pika.BlockingConnection
    theirs.__init__ = make_undisturbed
    try:
        yield
    finally:
        theirs.__init__ = make


def _checkpoint() -> None:
    """Let a pending interrupt out: Python looks for one at every call."""
