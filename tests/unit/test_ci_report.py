""".ci/report.py: a part of the build fails where a test failed or did not run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

REPORT = Path(__file__).parents[2] / ".ci" / "report.py"

PASSED = '<testcase classname="tests.unit.test_events" name="test_order"/>'
FAILED = '<testcase classname="tests.unit.test_a" name="test_b"><failure message="no"/></testcase>'
BROKEN = '<testcase classname="tests.unit.test_a" name="test_c"><error message="fixture"/></testcase>'
SKIPPED = '<testcase classname="tests.broker.test_d" name="test_e"><skipped message="no TLS"/></testcase>'


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("workq_ci_report", REPORT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ALLOWED", tmp_path / "allowed.txt")
    module.ALLOWED.write_text("# PART TEST REASON\n")
    return module


def write(folder: Path, *cases: str) -> str:
    file = folder / "report.xml"
    file.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return str(file)


def test_a_good_part_is_one_line(report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main("part", "node", "0", "12", write(tmp_path, PASSED)) == 0
    assert capsys.readouterr().out == "ok    node: 1 passed, 0 failed, 0 skipped, 12 s\n"


@pytest.mark.parametrize(
    ("status", "cases"),
    [("0", [PASSED, FAILED]), ("0", [PASSED, BROKEN]), ("0", [PASSED, SKIPPED]), ("0", []), ("1", [PASSED])],
    ids=["a failure", "an error", "a skip", "no test", "a failing command"],
)
def test_what_fails_a_part(
    report: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    status: str,
    cases: list[str],
) -> None:
    assert report.main("part", "node", status, "12", write(tmp_path, *cases)) == 1
    assert capsys.readouterr().out.startswith("FAIL  node: ")


def test_a_part_without_a_report_fails(report: ModuleType, tmp_path: Path) -> None:
    assert report.main("part", "node", "0", "12", str(tmp_path / "none.xml")) == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("node  tests.broker.*  this server speaks no TLS", 0),
        ("docker-*  tests.broker.*  another part", 1),
        ("node  tests.broker.*", 1),  # no reason, no leave
    ],
)
def test_a_listed_skip_passes(report: ModuleType, tmp_path: Path, line: str, status: int) -> None:
    report.ALLOWED.write_text(f"{line}\n")
    assert report.main("part", "node", "0", "12", write(tmp_path, PASSED, SKIPPED)) == status


def test_the_total_is_a_plain_line(report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, PASSED, FAILED, SKIPPED)
    assert report.main("total", file, file) == 0
    assert capsys.readouterr().out == "2 passed, 2 failed, 2 skipped\n"


def test_the_table_says_with_what_each_part_ran(
    report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"Python": "3.13.5", "RabbitMQ": "4.0.5", "ipykernel": "7.4.0", "dependencies": "newest"}
    properties = "".join(f'<property name="{name}" value="{value}"/>' for name, value in found.items())
    known = tmp_path / "node.xml"
    suite = f'<testsuite time="61.6"><properties>{properties}</properties>{PASSED}{FAILED}</testsuite>'
    known.write_text(f"<testsuites>{suite}</testsuites>")
    assert report.main("table", str(known), write(tmp_path, PASSED), str(tmp_path / "none.xml")) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["part", "Python", "RabbitMQ", "ipykernel", "dependencies", "passed", "seconds"],
        ["node", "3.13.5", "4.0.5", "7.4.0", "newest", "1", "62"],
        ["report", "-", "-", "-", "-", "1", "0"],
        ["none", "-", "-", "-", "-", "0", "0"],
    ]


def test_a_few_failures_may_be_run_once_more(report: ModuleType, tmp_path: Path) -> None:
    assert report.main("few", write(tmp_path, PASSED)) == 1
    assert report.main("few", write(tmp_path, PASSED, FAILED, BROKEN)) == 0
    assert report.main("few", write(tmp_path, PASSED, FAILED, BROKEN, FAILED, BROKEN)) == 1
    assert report.main("few", str(tmp_path / "none.xml")) == 1


def test_what_passes_the_second_time_is_named_and_fails_no_part(
    report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = str(tmp_path / "merged.xml")
    first = Path(write(tmp_path, PASSED, FAILED, BROKEN)).rename(tmp_path / "first.xml")
    again = write(tmp_path, FAILED.replace("failure", "properties"), BROKEN.replace("error", "properties"))
    assert report.main("merge", "node", str(first), again, merged) == 0
    notes = capsys.readouterr().out.splitlines()
    assert notes == [
        "note  node: failed, and passed when it was run once more: tests.unit.test_a::test_b: no",
        "note  node: failed, and passed when it was run once more: tests.unit.test_a::test_c: fixture",
    ]
    assert report.main("part", "node", "0", "12", merged) == 0
    assert capsys.readouterr().out == "ok    node: 3 passed, 0 failed, 0 skipped, 12 s\n"


@pytest.mark.parametrize(
    "again", [[FAILED], [FAILED.replace("failure", "skipped")], []], ids=["fails", "is skipped", "is not there"]
)
def test_what_does_not_pass_the_second_time_fails_the_part(
    report: ModuleType, tmp_path: Path, again: list[str]
) -> None:
    merged = str(tmp_path / "merged.xml")
    first = Path(write(tmp_path, PASSED, FAILED)).rename(tmp_path / "first.xml")
    assert report.main("merge", "node", str(first), write(tmp_path, *again), merged) == 0
    assert report.main("part", "node", "0", "12", merged) == 1
