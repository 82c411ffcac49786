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
