"""`Source`: one file an exercise, from which its cell in the notebook and its solution are derived.

Everything after the line ``#: cell`` is the solution, as Python. Lines between ``#: solution`` and ``#: end``
are missing from the exercise; lines between ``#: exercise`` and the next mark begin with ``#|`` and stand in
the exercise alone.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

from workq_helpers.errors import InvalidArgumentError

__all__ = ["Source", "derive", "read_source"]

_MARKS = ("#: exercise", "#: solution", "#: end")
_ONLY_EXERCISE = "#|"


class Source(NamedTuple):
    """What is derived from one file."""

    exercise: str
    solution: str


def derive(text: str) -> Source:
    """Derive the exercise and its solution.

    Raises:
        InvalidArgumentError: A mark is missing, unknown or out of place.
    """
    _, found, cell = text.partition("#: cell\n")
    if not found:
        raise InvalidArgumentError("The source of an exercise needs a line '#: cell' before its code.")
    exercise: list[str] = []
    solution: list[str] = []
    part = "#: end"
    for line in cell.rstrip().splitlines():
        bare = line.strip()
        if bare.startswith("#:"):
            if bare not in _MARKS or (bare == part):
                raise InvalidArgumentError(f"{bare!r} is no mark, or out of place. The marks are: {', '.join(_MARKS)}.")
            part = bare
        elif part == "#: exercise":
            if not bare.startswith(_ONLY_EXERCISE):
                raise InvalidArgumentError(f"{bare!r} is part of an exercise alone, so it must begin with '#|'.")
            indent = line[: len(line) - len(line.lstrip())]
            exercise.append((indent + bare.removeprefix(_ONLY_EXERCISE).removeprefix(" ")).rstrip())
        else:
            solution.append(line)
            if part == "#: end":
                exercise.append(line)
    if part != "#: end":
        raise InvalidArgumentError(f"The part that {part!r} begins has no '#: end'.")
    return Source("\n".join(exercise), "\n".join(solution))


def read_source(name: str) -> Source:
    """Return the exercise and the solution of a file below ``lessons``, such as "round_robin/share_the_work"."""
    file = resources.files("workq_helpers").joinpath("lessons", f"{name}.py.txt")
    return derive(file.read_text(encoding="utf-8"))
