"""Where `workq` prints to: it may be closed, full, or of an encoding that has not every character."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["prepare", "why_unwritten"]


def prepare() -> None:
    """Give this process the three streams that a program expects, and have them take every character."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else what is opened next would get that number, and what is printed; here and in what is started.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - one for as long as this runs
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def why_unwritten() -> str:
    """Return why nothing can be printed any more, ``""`` if something can; what was left to print is given up."""
    try:
        print(flush=True)  # noqa: T201 - the least that can be tried
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for Python, which tries again as it ends
        return error.strerror or type(error).__name__
    return ""
