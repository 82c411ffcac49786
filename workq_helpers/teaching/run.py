"""`Run`: what a learner's callback did with one delivery, step by step."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from workq_helpers.clients import pace
from workq_helpers.teaching.calls import Call, Calls
from workq_helpers.teaching.function import made_by_calling
from workq_helpers.teaching.patience import Effort
from workq_helpers.teaching.threads import at_work_in, begun_since, waits_for_a_job
from workq_helpers.text import decoded

if TYPE_CHECKING:
    from workq_helpers.clients.worker import Callback

__all__ = ["Run", "Runs"]

_SETTLING = ("basic_ack", "basic_nack", "basic_reject")

#: Who pauses so many times as long as the dots say, and some seconds more, does not come to an end.
_TIMES, _MORE_SECONDS = 4, 15.0

#: What is not quite as long as the dots say is long enough: clocks have grains.
_ENOUGH = 0.95


class Run:
    """One call of a callback.

    Args:
        task: The text of the message.
        tag: The delivery tag.
        function: The learner's function.
        alone: Whether nobody else is at work.
    """

    def __init__(self, task: str, tag: int, function: object, alone: Callable[[], bool] = lambda: False) -> None:
        self.task = task
        self.tag = tag
        self.dots = task.count(".")
        self._steps = 0
        # Whoever sleeps in a way of their own sleeps for real seconds.
        self._effort = functools.partial(
            Effort, function, self.dots * max(1.0, pace.seconds_per_dot()), lambda: self._steps, alone
        )
        self.effort = self._effort()
        #: Which method settled it; empty if none has.
        self.settled = ""
        #: Whether `work` was begun at all.
        self.began = False
        #: What the function gave back, if that shows that it has not run.
        self.made = ""
        #: Threads that the function has left behind: it may work and acknowledge there.
        self.threads: list[threading.Thread] = []
        self._left_to: dict[threading.Thread, Effort] = {}
        #: Threads, wherever they come from, that `work` on it now.
        self.at_work: set[threading.Thread] = set()
        #: Whether any did.
        self.worked_in_a_thread = False
        self._older = set(threading.enumerate())
        self._unfinished = 0
        self._heard_seconds = 0.0
        self._heard_before = 0.0
        self._seconds_before = math.inf
        self._seconds = math.inf

    @property
    def over(self) -> bool:
        """Whether the callback has come to its end."""
        return self.effort.over

    @property
    def goes_on(self) -> bool:
        """Whether its work goes on, in the callback or in a thread of its own."""
        threads = (thread for thread in self.threads if not waits_for_a_job(thread.ident))
        return not self.over or any(thread.is_alive() for thread in (*self.at_work, *threads))

    def dies_with_it(self, thread: threading.Thread) -> bool:
        """Whether a thread may die as its worker does: it is this run's alone, or one of a pool."""
        return thread not in self._older or thread.name.startswith("ThreadPoolExecutor-")

    @property
    def trouble_in_a_thread(self) -> str:
        """Say why nothing comes of it, if it was left to a thread that waits for what never comes."""
        if self.settled or not self.over or self.at_work:
            return ""
        efforts = (effort for thread, effort in self._left_to.items() if thread.is_alive())
        return next((effort.trouble for effort in efforts if not waits_for_a_job(effort.thread)), "")

    @property
    def heard_seconds(self) -> float:
        """How long it has paused, in `work` or in pika's own sleep."""
        return self._heard_seconds

    @property
    def goes_on_and_on(self) -> bool:
        """Whether it has paused for much longer than its dots say, and has not come to its end."""
        return not self.over and self._heard_seconds > _TIMES * self.dots * pace.seconds_per_dot() + _MORE_SECONDS

    def hear(self, what: Literal["begins", "over"], seconds: float) -> None:
        """Take note of a pause."""
        self.began = True
        self._steps += 1
        self._unfinished += 1 if what == "begins" else -1
        if what == "over":
            self._heard_seconds += seconds

    def settle(self, method: str) -> None:
        """Take note that it is settled, the first time."""
        self._steps += 1
        if not self.settled:
            self.settled, self._heard_before, self._seconds_before = method, self._heard_seconds, self.effort.seconds

    def end(self, result: object) -> None:
        """Take note that the callback has come to its end."""
        self._seconds = self.effort.seconds
        self.made = made_by_calling(result)
        self._left_to = {thread: self._effort(thread=thread.ident) for thread in self.threads if thread.ident}
        self.effort.end()

    @property
    def worked_before(self) -> bool:
        """Whether the work was done before it was settled."""
        elsewhere = self.threads and self._seconds_before >= self.dots * pace.seconds_per_dot() * _ENOUGH
        return bool(elsewhere) or self._is_enough(self._heard_before, min(self._seconds_before, self._seconds))

    @property
    def worked(self) -> bool:
        """Whether the work was done, sooner or later."""
        return self._is_enough(self._heard_seconds, self._seconds)

    @property
    def broken_off(self) -> bool:
        """Whether `work` was begun and did not come to its end."""
        return self._unfinished > 0

    @property
    def size(self) -> str:
        """Say how many dots it has."""
        return f"{self.dots} dot{'' if self.dots == 1 else 's'}"

    @property
    def did(self) -> str:
        """Say how much was heard of the work."""
        each = pace.seconds_per_dot()
        if not self._heard_seconds or not each:
            return "nobody worked"
        return f"the work was for {self._heard_seconds / each:.0f}"

    def _is_enough(self, heard: float, seconds: float) -> bool:
        wanted = self.dots * pace.seconds_per_dot()
        return (self.began and heard >= wanted * _ENOUGH) or seconds >= self.dots * _ENOUGH


