"""A forked child: it gets a copy of everything that its parent has, with every exit hook, and ends nothing of it.

`os.fork` and multiprocessing copy a process with its lessons, its connections and its programs. What reaches out of the
process says here how a child lets go of it; what is to happen at the end of a process asks `unless_forked`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Inherited", "abandon_in_children", "let_go", "unless_forked"]


class Inherited(Protocol):
    """Something that reaches out of its process, and so is its parent's alone in a forked child."""

    def abandon(self) -> None:
        """Let go of it in a forked child, without a word to anybody; no other thread runs there."""


_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()


def abandon_in_children(thing: Inherited) -> None:
    """Have every child that is forked from now on let go of a thing; nothing is to be done when it ends."""
    _inherited.add(thing)


def let_go(number: int) -> None:
    """Close a forked child's copy of an open file, and keep its number: whoever has that closes it once more later.

    Args:
        number: The file's; -1 is none, as of what is closed already.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    with contextlib.suppress(OSError):
        os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def unless_forked(function: Callable[..., Any]) -> Callable[..., None]:
    """Return the function as this process alone calls it: in a forked child it does nothing."""
    process = os.getpid()

    @functools.wraps(function)
    def call(*arguments: Any, **more: Any) -> None:
        if os.getpid() == process:
            function(*arguments, **more)

    return call


def _abandon_all() -> None:
    for thing in list(_inherited):
        thing.abandon()
    _inherited.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which knows no fork
    os.register_at_fork(after_in_child=_abandon_all)
