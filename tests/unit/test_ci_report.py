""".ci/report.py: a part of the build fails where a test failed or did not run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.text

CI = Path(__file__).parents[2] / ".ci"

PASSED = '<testcase classname="tests.unit.test_events" name="test_order"/>'
FAILED = '<testcase classname="tests.unit.test_a" name="test_b"><failure message="no"/></testcase>'
BROKEN = '<testcase classname="tests.unit.test_a" name="test_c"><error message="fixture"/></testcase>'
SKIPPED = '<testcase classname="tests.broker.test_d" name="test_e"><skipped message="no TLS"/></testcase>'


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("workq_ci_report", CI / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ALLOWED", tmp_path / "allowed.txt")
    module.ALLOWED.write_text("# PART TEST REASON\n")
    return module


def write(folder: Path, *cases: str) -> Path:
    file = folder / "report.xml"
    file.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return file


def test_a_good_part_is_one_line(report: ModuleType, tmp_path: Path) -> None:
    line = "ok    node: 1 passed, 0 failed, 0 skipped, 12 s"
    assert report.part("node", 0, 12.3, write(tmp_path, PASSED)) == (True, [line])


@pytest.mark.parametrize(
    ("status", "cases"),
    [(0, [PASSED, FAILED]), (0, [PASSED, BROKEN]), (0, [PASSED, SKIPPED]), (0, []), (1, [PASSED])],
    ids=["a failure", "an error", "a skip", "no test", "a failing command"],
)
def test_what_fails_a_part(report: ModuleType, tmp_path: Path, status: int, cases: list[str]) -> None:
    good, lines = report.part("node", status, 12, write(tmp_path, *cases))
    assert not good
    assert lines[0].startswith("FAIL  node: ")


def test_a_part_without_a_report_fails(report: ModuleType, tmp_path: Path) -> None:
    assert not report.part("node", 0, 12, tmp_path / "none.xml")[0]
    half = write(tmp_path, PASSED)
    half.write_text(half.read_text()[:-20])
    assert not report.part("node", 0, 12, half)[0]


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("node  tests.broker.*  this server speaks no TLS", True),
        ("docker-*  tests.broker.*  another part", False),
        ("node  tests.broker.*", False),  # no reason, no leave
    ],
)
def test_a_listed_skip_passes(report: ModuleType, tmp_path: Path, line: str, good: bool) -> None:
    report.ALLOWED.write_text(f"{line}\n")
    assert report.part("node", 0, 12, write(tmp_path, PASSED, SKIPPED))[0] == good


def test_the_total_is_a_plain_line(report: ModuleType, tmp_path: Path) -> None:
    file = write(tmp_path, PASSED, FAILED, SKIPPED)
    assert report.total([file, file]) == "2 passed, 2 failed, 2 skipped"


def test_the_table_says_with_what_each_part_ran(report: ModuleType, tmp_path: Path) -> None:
    found = {"Python": "3.13.5", "RabbitMQ": "4.0.5", "ipykernel": "7.4.0", "dependencies": "newest"}
    properties = "".join(f'<property name="{name}" value="{value}"/>' for name, value in found.items())
    known = tmp_path / "node.xml"
    suite = f'<testsuite time="61.6"><properties>{properties}</properties>{PASSED}{FAILED}</testsuite>'
    known.write_text(f"<testsuites>{suite}</testsuites>")
    parts = [("node", known), ("report", write(tmp_path, PASSED)), ("none", tmp_path / "none.xml")]
    assert [line.split() for line in report.table(parts)] == [
        ["part", "Python", "RabbitMQ", "ipykernel", "dependencies", "passed", "seconds"],
        ["node", "3.13.5", "4.0.5", "7.4.0", "newest", "1", "62"],
        ["report", "-", "-", "-", "-", "1", "0"],
        ["none", "-", "-", "-", "-", "0", "0"],
    ]


def test_a_few_failures_may_be_run_once_more(report: ModuleType, tmp_path: Path) -> None:
    assert not report.are_few(write(tmp_path, PASSED))
    assert report.are_few(write(tmp_path, PASSED, FAILED, BROKEN))
    others = [FAILED.replace("test_b", f"test_{number}") for number in range(3)]
    assert not report.are_few(write(tmp_path, PASSED, FAILED, *others))
    assert not report.are_few(tmp_path / "none.xml")


def test_cells_of_one_lesson_count_as_one_failure(report: ModuleType, tmp_path: Path) -> None:
    cell = '<testcase classname="notebooks.01.ipynb" name="Cell {}"><failure message="no"/></testcase>'
    assert report.are_few(write(tmp_path, *map(cell.format, range(20))))


def test_only_a_pytest_that_ran_to_its_end_is_run_once_more(report: ModuleType) -> None:
    assert report.ran_to_its_end("...F\n===== 1 failed, 3 passed in 2.00s =====\n")
    assert not report.ran_to_its_end("make: *** [Makefile:40: test] Error 2\n")
    assert not report.ran_to_its_end("!!!!! KeyboardInterrupt !!!!!\n===== 1 failed in 2.00s =====\n")


def test_what_passes_the_second_time_is_named_and_fails_no_part(report: ModuleType, tmp_path: Path) -> None:
    merged = tmp_path / "merged.xml"
    first = write(tmp_path, PASSED, FAILED, BROKEN).rename(tmp_path / "first.xml")
    again = write(tmp_path, FAILED.replace("failure", "properties"), BROKEN.replace("error", "properties"))
    assert report.merge(first, again, merged) == [
        ("tests.unit.test_a::test_b", "no"),
        ("tests.unit.test_a::test_c", "fixture"),
    ]
    assert report.part("node", 0, 12, merged) == (True, ["ok    node: 3 passed, 0 failed, 0 skipped, 12 s"])


@pytest.mark.parametrize(
    "again", [[FAILED], [FAILED.replace("failure", "skipped")], []], ids=["fails", "is skipped", "is not there"]
)
def test_what_does_not_pass_the_second_time_fails_the_part(
    report: ModuleType, tmp_path: Path, again: list[str]
) -> None:
    merged = tmp_path / "merged.xml"
    first = write(tmp_path, PASSED, FAILED).rename(tmp_path / "first.xml")
    assert report.merge(first, write(tmp_path, *again), merged) == []
    assert not report.part("node", 0, 12, merged)[0]


def test_the_slowest_tests_of_all_parts_are_kept(report: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    quick = write(tmp_path, PASSED.replace("/>", ' time="0.5"/>'))
    slow = write(tmp_path / "other", FAILED.replace("test_b", "test_slow").replace("><", ' time="61.24"><', 1), PASSED)
    assert report.slowest({"lint": quick, "node": slow}, 2) == [
        {"seconds": 61.2, "part": "node", "test": "tests.unit.test_a::test_slow"},
        {"seconds": 0.5, "part": "lint", "test": "tests.unit.test_events::test_order"},
    ]
