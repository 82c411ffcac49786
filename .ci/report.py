"""Reads pytest's reports for .ci/run, and fails a part of the build in which a test failed or did not run.

    report.py part NAME STATUS SECONDS REPORT   one line for a part; exit status 1 if it failed
    report.py few REPORT                        exit status 0 if so few tests failed that they may be run once more
    report.py merge NAME FIRST AGAIN REPORT     what was run once more put into the first report, a line for each test
    report.py table REPORT...                   a table of the versions with which each part ran
    report.py total REPORT...                   one line for all of them

Nothing is skipped silently: a skipped test fails its part unless ``allowed_skips.txt`` beside this file names
it, with a reason. So does a part in which no test passed, that left no report, or
whose command ended with another STATUS than 0.

Some ten thousand tests of processes, sockets and browsers share two processors: one that fails among them and passes
when it is run once more is named in a line of its own, to be looked into. More than a few are no accident.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

#: What tests/conftest.py puts into a report.
COLUMNS = ("Python", "RabbitMQ", "ipykernel", "dependencies")
#: How many tests of a part may be run once more.
FEW = 3
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
    if command == "few":
        return 0 if 0 < len(failures(Path(arguments[0]))) <= FEW else 1
    if command == "merge":
        name, *reports = arguments
        print("\n".join(merge(name, *map(Path, reports))))
        return 0
    if command == "table":
        print("\n".join(table([Path(report) for report in arguments])))
        return 0
    print(counts([case for report in arguments for case in cases(Path(report))]))
    return 0


def part(name: str, status: int, seconds: str, report: Path) -> int:
    """Print a part's line, below it what was skipped, and return the exit status."""
    ran = cases(report)
    skipped = [case for case in ran if case.outcome == "skipped"]
    forbidden = [case for case in skipped if not is_allowed(name, case.name)]
    failed = bool(failures(report))
    passed = any(case.outcome == "passed" for case in ran)
    good = passed and not failed and not forbidden and status == 0
    ended = f"exit status {status}, " if status else ""
    print(f"{'ok  ' if good else 'FAIL'}  {name}: {counts(ran)}, {ended}{seconds} s")
    for case in skipped:
        leave = "WITHOUT LEAVE, see .ci/allowed_skips.txt" if case in forbidden else "as listed"
        print(f"        skipped {leave}: {case.name}: {case.reason}")
    return 0 if good else 1


def merge(part_name: str, first: Path, again: Path, merged: Path) -> list[str]:
    """Write the first report without the failures of tests that passed again, and return a line for each of those."""
    passed = {case.name for case in cases(again) if case.outcome == "passed"} - {case.name for case in failures(again)}
    whole = ElementTree.parse(first)  # noqa: S314 - our own pytest wrote it a moment ago
    lines = []
    for element in whole.iter("testcase"):
        case = case_of(element)
        if case.outcome == "failed" and case.name in passed:
            lines.append(
                f"note  {part_name}: failed, and passed when it was run once more: {case.name}: {case.reason:.200}"
            )
            for outcome in [*element.findall("failure"), *element.findall("error")]:
                element.remove(outcome)
    whole.write(merged)
    return lines


def failures(report: Path) -> list[Case]:
    """Return the tests of a report that failed."""
    return [case for case in cases(report) if case.outcome == "failed"]


def table(reports: list[Path]) -> list[str]:
    """Return the lines of a table: what each part's tests themselves found that they ran with, and how many passed."""
    rows = [("part", *COLUMNS, "passed", "seconds")]
    for report in reports:
        suites = list(elements(report, "testsuite"))
        known = {each.get("name", ""): each.get("value", "") for suite in suites for each in suite.iter("property")}
        passed = [case.outcome for case in cases(report)].count("passed")
        seconds = sum(float(suite.get("time", 0)) for suite in suites)
        rows.append((report.stem, *(known.get(column, "-") for column in COLUMNS), str(passed), f"{seconds:.0f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def cases(report: Path) -> list[Case]:
    """Return the tests of a report."""
    return [case_of(element) for element in elements(report, "testcase")]


def elements(report: Path, tag: str) -> Iterator[ElementTree.Element]:
    """Yield a report's elements of one kind; none where pytest did not live to write it."""
    if report.is_file():
        yield from ElementTree.parse(report).iter(tag)  # noqa: S314 - our own pytest wrote it a moment ago


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
