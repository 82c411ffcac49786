"""Interrupts that wait: what an interrupted import leaves can't be imported again.

Python forgets a module whose import fails, and keeps those that it had imported by then; numpy refuses to be loaded a
second time. So a kernel that is interrupted at its first `Lesson()`, as people do who wait for it, could have no lesson
any more. Here an interrupt that comes while the course imports something is put off until that is there.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType, ModuleType

__all__ = ["defer_while_importing", "deferred"]


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Put an interrupt that comes in this block off until its end; blocks may be in one another."""
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or former is None:
        yield  # no interrupt comes to this thread, or to none
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if came:
            signal.raise_signal(signal.SIGINT)


def defer_while_importing(package: str) -> None:
    """Put interrupts off while a module of a package is imported, and whatever that imports."""
    sys.meta_path.insert(0, _Finder(package))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a package's modules where they are, for a loader that is not interrupted."""

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(self._prefix):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with deferred():
            super().exec_module(module)
