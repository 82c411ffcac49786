"""What a soak showed, as a table and as JSON, and what of it is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.endurance.readings import Reading
from tests.endurance.soak import Round
from tests.endurance.trend import Trend

__all__ = ["as_json", "table", "trends", "wrong"]

_HEAD = f"{'':24}{'at first':>10}{'at last':>10}{'slope a round':>16}{'+-':>10}{'noise':>10}"


def trends(rounds: Sequence[Round]) -> dict[tuple[str, str], Trend]:
    """Return the trend of each figure of each process, from when the lesson had just been opened."""
    return {where: Trend.of(values) for where, values in _values(rounds).items()}


def _values(rounds: Sequence[Round]) -> dict[tuple[str, str], list[float]]:
    read: dict[tuple[str, str], list[float]] = {
        (process, figure): [getattr(each.begin[process], figure) for each in rounds]
        for process in rounds[0].begin
        for figure in Reading._fields
    }
    return read | {("kernel", "objects"): [float(each.objects) for each in rounds]}


def wrong(rounds: Sequence[Round]) -> Iterator[str]:
    """Say what should not have been, a sentence each."""
    for number, each in enumerate(rounds):
        if each.account["missing"]:
            yield f"round {number}: {each.account['missing']} messages were confirmed and never done"
    for (process, figure), trend in trends(rounds).items():
        if trend.grows:
            yield f"{figure} of the {process} grow by {trend.slope:.3g} a round (+- {trend.error:.2g})"


def table(rounds: Sequence[Round]) -> str:
    """Return the figures with their slopes, a line each."""
    lines = [_HEAD]
    for (process, figure), trend in trends(rounds).items():
        first, *_, last = _values(rounds)[process, figure]
        lines.append(
            f"{process + ', ' + figure:24}{first:10.1f}{last:10.1f}{trend.slope:16.3f}{trend.error:10.3f}"
            f"{trend.noise:10.3f}{'   grows' if trend.grows else ''}"
        )
    return "\n".join(lines)


def as_json(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return everything, for `json.dumps`."""
    return {
        "rounds": [
            {
                "begin": {name: reading._asdict() for name, reading in each.begin.items()},
                "full": {name: reading._asdict() for name, reading in each.full.items()},
                "account": dict(each.account),
                "objects": each.objects,
            }
            for each in rounds
        ],
        "trends": {f"{process}, {figure}": trend.to_json() for (process, figure), trend in trends(rounds).items()},
        "wrong": list(wrong(rounds)),
    }
