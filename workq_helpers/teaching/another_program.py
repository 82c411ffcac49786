"""`as_another_program`: a learner's function as another process would have it, with a memory of its own."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

__all__ = ["Memory", "as_another_program"]

_CONTAINERS = (dict, list, set, deque, bytearray)


class Memory:
    """What a function keeps outside its calls: globals it names, what it closes over, and its own defaults.

    Attributes:
        altered: Names of what it has changed since it was copied.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, str]] = {}
        self._bound: list[tuple[dict[str, Any], str, object]] = []

    def keep(self, name: str, value: object) -> object:
        """Return a copy of a container or of an object of the notebook's own class; anything else as it is."""
        if not (isinstance(value, _CONTAINERS) or type(value).__module__ == "__main__"):
            return value
        try:
            copied = copy.deepcopy(value)
            self._kept[name] = copied, _content(copied)
        except Exception:  # noqa: BLE001 - what can't be copied is shared, as before
            return value
        return copied

    def watch(self, names: dict[str, Any], name: str) -> None:
        """Watch whether a name gets another value, as ``global`` lets it have."""
        self._bound.append((names, name, names[name]))

    @property
    def altered(self) -> list[str]:
        """Names of what has changed since it was copied."""
        changed = [name for name, (value, before) in self._kept.items() if _content(value) != before]
        return changed + [name for names, name, first in self._bound if names.get(name) is not first]


def as_another_program(function: Any) -> tuple[Callable[..., object], Memory]:
    """Return a function that does the same and shares no memory with the one it comes from.

    Args:
        function: A learner's; what is no plain function, method, `functools.partial` or object of the notebook's own
            is returned as it is.

    Returns:
        The function, and what it remembers outside its calls.
    """
    if isinstance(function, functools.partial):
        return _partial(function)
    memory = Memory()
    if isinstance(function, MethodType):
        owner = _copied_object(function.__self__, memory)
        return getattr(owner, function.__name__, MethodType(function.__func__, owner)), memory
    if isinstance(function, FunctionType):
        return _Names(function.__globals__, memory).copied(function), memory
    return _copied_object(function, memory), memory


def _copied_object(value: Any, memory: Memory) -> Any:
    """Return a copy of an object of the notebook's own class, with a class of its own."""
    copied: Any = memory.keep("self", value)
    call = getattr(type(value), "__call__", None)  # noqa: B004 - the names that its code knows
    if copied is not value and isinstance(call, FunctionType):
        own = _Names(call.__globals__, memory).copied_class(type(value))
        with contextlib.suppress(TypeError):  # with slots it can't change its class
            copied.__class__ = own
    return copied


def _partial(function: functools.partial[Any]) -> tuple[Callable[..., object], Memory]:
    inner, memory = as_another_program(function.func)
    names = list(inspect.signature(function.func).parameters)
    given = [memory.keep(name, value) for name, value in zip(names, function.args, strict=False)]
    by_keyword = {name: memory.keep(name, value) for name, value in function.keywords.items()}
    return functools.partial(inner, *given, *function.args[len(given) :], **by_keyword), memory


class _Names:
    """A notebook's names, of which those that a function uses are copied with it."""

    def __init__(self, original: dict[str, Any], memory: Memory) -> None:
        self.own = dict(original)
        self.memory = memory
        self._original = original
        self._seen: set[str] = set()
        self._copies: dict[FunctionType, FunctionType] = {}

    def copied(self, function: FunctionType) -> FunctionType:
        """Return a copy of a function of the notebook's."""
        if function in self._copies:
            return self._copies[function]
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        copied = FunctionType(
            code,
            self.own,
            function.__name__,
            tuple(map(self.memory.keep, parameters[len(parameters) - len(defaults) :], defaults)),
            tuple(map(self._copied_cell, code.co_freevars, function.__closure__ or ())),
        )
        self._copies[function] = copied
        self._copy_what_is_used(code)
        copied.__kwdefaults__ = {k: self.memory.keep(k, value) for k, value in (function.__kwdefaults__ or {}).items()}
        for name, value in vars(function).items():  # a function may keep things as its own attributes
            setattr(copied, name, self.memory.keep(f"{function.__name__}.{name}", value))
        return copied

    def copied_class(self, original: type) -> type:
        """Return a class that does the same, and shares neither what it keeps itself nor what its methods use."""
        own = {
            name: self.copied(value) if isinstance(value, FunctionType) else self.memory.keep(name, value)
            for name, value in vars(original).items()
            if isinstance(value, (FunctionType, *_CONTAINERS))
        }
        return type(original.__name__, (original,), own)

    def _copy_what_is_used(self, code: CodeType) -> None:
        for name in (set(_names_in(code)) & self._original.keys()) - self._seen:
            self._seen.add(name)
            self.own[name] = self._kept(name, self._original[name])
            self.memory.watch(self.own, name)

    def _copied_cell(self, name: str, cell: CellType) -> CellType:
        return CellType(self._kept(name, cell.cell_contents)) if _is_full(cell) else cell

    def _kept(self, name: str, value: Any) -> object:
        if isinstance(value, FunctionType) and value.__globals__ is self._original:
            return self.copied(value)  # such as the function below a decorator
        if isinstance(value, functools._lru_cache_wrapper):
            return functools.lru_cache(**value.cache_parameters())(self._kept(name, value.__wrapped__))  # type: ignore[arg-type]  # a function
        return self.memory.keep(name, value)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)


def _is_full(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _content(value: object) -> str:
    return repr(value) if isinstance(value, _CONTAINERS) else repr(getattr(value, "__dict__", value))
