"""Reads pytest's reports for .ci/parts.py, and says how a part in which a test failed or did not run is to be judged.

Nothing is skipped silently: a skipped test fails its part unless ``allowed_skips.txt`` beside this file names
it, with a reason. So does a part in which no test passed, that left no report, or
whose command ended with another status than 0.

Thousands of tests of processes, sockets and browsers share two processors: one that fails among them and passes
when it is run once more is named in a line of its own, to be looked into. More than a few are no accident.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

#: What tests/conftest.py puts into a report.
COLUMNS = ("Python", "RabbitMQ", "ipykernel", "dependencies")
#: How many tests of a part may be run once more; a lesson, whose cells build on one another, is one.
FEW = 3
ALLOWED = Path(__file__).with_name("allowed_skips.txt")


class Case(NamedTuple):
    """One test: its module and name, how it ended, why if it did not pass in one line, and how long it took."""

    name: str
    outcome: str
    reason: str
    seconds: float


def part(name: str, status: int, seconds: float, report: Path) -> tuple[bool, list[str]]:
    """Return whether a part is good, its line, and below it what was skipped."""
    ran = cases(report)
    skipped = [case for case in ran if case.outcome == "skipped"]
    forbidden = [case for case in skipped if not is_allowed(name, case.name)]
    passed = any(case.outcome == "passed" for case in ran)
    good = passed and not failures(report) and not forbidden and status == 0
    ended = f"exit status {status}, " if status else ""
    lines = [f"{'ok  ' if good else 'FAIL'}  {name}: {counts(ran)}, {ended}{seconds:.0f} s"]
    for case in skipped:
        leave = "WITHOUT LEAVE, see .ci/allowed_skips.txt" if case in forbidden else "as listed"
        lines.append(f"        skipped {leave}: {case.name}: {case.reason}")
    lines += [f"        failed: {case.name}: {case.reason:.200}" for case in failures(report)]
    return good, lines


def ran_to_its_end(log: str) -> bool:
    """Return whether pytest says how many tests failed, and that nothing else went wrong."""
    return bool(re.search(r"^=+ .*\d+ (failed|error)", log, re.MULTILINE)) and not re.search(
        r"^!!!|INTERNALERROR", log, re.MULTILINE
    )


def are_few(report: Path) -> bool:
    """Return whether so few tests failed that they may be run once more."""
    alone = {case.name.partition("::")[0] if ".ipynb::" in case.name else case.name for case in failures(report)}
    return 0 < len(alone) <= FEW


def merge(first: Path, again: Path, merged: Path) -> list[tuple[str, str]]:
    """Write the first report without the failures of tests that passed again, and return those with why they failed."""
    passed = {case.name for case in cases(again) if case.outcome == "passed"} - {case.name for case in failures(again)}
    whole = ElementTree.parse(first)  # noqa: S314 - our own pytest wrote it a moment ago
    found = []
    for element in whole.iter("testcase"):
        case = case_of(element)
        if case.outcome == "failed" and case.name in passed:
            found.append((case.name, f"{case.reason:.200}"))
            for outcome in [*element.findall("failure"), *element.findall("error")]:
                element.remove(outcome)
    whole.write(merged)
    return found


def failures(report: Path) -> list[Case]:
    """Return the tests of a report that failed."""
    return [case for case in cases(report) if case.outcome == "failed"]


def table(reports: list[tuple[str, Path]]) -> list[str]:
    """Return the lines of a table: what each part's tests themselves found that they ran with, and how many passed."""
    rows = [("part", *COLUMNS, "passed", "seconds")]
    for name, report in reports:
        known = as_json(report)
        found = (known.get(column, "-") for column in COLUMNS)
        rows.append((name, *found, str(known["passed"]), f"{known['tests']:.0f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def total(reports: list[Path]) -> str:
    """Return one line for all of them."""
    return counts([case for report in reports for case in cases(report)])


def as_json(report: Path) -> dict[str, Any]:
    """Return what a report says of its tests: with what they ran, how they ended, and the seconds of pytest itself."""
    suites = list(elements(report, "testsuite"))
    known = {each.get("name", ""): each.get("value", "") for suite in suites for each in suite.iter("property")}
    outcomes = [case.outcome for case in cases(report)]
    counted = {outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")}
    return known | counted | {"tests": sum(float(suite.get("time", 0)) for suite in suites)}


def slowest(reports: dict[str, Path], count: int) -> list[dict[str, Any]]:
    """Return the slowest tests of all parts, the slowest first."""
    found = [(case.seconds, name, case.name) for name, report in reports.items() for case in cases(report)]
    return [
        {"seconds": round(seconds, 1), "part": name, "test": test}
        for seconds, name, test in sorted(found, reverse=True)[:count]
    ]


def cases(report: Path) -> list[Case]:
    """Return the tests of a report."""
    return [case_of(element) for element in elements(report, "testcase")]


def elements(report: Path, tag: str) -> Iterator[ElementTree.Element]:
    """Yield a report's elements of one kind; none where pytest did not live to write it, or half of it."""
    with contextlib.suppress(FileNotFoundError, ElementTree.ParseError):
        yield from ElementTree.parse(report).iter(tag)  # noqa: S314 - our own pytest wrote it a moment ago


def case_of(element: ElementTree.Element) -> Case:
    """Return one test of the report; an error in a fixture is a failure too."""
    name, seconds = f"{element.get('classname')}::{element.get('name')}", float(element.get("time", 0))
    for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = element.find(tag)
        if found is not None:
            return Case(name, outcome, found.get("message", "").partition("\n")[0], seconds)
    return Case(name, "passed", "", seconds)


def counts(ran: list[Case]) -> str:
    """Return how many passed, failed and were skipped."""
    outcomes = [case.outcome for case in ran]
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))


def is_allowed(part_name: str, test: str) -> bool:
    """Whether a line of the list, ``PART TEST REASON`` with wildcards in the first two, names this test."""
    lines = [line.split(None, 2) for line in ALLOWED.read_text().splitlines() if not line.startswith("#")]
    return any(len(line) == 3 and fnmatchcase(part_name, line[0]) and fnmatchcase(test, line[1]) for line in lines)
