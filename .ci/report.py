"""Reads pytest's reports for .ci/run, and fails a part of the build in which a test failed or did not run.

    report.py part NAME STATUS SECONDS REPORT   one line for a part; exit status 1 if it failed
    report.py total REPORT...                   one line for all of them

Nothing is skipped silently: a skipped test fails its part unless ``allowed_skips.txt`` beside this file names
it, with a reason. So does a part in which no test passed, that left no report, or
whose command ended with another STATUS than 0.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


class Case(NamedTuple):
    """One test: its module and name, how it ended, and why if it did not pass."""

    name: str
    outcome: str
    reason: str


def main(command: str, *arguments: str) -> int:
    """Do what the command line says and return the exit status."""
    if command == "part":
        name, status, seconds, report = arguments
        return part(name, int(status), seconds, Path(report))
    print(counts([case for report in arguments for case in cases(Path(report))]))
    return 0


def part(name: str, status: int, seconds: str, report: Path) -> int:
    """Print a part's line, below it what was skipped, and return the exit status."""
    ran = cases(report)
    skipped = [case for case in ran if case.outcome == "skipped"]
    forbidden = [case for case in skipped if not is_allowed(name, case.name)]
    failed = any(case.outcome == "failed" for case in ran)
    passed = any(case.outcome == "passed" for case in ran)
    good = passed and not failed and not forbidden and status == 0
    ended = f"exit status {status}, " if status else ""
    print(f"{'ok  ' if good else 'FAIL'}  {name}: {counts(ran)}, {ended}{seconds} s")
    for case in skipped:
        leave = "WITHOUT LEAVE, see .ci/allowed_skips.txt" if case in forbidden else "as listed"
        print(f"        skipped {leave}: {case.name}: {case.reason}")
    return 0 if good else 1


def cases(report: Path) -> list[Case]:
    """Return the tests of a report; none where pytest did not live to write it."""
    if not report.is_file():
        return []
    tree = ElementTree.parse(report)  # noqa: S314 - our own pytest wrote it a moment ago
    return [case_of(element) for element in tree.iter("testcase")]


def case_of(element: ElementTree.Element) -> Case:
    """Return one test of the report; an error in a fixture is a failure too."""
    name = f"{element.get('classname')}::{element.get('name')}"
    for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = element.find(tag)
        if found is not None:
            return Case(name, outcome, found.get("message", ""))
    return Case(name, "passed", "")


def counts(ran: list[Case]) -> str:
    """Return how many passed, failed and were skipped."""
    outcomes = [case.outcome for case in ran]
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))


def is_allowed(part_name: str, test: str) -> bool:
    """Whether a line of the list, ``PART TEST REASON`` with wildcards in the first two, names this test."""
    lines = [line.split(None, 2) for line in ALLOWED.read_text().splitlines() if not line.startswith("#")]
    return any(len(line) == 3 and fnmatchcase(part_name, line[0]) and fnmatchcase(test, line[1]) for line in lines)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
