"""`Step`: what a thread is at, by which can be told that a learner's function waits for something that never comes.

Where pika or the course wait for RabbitMQ, nobody can know; where the function's own code sits in one call for long, it
waits by itself. A sleep, and what has a timeout, says how long that is.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import math
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import NamedTuple

from workq_helpers.teaching import pauses

__all__ = ["Step", "Wait", "frames_of", "step_of"]

#: Whose code waits for RabbitMQ.
_PATIENT = ("pika", "workq_helpers")

#: What of pika's waits for whatever comes, and not for an answer.
_LISTENING = ("consume", "process_data_events", "sleep", "start_consuming")

#: What takes the longest that it waits as its last argument; `threading` and `queue` come down to these.
_WAITING = ("sleep", "acquire", "join")

#: What a number in a program may be made of, without anything being called.
_NUMBERS = (ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)


class Wait(NamedTuple):
    """What a function waits for by itself.

    Attributes:
        seconds: How long, not a number if it waits for some time; ``None`` if it says no end.
        is_for_pika: Whether it has pika wait for whatever comes.
        is_for_others: Whether only another thread can end it.
    """

    seconds: float | None
    is_for_pika: bool
    is_for_others: bool = False


class Step(NamedTuple):
    """Where a thread is; equal to another one if it has not moved in between.

    Attributes:
        frame: The innermost of Python's frames; kept, or the next one might look the same.
        instruction: The instruction in it.
    """

    frame: FrameType
    instruction: int

    def wait(self, code: CodeType) -> Wait | None:
        """Return what the function with this code waits for by itself; ``None`` where it waits for RabbitMQ's answer.

        By itself it waits in its own code and through libraries, and where it has pika wait for whatever comes.
        """
        patient = listens = False
        for frame in _outwards(self.frame):
            if frame.f_code.co_filename == code.co_filename:
                if listens:
                    return Wait(Step(frame, frame.f_lasti)._seconds(), True)
                return None if patient else self._wait_by_itself()
            if frame.f_globals is vars(pauses):
                continue  # there it sleeps, though for a shorter time
            if frame.f_globals.get("__name__", "").partition(".")[0] in _PATIENT:
                patient = True
                listens = listens or frame.f_code.co_name in _LISTENING
        return None

    def _wait_by_itself(self) -> Wait:
        seconds, call = self._seconds(), self._call()
        return Wait(seconds, False, seconds is None and call is not None and _name(call) == "acquire")

    def _seconds(self) -> float | None:
        """Return for how many seconds it waits there, not a number if it waits for some; ``None`` if it says none."""
        call = self._call()
        given = [] if call is None else [*call.args, *(each.value for each in call.keywords)]
        if call is None or not given or _name(call) not in _WAITING:
            return None
        seconds = self._value(given[-1])
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return math.nan if _name(call) == "sleep" else None
        return float(seconds) if seconds >= 0 else None  # Python's locks wait for -1 seconds where they wait for ever

    def _call(self) -> ast.Call | None:
        """Return the call that it is at, as its file has it."""
        code = self.frame.f_code
        line, last, begin, end = next(itertools.islice(code.co_positions(), self.instruction // 2, None))
        if line is None or last is None:
            return None
        text = "".join(linecache.getline(code.co_filename, number) for number in range(line, last + 1)).encode()
        beyond = len(linecache.getline(code.co_filename, last).encode()) - (end or 0)
        try:
            node = ast.parse(text[begin : len(text) - beyond].decode(), mode="eval").body
        except (SyntaxError, UnicodeDecodeError):
            return None
        return node if isinstance(node, ast.Call) else None

    def _value(self, node: ast.expr) -> object:
        """Return the value of what calls nothing: a number, a name, or ``module.name``; ``None`` of all else."""
        plain = node.value if isinstance(node, ast.Attribute) else node
        if not all(isinstance(each, _NUMBERS) for each in ast.walk(plain)):
            return None
        try:
            text = ast.unparse(node)
            return eval(text, self.frame.f_globals, self.frame.f_locals)  # noqa: S307 - their own, and nothing is called
        except Exception:  # noqa: BLE001 - it may be anything, and then it is no number
            return None


def frames_of(thread: int) -> Iterator[FrameType]:
    """Yield the frames that a thread is in, from the innermost; none if it has ended."""
    return _outwards(sys._current_frames().get(thread))


def step_of(thread: int) -> Step | None:
    """Return where a thread is; ``None`` if it has ended."""
    frame = sys._current_frames().get(thread)
    return None if frame is None else Step(frame, frame.f_lasti)


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
