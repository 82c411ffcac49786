"""What ends the threads that a learner's function starts: told to the check, not printed with our own lines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ["is_unnamed", "overhear_deaths"]


def is_unnamed(thread: threading.Thread) -> bool:
    """Whether a thread has the name that Python gives it; those of the course have names of their own."""
    return thread.name.startswith("Thread-")


@contextlib.contextmanager
def overhear_deaths(raised: list[str]) -> Iterator[None]:
    """Note which errors end threads without a name of their own that begin meanwhile, though they may end later.

    Args:
        raised: Gets them.
    """
    usual, before = threading.excepthook, set(threading.enumerate())
    left: set[threading.Thread] | None = None

    def hear(args: threading.ExceptHookArgs) -> None:
        thread = args.thread
        if thread is None or not is_unnamed(thread) or (thread in before if left is None else thread not in left):
            usual(args)
        else:
            raised.append(f"{args.exc_type.__name__}: {args.exc_value}")

    threading.excepthook = hear
    try:
        yield
    finally:
        left = set(filter(is_unnamed, threading.enumerate())) - before
        if not left:
            threading.excepthook = usual
