"""What all benchmarks share: rounds, ratios, goals, growth and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.bench import Bench, run
from benchmarks.growth import Growth
from benchmarks.lessons import _covered
from benchmarks.peers.job import Job, Marks
from benchmarks.report import Report
from benchmarks.rounds import interleaved
from benchmarks.row import Goal, Row

pytestmark = pytest.mark.once


def test_sides_take_turns_and_each_begins_a_round() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return float(len(order))

        return measure

    figures = interleaved({name: side(name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert figures == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_a_ratio_is_of_one_round_and_the_goal_is_for_it() -> None:
    row = Row("part", "what", "who", "msg/s", [10, 30, 20], [10, 10, 40], "other", Goal(">=", 1.0))
    assert row.ratios == [1, 3, 0.5]
    assert row.figure == 1
    assert row.met
    assert not row._replace(goal=Goal("<=", 0.9)).met
    assert row._replace(goal=Goal("<=", 20.0), beside=None).met
    assert row._replace(goal=None).met


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_exponent_is_the_one_with_which_the_cost_grows(exponent: float) -> None:
    costs = {size: [3.0 * size**exponent] * 2 for size in (10, 100, 1_000)}
    growth = Growth("part", "what", "s", "events", costs, Goal("<=", 1.1))
    assert growth.exponent == pytest.approx(exponent)
    assert growth.met is (exponent < 1.1)


def test_a_run_is_written_as_json_as_a_page_and_as_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def part(bench: Bench) -> None:
        sides = {"slow": lambda: 1.0, "quick": lambda: 3.0}
        bench.compare("part", "races", "msg/s", sides, yardstick="slow", goals={"quick": Goal(">=", 4.0)})
        bench.report.add(Growth("part", "growing", "s", "events", {1: [1.0], 10: [10.0]}))

    status = run({"part": part}, ["--rounds", "2", "--folder", str(tmp_path)])
    assert status == 1  # a goal is missed
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert [(row["who"], row["median"], row["ratio"], row["met"]) for row in found["rows"]] == [
        ("slow", 1.0, None, True),
        ("quick", 3.0, 3.0, False),
    ]
    assert found["growths"][0]["exponent"] == pytest.approx(1.0)
    page = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "| races | quick | 3.00 (3.00-3.00) | slow | 3 (3-3) msg/s | >= 4 MISSED |" in page
    assert (tmp_path / "growth.png").stat().st_size > 1_000
    assert "MISSED" in capsys.readouterr().out


def test_what_was_measured_is_kept_when_something_fails(tmp_path: Path) -> None:
    def part(bench: Bench) -> None:
        bench.report.add(Row("part", "what", "who", "s", [1.0]))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run({"part": part}, ["--folder", str(tmp_path)])
    assert len(json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["rows"]) == 1


def test_only_what_is_asked_for_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(Report(1), tmp_path, only="with confirms")
    assert bench.wants("publish with confirms")
    assert not bench.wants("publish")
    one = Bench(Report(1), tmp_path, only="prefetch 1")
    assert [count for count in (1, 10, 100) if one.wants(f"consume, prefetch {count}")] == [1]
    with pytest.raises(SystemExit):
        run({"part": lambda bench: None, "other": lambda bench: None}, ["none", "--folder", str(tmp_path)])
    assert "there is no part 'none'" in capsys.readouterr().err


def test_the_warm_up_is_not_timed(tmp_path: Path) -> None:
    job = Job("amqp://", "queue", "task", warm_up=2, count=3, report=str(tmp_path / "moments.json"))
    marks = Marks(job)
    assert [marks.one_done() for _ in range(5)] == [False, False, False, False, True]
    began, ended = json.loads((tmp_path / "moments.json").read_text())
    assert 0 < began <= ended


def test_a_job_travels_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("amqp://", "queue", "task", 1, 2, prefetch_count=7)
    for name, value in job.environ().items():
        monkeypatch.setenv(name, value)
    assert Job.of_this_process() == job


def test_work_at_the_same_time_counts_once() -> None:
    assert _covered([(0, 2), (1, 3), (5, 6), (5.5, 5.6)]) == 4
    assert _covered([]) == 0
