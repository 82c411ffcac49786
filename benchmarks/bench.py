"""`Bench`: what every part of the benchmarks is given, and how one part runs on its own."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.report import Report
from benchmarks.rounds import Side, interleaved
from benchmarks.row import Goal, Row
from workq_helpers import Broker, find_broker

__all__ = ["FOLDER", "Bench", "Part", "alone", "run"]

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"


class Bench:
    """One run of the benchmarks.

    Args:
        report: Where the results go.
        folder: Where files go.
        quick: Whether this only tries that everything runs, with as little of it as possible.
        only: Measure only what has these words in its name.
    """

    def __init__(self, report: Report, folder: Path, *, quick: bool = False, only: str = "") -> None:
        self.report = report
        self.rounds = report.rounds
        self.folder = folder
        self.quick = quick
        self._only = only
        self._broker: Broker | None = None
        self._ends = contextlib.ExitStack()

    @property
    def broker(self) -> Broker:
        """The one broker on which everything is measured; found when the first part asks for it."""
        if self._broker is None:
            self._broker = self._ends.enter_context(find_broker())
            self.report.broker = self._broker.describe()
            print(self.report.broker)
        return self._broker

    def close(self) -> None:
        """Let go of the broker."""
        self._ends.close()

    def count(self, usual: int, quick: int) -> int:
        """Return how many of something to take."""
        return quick if self.quick else usual

    def sizes(self, *usual: int) -> tuple[int, ...]:
        """Return the sizes to measure at; a hundredth of them if this is quick."""
        return tuple(max(1, size // 100) for size in usual) if self.quick else usual

    def wants(self, what: str) -> bool:
        """Whether this is to be measured."""
        # As whole words, or nobody could ask for prefetch 1 without 10 and 100.
        return re.search(rf"\b{re.escape(self._only)}\b", what) is not None if self._only else True

    def compare(
        self,
        part: str,
        what: str,
        unit: str,
        sides: Mapping[str, Side],
        *,
        yardstick: str,
        goals: Mapping[str, Goal] | None = None,
    ) -> dict[str, list[float]]:
        """Measure all sides in turn and report each beside the yardstick, which is one of them.

        Args:
            part: The part of the benchmarks.
            what: What is measured.
            unit: The figures' unit.
            sides: Each measures one figure.
            yardstick: The side that the others are divided by.
            goals: What the ratios should be, by side.

        Returns:
            The figures by side; none if this is not to be measured.
        """
        if not self.wants(what):
            return {}
        figures = interleaved(sides, self.rounds)
        for who, values in figures.items():
            beside, name = (None, "") if who == yardstick else (figures[yardstick], yardstick)
            self.report.add(Row(part, what, who, unit, values, beside, name, (goals or {}).get(who)))
        return figures


#: Measures something and reports it.
Part = Callable[[Bench], None]


def run(parts: Mapping[str, Part], arguments: list[str] | None = None, description: str | None = None) -> int:
    """Run parts of the benchmarks from the command line.

    Args:
        parts: What there is, by name.
        arguments: The command line, by default this process's own.
        description: For ``--help``.

    Returns:
        The exit status: 1 if a goal was missed; a quick run is no measurement and misses none.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if len(parts) > 1:
        parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(parts)}; by default all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured (5)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only what has TEXT in its name, as whole words")
    parser.add_argument("--quick", action="store_true", help="one round of very little, to see that all of it runs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go (build/bench)")
    options = parser.parse_args(arguments)
    chosen = getattr(options, "parts", []) or list(parts)
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(parts)}")
    report = Report(1 if options.quick else options.rounds)
    options.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Bench(report, options.folder, quick=options.quick, only=options.only)) as bench:
        try:
            for name in chosen:
                parts[name](bench)
        finally:
            # What was measured before something failed took long enough to be kept.
            files = report.write(options.folder)
    print("\n" + "\n".join(str(file) for file in files))
    return 0 if report.met or options.quick else 1


def alone(name: str, part: Part, description: str | None) -> None:
    """Run one part as a program of its own; the process ends with this."""
    sys.exit(run({name: part}, description=description))
