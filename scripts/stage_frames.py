"""Make what JavaScript knows of a frame from Python: its types, and frames to test with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from stage_scenes import scenes

from workq_helpers.stage import frame

__all__ = ["declare", "made", "main", "types"]

ROOT = Path(__file__).resolve().parents[1]
TYPES = "workq_helpers/stage/js/frame.d.ts"
FRAMES = "tests/js/frames.json"

HEADER = (
    "// What Python sends for each moment. Made from workq_helpers/stage/frame.py by `make bundle`: change it there.\n"
)

_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}


def main() -> int:
    """Write both files."""
    for name, text in made().items():
        (ROOT / name).write_text(text, encoding="utf-8")
    return 0


def made() -> dict[str, str]:
    """Return the text of each file, by its name from the root of the project."""
    return {TYPES: types(), FRAMES: _as_json(scenes())}


def _as_json(scenes: Mapping[str, object]) -> str:
    """Return a scene a line, so that a change shows where it is."""
    lines = (f"{json.dumps(name)}: {json.dumps(scene)}" for name, scene in scenes.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def types() -> str:
    """Return TypeScript's declaration of everything in `workq_helpers.stage.frame`."""
    return "\n".join([HEADER, *(_declaration(name, getattr(frame, name)) for name in frame.__all__)])


def _declaration(name: str, value: Any) -> str:
    if not is_typeddict(value):
        return f"export type {name} = {declare(value)};\n"
    fields = [f"  {field}: {declare(hint)};\n" for field, hint in get_type_hints(value).items()]
    return f"export interface {name} {{\n{''.join(fields)}}}\n"


def declare(hint: Any) -> str:
    """Return a type of Python's as one of TypeScript's."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_typeddict(hint):
        return hint.__name__
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(json.dumps(each) for each in arguments)
    if origin is UnionType:
        return " | ".join(map(declare, arguments))
    if origin is list:
        return f"{declare(arguments[0])}[]"
    if origin is dict and arguments[0] is str:
        return f"Record<string, {declare(arguments[1])}>"
    raise TypeError(f"No type of JavaScript's is known for {hint!r}. Add it to scripts/stage_frames.py.")


if __name__ == "__main__":
    sys.exit(main())
