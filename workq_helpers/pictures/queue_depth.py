"""`queue_depth`: how many messages were ready and how many unacknowledged, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workq_helpers.log import tables
from workq_helpers.pictures.palette import BLUE, INK, MUTED, ORANGE, PAPER
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.style import STYLE, WIDTH, Look, plain_axes
from workq_helpers.text import printable

if TYPE_CHECKING:
    from workq_helpers.log.events import EventLog

__all__ = ["counts_from_first_message", "queue_depth"]

_HEIGHT = 2.6

#: By column; told apart without color too.
_BANDS = (
    ("unacknowledged", Look("unacknowledged", *ORANGE, hatch="////")),
    ("ready", Look("ready", *BLUE)),
)


def queue_depth(log: EventLog, queue: str = "hello") -> Picture:
    """Draw a queue's counts over time, as the log sees them.

    The lower band is what is unacknowledged, the upper one what is ready; together they are what RabbitMQ keeps.

    Args:
        log: The log to draw.
        queue: The queue's name.

    Returns:
        The picture; time runs from the queue's first message to the log's last event, in seconds.
    """
    counts = counts_from_first_message(log, queue)
    last_seconds = log[-1].seconds if len(log) else 0.0
    with mpl.rc_context(STYLE):
        return Picture(_draw(counts, last_seconds), _describe(counts, queue))


def counts_from_first_message(log: EventLog, queue: str) -> pd.DataFrame:
    """Return a queue's counts over time, as the log sees them, from where it has its first message."""
    counts = tables.queue_counts(log)
    counts = counts[counts["queue"] == printable(queue)]
    held = (counts["ready"] + counts["unacknowledged"]) > 0
    return counts[held.cummax()].reset_index(drop=True)


def _draw(counts: pd.DataFrame, last_seconds: float) -> Figure:
    figure = Figure(figsize=(WIDTH, _HEIGHT), facecolor=PAPER)
    axes = figure.add_axes((0.085, 0.2, 0.895, 0.68))
    begin = float(counts["seconds"].min()) if len(counts) else 0.0
    end = max(last_seconds - begin, 1e-3)
    edges = [*(counts["seconds"] - begin), end * 1.04]
    floor: Any = pd.Series(0, index=counts.index)
    for column, look in _BANDS:
        top = floor + counts[column]
        axes.stairs(
            top,
            edges,
            baseline=floor,
            fill=True,
            facecolor=look.face,
            edgecolor=look.edge,
            hatch=look.hatch,
            linewidth=1.2,
            label=look.legend,
        )
        floor = top
    axes.set_xlim(0, end * 1.04)
    axes.set_ylim(0, max(1.0, float(floor.max()) if len(counts) else 0.0) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.set_xlabel("seconds", fontsize=8, color=MUTED)
    axes.set_ylabel("messages", fontsize=8, color=MUTED)
    plain_axes(axes)
    figure.legend(loc="upper right", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _describe(counts: pd.DataFrame, queue: str) -> str:
    """Say what the picture shows, without measured times."""
    if not len(counts):
        return f"Queue {queue}: nothing happened."
    last = counts.iloc[-1]
    held = int((counts["ready"] + counts["unacknowledged"]).max())
    return (
        f"Queue {queue} over time: at most {held} messages kept, {int(counts['unacknowledged'].max())} of them "
        f"unacknowledged; in the end {int(last['ready'])} ready and {int(last['unacknowledged'])} unacknowledged."
    )
