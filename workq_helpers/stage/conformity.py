"""`why_unlike`: whether what came from outside is what a type says."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, is_typeddict

__all__ = ["why_unlike"]


def why_unlike(value: object, hint: Any) -> str:
    """Return in a few words how a value differs from its type, ``""`` if it does not.

    Args:
        value: What JSON held.
        hint: A TypedDict, or what the fields of one may be: a list or dict of such, a union, a literal or a plain type.
    """
    if is_typeddict(hint):
        return _why_unlike_fields(value, hint)
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return ""
    if origin in (Union, types.UnionType):
        reasons = [why_unlike(value, each) for each in inner]
        return "" if "" in reasons else reasons[0]
    if origin is Literal:
        return "" if value in inner and type(value) in {type(each) for each in inner} else _told(value)
    if origin is list:
        return _why_unlike_items(value, inner[0])
    if origin is dict:
        return _why_unlike_items(list(value.values()) if isinstance(value, Mapping) else None, inner[1])
    plain = (int, float) if hint is float else type(None) if hint is None else hint
    return "" if isinstance(value, plain) and (hint is bool or not isinstance(value, bool)) else _told(value)


@cache
def _fields(hint: Any) -> dict[str, Any]:
    return typing.get_type_hints(hint)


def _why_unlike_fields(value: object, hint: Any) -> str:
    fields = _fields(hint)
    if not isinstance(value, dict):
        return _told(value)
    if value.keys() != fields.keys():
        return f"it has the fields {', '.join(map(str, value))[:200] or 'none'}"
    reasons = ((name, why_unlike(value[name], inner)) for name, inner in fields.items())
    return next((f"its {name}: {reason}" for name, reason in reasons if reason), "")


def _why_unlike_items(value: object, hint: Any) -> str:
    if not isinstance(value, list):
        return _told(value)
    return next(filter(None, (why_unlike(each, hint) for each in value)), "")


def _told(value: object) -> str:
    shown = repr(value)
    return f"there is {shown if len(shown) <= 40 else shown[:39] + '…'}"
