"""How long `make lab` takes to set up from nothing, and which part of it, beside uv: `python benchmarks/set_up.py`.

In a copy of the checkout without a ``.venv``, by turns with uv alone: first each with empty caches of its own, so that
every package comes from the index, which is a measurement of the network as well; then both with what the first set-up
left in its caches.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench, alone
from benchmarks.row import Goal, Row

PART = "set-up"
GOAL = Goal("<=", 1.5)
ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("pyproject.toml", "constraints.txt", "overrides.txt", "README.md", "LICENSE", "NOTICE")

_PHASE = re.compile(r"^==> (?P<what>.+?)\n(?:.*\n)*? +done in (?P<seconds>[\d.]+) s$", re.MULTILINE)
_WHOLE = re.compile(r"^==> \.venv is ready \((?P<seconds>[\d.]+) s\)$", re.MULTILINE)


def measure(bench: Bench) -> None:
    """Measure the set-up and its parts."""
    with tempfile.TemporaryDirectory(prefix="wq-") as name:
        folder = Path(name)
        _copy_to(folder / "course")
        _compare(bench, "with empty caches", folder, lambda who, number: _caches(folder / f"{who}-{number}"))
        _compare(bench, "with full caches", folder, lambda _who, _number: _caches(folder / "course-0"))


def _compare(bench: Bench, what: str, folder: Path, caches: Callable[[str, int], dict[str, str]]) -> None:
    rounds, alone_ = [], []
    for number in range(bench.rounds):
        rounds.append(_one_set_up(folder / "course", caches("course", number)))
        alone_.append(_uv_alone(folder, caches("alone", number)))
    bench.report.add(Row(PART, what, "uv alone", "s", alone_))
    _report(bench, what, rounds, alone_)


def _caches(folder: Path) -> dict[str, str]:
    return {"UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip")}


def _copy_to(folder: Path) -> None:
    folder.mkdir()
    for name in NEEDED:
        shutil.copy(ROOT / name, folder)
    for name in ("workq_helpers", "notebooks", "scripts", "LICENSES"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))


def _one_set_up(course: Path, caches: dict[str, str]) -> dict[str, float]:
    """Return how many seconds each part took; "all of it" last."""
    shutil.rmtree(course / ".venv", ignore_errors=True)
    command = [sys._base_executable, "scripts/setup.py"]  # type: ignore[attr-defined]
    done = subprocess.run(command, cwd=course, env=os.environ | caches, capture_output=True, text=True, check=False)
    whole = _WHOLE.search(done.stdout)
    if whole is None:
        raise SystemExit(f"make setup failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    parts = {match["what"]: float(match["seconds"]) for match in _PHASE.finditer(done.stdout)}
    return parts | {"all of it": float(whole["seconds"])}


def _uv_alone(folder: Path, caches: dict[str, str]) -> float:
    """Return how many seconds uv takes for an environment with the same packages."""
    venv, course = folder / "alone", folder / "course"
    shutil.rmtree(venv, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(venv / "bin" / "python")
    pins = ["--constraint", "constraints.txt", "--build-constraint", "constraints.txt", "--override", "overrides.txt"]
    started = time.monotonic()
    for command in (
        [uv, "venv", "--quiet", "--python", sys._base_executable, str(venv)],  # type: ignore[attr-defined]
        [uv, "pip", "install", "--quiet", "--python", python, *pins, "--editable", ".", "uv"],
    ):
        subprocess.run(command, cwd=course, env=os.environ | caches, check=True)
    return time.monotonic() - started


def _report(bench: Bench, what: str, rounds: list[dict[str, float]], beside: list[float]) -> None:
    values: dict[str, list[float]] = defaultdict(list)
    for each in rounds:
        for part, seconds in each.items():
            values[part].append(seconds)
    for part, seconds_of_part in values.items():
        compared = (beside, "uv alone", GOAL) if part == "all of it" else ()
        bench.report.add(Row(PART, what, part, "s", seconds_of_part, *compared))


if __name__ == "__main__":
    alone(PART, measure, __doc__)
