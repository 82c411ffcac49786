"""What the processes of worker.py say of themselves: the log sees their connections, and not their work."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from workq_helpers.clients.program import Program
    from workq_helpers.session import Session

__all__ = ["ProgramReport", "program_reports", "read_program_reports"]

_AGAIN = " (again)"
_LINE = re.compile(r" \[x\] (Received|Done) (.*)")


class ProgramReport(NamedTuple):
    """A line in which a program tells of a task.

    Attributes:
        program: The program.
        deed: "Received" or "Done".
        task: The task.
        again: Whether the broker had marked it as redelivered.
    """

    program: Program
    deed: str
    task: str
    again: bool = False


def read_program_reports(programs: Iterable[Program]) -> list[ProgramReport]:
    """Return what programs have told of their tasks, one program after another."""
    found = []
    for program in programs:
        for line in program.console.lines:
            match = _LINE.fullmatch(line)
            if match is not None:
                task = match[2].removesuffix(_AGAIN)
                again = match[1] == "Received" and task != match[2]
                found.append(ProgramReport(program, match[1], task, again))
    return found


def program_reports(lesson: Session) -> pd.DataFrame:
    """Return who received and who did each task, by the lesson's programs' own words.

    Returns:
        By ``task``: ``received by`` and ``done by``, names joined with commas.
    """
    rows: dict[str, dict[str, list[str]]] = {}
    for report in read_program_reports(lesson.programs):
        names = rows.setdefault(report.task, {"Received": [], "Done": []})[report.deed]
        names.append(f"{report.program.name}{_AGAIN if report.again else ''}")
    table = {
        task: {"received by": ", ".join(told["Received"]), "done by": ", ".join(told["Done"])}
        for task, told in rows.items()
    }
    return pd.DataFrame.from_dict(table, orient="index", columns=["received by", "done by"]).rename_axis("task")
