"""`PYTHON_SETTINGS`: Python's variables in the user's environment, which `workq` of a checkout does without."""

from __future__ import annotations

import os
import sys

__all__ = ["PYTHON_SETTINGS", "pass_on_nothing_that_is_ignored"]

#: Those that this process ignored; they are nowhere else any more.
PYTHON_SETTINGS: dict[str, str] = {}

#: What changes neither what Python imports nor what it says.
_HARMLESS = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})


def pass_on_nothing_that_is_ignored() -> None:
    """Take out what this Python was told to ignore: kernels, programs and a supervisor started here do without, too."""
    if sys.flags.ignore_environment:
        for name in [name for name in os.environ if name.startswith("PYTHON") and name not in _HARMLESS]:
            PYTHON_SETTINGS[name] = os.environ.pop(name)
