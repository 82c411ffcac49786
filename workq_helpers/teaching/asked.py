"""`well_asked`: what a notebook calls with arguments that make no sense is answered with a sentence."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog
from workq_helpers.text import shown

__all__ = ["well_asked"]

P = ParamSpec("P")
T = TypeVar("T")


def well_asked(method: Callable[P, T]) -> Callable[P, T]:
    """Return a method that looks at what it is given first: a `lesson` has a log, and nothing is missing."""
    signature, name = inspect.signature(method), method.__name__
    takes = [each.name for each in signature.parameters.values() if each.default is each.empty][1:]
    how = f"Call {name}({', '.join(takes)}), as the notebook has it."

    @functools.wraps(method)
    def call(*args: P.args, **named: P.kwargs) -> T:
        try:
            given = signature.bind(*args, **named).arguments
        except TypeError as error:
            raise InvalidArgumentError(f"{name} can't be called like that ({error}). {how}") from None
        lesson = given.get("lesson")
        if "lesson" in given and not isinstance(lesson, EventLog) and not hasattr(lesson, "log"):
            raise InvalidArgumentError(f"{name} was given {shown(lesson)} in the place of the lesson. {how}")
        return method(*args, **named)

    return call
