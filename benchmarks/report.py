"""`Report`: what a run of the benchmarks found, as a table while it runs, as JSON, as a page and as a picture."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

from benchmarks.growth import Growth, plot
from benchmarks.row import Row

__all__ = ["Report"]

#: Whose versions matter to the figures; those that are not installed are left out.
PACKAGES = ["pika", "aio-pika", "kombu", "dramatiq", "celery", "pandas", "matplotlib", "jupyterlab"]


class Report:
    """Collects what is measured and prints each line as it comes.

    Args:
        rounds: How many rounds there are, for the heading.
    """

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.broker = ""
        self.rows: list[Row] = []
        self.growths: list[Growth] = []
        self.notes: list[str] = []
        self._heading = ""

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return all(each.met for each in [*self.rows, *self.growths])

    def add(self, result: Row | Growth) -> None:
        """Keep a result and print its line."""
        heading = f"{result.part}: {result.what}"
        if isinstance(result, Row) and heading != self._heading:
            print(f"\n{heading}")
        self._heading = heading
        if isinstance(result, Row):
            self.rows.append(result)
            print("  " + "  ".join(_cells_of_row(result)), flush=True)
        else:
            self.growths.append(result)
            print("  " + "  ".join(_cells_of_growth(result)), flush=True)

    def note(self, text: str) -> None:
        """Keep a sentence about how it was measured, and print it."""
        self.notes.append(text)
        print(text, flush=True)

    def write(self, folder: Path) -> list[Path]:
        """Write ``bench.json``, ``bench.md`` and, if something grows, ``growth.png``; return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / "bench.json", folder / "bench.md"]
        files[0].write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        files[1].write_text(self.as_markdown(), encoding="utf-8")
        if self.growths:
            files.append(folder / "growth.png")
            plot(self.growths, files[-1])
        return files

    def as_json(self) -> dict[str, Any]:
        """Return everything for a JSON file."""
        return {
            "circumstances": self._circumstances(),
            "rounds": self.rounds,
            "notes": self.notes,
            "rows": [row.as_json() for row in self.rows],
            "growths": [growth.as_json() for growth in self.growths],
            "met": self.met,
        }

    def as_markdown(self) -> str:
        """Return everything as a page to read."""
        lines = ["# Benchmarks", "", "Written by `make bench`. Medians of the rounds, in brackets the smallest and the"]
        lines += ["largest; a ratio is of two figures of one round. Goals are for ratios where there are any.", ""]
        lines += [f"- {name}: {value}" for name, value in self._circumstances().items()]
        lines += [f"- {note}" for note in self.notes]
        part = ""
        for row in self.rows:
            if row.part != part:
                part = row.part
                lines += [
                    "",
                    f"## {part}",
                    "",
                    "| what | who | ratio | to | figure | goal |",
                    "|---|---|---|---|---|---|",
                ]
            who, ratio, to, figure, goal = (cell.strip() for cell in _cells_of_row(row))
            lines.append(f"| {row.what} | {who} | {ratio} | {to} | {figure} | {goal} |")
        if self.growths:
            lines += [
                "",
                "## How the cost grows",
                "",
                "| what | exponent | of | figures | goal |",
                "|---|---|---|---|---|",
            ]
        for growth in self.growths:
            what, exponent, of, figures, goal = (cell.strip() for cell in _cells_of_growth(growth))
            lines.append(f"| {growth.part}: {what} | {exponent} | {of} | {figures} | {goal} |")
        return "\n".join(lines) + "\n"

    def _circumstances(self) -> dict[str, str]:
        return {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "Python": platform.python_version(),
            "RabbitMQ": self.broker,
            "packages": ", ".join(_versions()),
            "rounds": str(self.rounds),
        }


def _versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cells_of_row(row: Row) -> tuple[str, ...]:
    ratios = row.ratios
    ratio = f"{statistics.median(ratios):7.2f} {_spread(ratios, '.2f')}" if ratios else ""
    figure = f"{_number(row.median)} {_spread(row.values)} {row.unit}"
    goal = "" if row.goal is None else f"{row.goal}{'' if row.met else ' MISSED'}"
    return f"{row.who:20}", f"{ratio:24}", f"{row.yardstick:16}", f"{figure:36}", goal


def _cells_of_growth(growth: Growth) -> tuple[str, ...]:
    figures = ", ".join(f"{size:,}: {_number(cost)}" for size, cost in growth.medians.items())
    goal = "" if growth.goal is None else f"{growth.goal}{'' if growth.met else ' MISSED'}"
    return f"{growth.what:20}", f"exponent {growth.exponent:5.2f}", growth.of, f"{figures} {growth.unit}", goal


def _spread(values: list[float] | Any, form: str = "") -> str:
    low, high = min(values), max(values)
    return f"({low:{form}}-{high:{form}})" if form else f"({_number(low)}-{_number(high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