class Runs(list[Run]):
    """All calls of callbacks in a trial, in their order.

    Attributes:
        too_early: The tags that were acknowledged when no callback had begun with their deliveries.
        elsewhere: The tasks that a thread settled which is none of their worker's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.too_early: list[int] = []
        self.elsewhere: list[str] = []
        self._before = threading.enumerate()
        #: What is called when the work on a run begins.
        self._accidents: dict[Run, Callable[[Run], object]] = {}

    def current(self) -> Run | None:
        """Return the run that this thread is in; ``None`` if it is in none."""
        return next((run for run in reversed(self) if self.is_in(run)), None)

    def is_in(self, run: Run) -> bool:
        """Whether this thread is in the callback of a run."""
        return run.effort.thread == threading.get_ident() and not run.over

    def hear(self, body: bytes | str, what: Literal["begins", "over"], seconds: float) -> None:
        """Take note of work in a thread which is no worker's: on the last run with that task that waits for it."""
        task = decoded(body)
        here = threading.current_thread()
        meant = [run for run in reversed(self) if run.task == task]
        run = next((run for run in meant if here in run.at_work), None)
        if what == "over" and run is not None:
            run.hear(what, seconds)
            run.at_work.discard(here)
        elif what == "begins" and meant:
            free = [run for run in meant if not (run.settled or run.at_work)] or meant
            run = next((run for run in free if not run.began), free[0])
            run.hear(what, seconds)
            run.at_work.add(here)
            run.worked_in_a_thread = True
            try:
                self._accidents.get(run, _nothing)(run)
            except BaseException:
                run.at_work.discard(here)
                raise

    def _nobody_but(self, mine: Run) -> bool:
        """Whether nobody else is at work, in another callback or in a thread of the learner's."""
        begun = {thread.ident for thread in begun_since(self._before) if not waits_for_a_job(thread.ident)}
        others = (at_work_in(mine.effort.file) | begun) - {
            mine.effort.thread,
            threading.get_ident(),
            threading.main_thread().ident,
        }
        return not (others or mine.at_work or any(run.goes_on for run in self if run is not mine))

    def watched(
        self, callback: Callback, function: object, calls: Calls, at_work: Callable[[Run], object] | None
    ) -> Callback:
        """Return a callback that does the same, and whose calls are noted.

        Args:
            callback: The callback.
            function: The learner's own function in it.
            calls: Where it is noted what its channel is called for.
            at_work: Called with the run whenever it begins to `work`.
        """
        accident = at_work or _nothing
        mine: dict[int, Run] = {}
        owner = ""

        def settled(call: Call) -> None:
            if call.name not in _SETTLING:
                return
            tag, multiple = call.arguments["delivery_tag"], call.arguments.get("multiple", False)
            if call.name == "basic_ack" and isinstance(tag, int) and tag and tag not in mine:
                self.too_early.append(tag)
            for run in list(mine.values()):
                if run.tag == tag and not threading.current_thread().name.startswith(owner):
                    self.elsewhere.append(run.task)
                if run.tag == tag or (multiple and isinstance(tag, int) and (not tag or run.tag <= tag)):
                    run.settle(call.name)

        def watched_callback(ch: Any, method: Any, properties: Any, body: bytes) -> object:
            nonlocal owner
            owner = threading.current_thread().name  # its connection's I/O thread has more of a name
            run = Run(body.decode(errors="replace"), method.delivery_tag, function, lambda: self._nobody_but(run))
            self.append(run)
            self._accidents[run] = accident
            mine[run.tag] = run
            calls.listen(ch, settled)

            def hear(what: Literal["begins", "over"], seconds: float) -> None:
                run.hear(what, seconds)
                if what == "begins":
                    accident(run)

            result: object = None
            try:
                with pace.overhear(hear):
                    result = callback(ch, method, properties, body)
                return result
            finally:
                run.threads = begun_since(self._before)
                run.end(result)

        return watched_callback


def _nothing(_run: Run) -> None:
    """Let it work."""
