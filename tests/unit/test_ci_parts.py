""".ci/parts.py: every test has a part that runs it, and what becomes of a part is told and kept."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from _pytest.mark.expression import Expression

pytestmark = [
    pytest.mark.text,
    pytest.mark.skipif(sys.platform != "linux", reason="CI runs on Debian alone"),
]

ROOT = Path(__file__).parents[2]
MARKS = [
    line.partition(":")[0]
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
]
FOLDERS = {f"tests/{file.parent.name}" for file in (ROOT / "tests").glob("*/test_*.py")}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, for a checkout and a run of its own."""
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    spec = importlib.util.spec_from_file_location("workq_ci_parts", ROOT / ".ci" / "parts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "workq_ci_parts", module)  # where its classes look for their annotations
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "WORK", tmp_path)
    yield module
    sys.modules.pop("report", None)


def selects(marks: str, *those: str) -> bool:
    return Expression.compile(marks).evaluate(lambda name, **_: name in those)


def whole(parts: ModuleType, kind: str) -> list[Any]:
    before = parts.PARTS[kind]()
    return [*before, *parts.after(kind, before)]


@pytest.mark.parametrize("kind", ["gate", "nightly"])
def test_what_a_part_needs_comes_before_it(parts: ModuleType, kind: str) -> None:
    known: set[str] = set()
    for part in whole(parts, kind):
        assert set(part.needs) <= known, part.name
        assert part.name not in known
        known.add(part.name)


@pytest.mark.parametrize("kind", ["gate", "nightly"])
@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_folder_of_tests_is_run(parts: ModuleType, kind: str, folder: str) -> None:
    assert any(part.marks and f"{folder}" in part.command.replace('"', " ").split() for part in whole(parts, kind))


@pytest.mark.parametrize("mark", ["", *MARKS])
def test_no_mark_keeps_a_test_from_every_part(parts: ModuleType, mark: str) -> None:
    for kind in ("gate", "nightly"):
        runs = [part.name for part in whole(parts, kind) if part.marks and selects(part.marks, mark)]
        assert bool(runs) == (kind == "nightly" or mark not in ("nightly", "alone")), (kind, runs)


def test_a_test_runs_where_it_can_fail(parts: ModuleType) -> None:
    here = {"text", "docker-4.3", "docker-3.10", "node"}
    where = {
        mark: {part.name for part in parts.gate() if part.name in here and selects(part.marks, mark)}
        for mark in ("", *MARKS)
    }
    assert where == {
        "": {"docker-4.3"},
        "once": {"docker-4.3"},
        "pinned": {"docker-4.3"},
        "dependencies": {"docker-4.3", "docker-3.10", "node"},
        "rabbitmq": {"docker-4.3", "docker-3.10"},
        "lessons": {"docker-4.3", "docker-3.10", "node"},
        "machine": {"node"},
        "root": {"docker-4.3"},
        "smoke": {"docker-4.3", "docker-3.10", "node"},
        "text": {"text"},
        "nightly": set(),
        "alone": set(),
    }


def test_the_workflows_choose_the_same_tests(parts: ModuleType) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert {row["marks"] for row in jobs["test"]["strategy"]["matrix"]["include"]} == {parts.ONCE, parts.LOWEST}
    nightly = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())["jobs"]
    assert any(f"-m '{parts.ALL}'" in step.get("run", "") for step in nightly["test"]["steps"])


def report(**outcomes: str) -> str:
    case = '<testcase classname="tests.a" name="{}" time="2">{}</testcase>'
    cases = "".join(case.format(name, said) for name, said in outcomes.items())
    return f'<testsuites><testsuite time="4"><property name="Python" value="3.11"/>{cases}</testsuite></testsuites>'


PASSED, FAILED = "", "<failure message='no'/>"


def run(parts: ModuleType, *wanted: Any) -> Any:
    made = parts.Run("gate")
    made.do(list(wanted), 2)
    return made


def test_a_part_whose_needs_failed_is_not_begun(parts: ModuleType, tmp_path: Path) -> None:
    ran = run(
        parts, parts.Part("a", "exit 3"), parts.Part("b", f"touch {tmp_path}/begun", ("a",)), parts.Part("c", "true")
    )
    assert not ran.good
    lines = sorted(line for ended in ran.ended for line in ended.lines)
    assert lines == ["FAIL  a: exit status 3, 0 s", "FAIL  b: not begun, as a failed", "ok    c: 0 s"]
    assert not (tmp_path / "b").exists()


def test_what_takes_too_long_is_ended_and_the_rest_goes_on(parts: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.PART_LIMIT, "gate", 1)
    monkeypatch.setattr(parts, "STOP_LIMIT", 0.1)
    ran = run(parts, parts.Part("a", "sleep 60"), parts.Part("b", "true"))
    assert [ended.good for ended in sorted(ran.ended)] == [False, True]
    assert ran.seconds < 30


def test_a_test_that_passes_the_second_time_is_named_and_counted(parts: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "first").write_text(report(test_b=FAILED, test_c=PASSED))
    (tmp_path / "second").write_text(report(test_b=PASSED))
    (tmp_path / "pytest").write_text(
        "if [[ $OPTIONS = *--again* ]]; then cp second tests/report.xml; exit; fi\n"
        "cp first tests/report.xml; echo '=== 1 failed, 1 passed ==='; exit 1\n"
    )
    ran = run(parts, parts.Part("tests", "bash pytest", marks="once"))
    assert ran.good
    assert ran.ended[0].lines[1:] == ["note  tests: failed, and passed when it was run once more: tests.a::test_b: no"]
    kept = json.loads(json.dumps(parts.as_json(ran)))
    assert 0 < kept["busy"] <= 1
    assert kept["again"] == 1
    [part] = kept["parts"]
    assert (part["name"], part["good"], part["passed"], part["again"]) == ("tests", True, 2, ["tests.a::test_b"])
    assert part["Python"] == "3.11"
    assert {test["test"]: test["seconds"] for test in kept["slowest"]} == {"tests.a::test_b": 2, "tests.a::test_c": 2}
    assert any(re.fullmatch(r"tests +3\.11 .* 2 +4", line) for line in parts.summary(ran))
