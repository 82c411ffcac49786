"""`Run`: what a learner's callback did with one delivery, step by step."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from workq_helpers.clients import pace
from workq_helpers.teaching.calls import Call, Calls
from workq_helpers.teaching.function import made_by_calling
from workq_helpers.teaching.patience import Effort
from workq_helpers.teaching.threads import begun_since

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
    """

    def __init__(self, task: str, tag: int, function: object) -> None:
        self.task = task
        self.tag = tag
        self.dots = task.count(".")
        # Whoever sleeps in a way of their own sleeps for real seconds.
        self._steps = 0
        self.effort = Effort(function, self.dots * max(1.0, pace.seconds_per_dot()), lambda: self._steps)
        #: Which method settled it; empty if none has.
        self.settled = ""
        #: Whether `work` was begun at all.
        self.began = False
        #: What the function gave back, if that shows that it has not run.
        self.made = ""
        #: Threads that the function has started and left behind: it may work and acknowledge there.
        self.threads: list[threading.Thread] = []
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
        return not self.over or any(thread.is_alive() for thread in self.threads)

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
    """All calls of callbacks in a trial, in their order."""

    def current(self) -> Run | None:
        """Return the run that this thread is in; ``None`` if it is in none."""
        here = threading.get_ident()
        return next((run for run in reversed(self) if run.effort.thread == here and not run.over), None)

    def watched(
        self, callback: Callback, function: object, calls: Calls, at_work: Callable[[], object] | None
    ) -> Callback:
        """Return a callback that does the same, and whose calls are noted.

        Args:
            callback: The callback.
            function: The learner's own function in it.
            calls: Where it is noted what its channel is called for.
            at_work: Called whenever it begins to `work`.
        """
        mine: dict[int, Run] = {}

        def settled(call: Call) -> None:
            if call.name not in _SETTLING:
                return
            tag, multiple = call.arguments["delivery_tag"], call.arguments.get("multiple", False)
            for run in list(mine.values()):
                if run.tag == tag or (multiple and isinstance(tag, int) and (not tag or run.tag <= tag)):
                    run.settle(call.name)

        def watched_callback(ch: Any, method: Any, properties: Any, body: bytes) -> object:
            run = Run(body.decode(errors="replace"), method.delivery_tag, function)
            self.append(run)
            mine[run.tag] = run
            calls.listen(ch, settled)

            def hear(what: Literal["begins", "over"], seconds: float) -> None:
                run.hear(what, seconds)
                if what == "begins" and at_work is not None:
                    at_work()

            result: object = None
            others = threading.enumerate()
            try:
                with pace.overhear(hear):
                    result = callback(ch, method, properties, body)
                return result
            finally:
                run.threads = begun_since(others)
                run.end(result)

        return watched_callback
