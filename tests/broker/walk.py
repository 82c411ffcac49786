"""Which modules of the course somebody who reads along is led through, and how often into each."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType

__all__ = ["stays"]

#: What all rooms stand on, and any RabbitMQ: who reads of a broker need not go there.
_GROUND = {
    *("errors", "forks", "hidden", "interrupts", "private_files", "private_folders"),
    *("rabbitmq", "settings", "text", "waiting"),
}


def stays(deed: Callable[[], object]) -> Counter[str]:
    """Do something in this thread, and return how often each module was entered that was not being read already."""
    found: Counter[str] = Counter()
    stack: list[str] = []
    known: set[FrameType] = set()  # a generator goes on where it was

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            module = _module(frame)
            if module and module not in stack and frame not in known:
                found[module] += 1
            known.add(frame)
            stack.append(module)
        elif event == "return" and stack:
            stack.pop()

    sys.setprofile(note)
    try:
        deed()
    finally:
        sys.setprofile(None)
    return found


def _module(frame: FrameType) -> str:
    name = str(frame.f_globals.get("__name__", ""))
    package, _, module = name.partition(".")
    if package != "workq_helpers" or _is_class_or_module(frame.f_code) or module.split(".")[0] in _GROUND:
        return ""
    return module


def _is_class_or_module(code: CodeType) -> bool:
    return not code.co_flags & inspect.CO_OPTIMIZED
