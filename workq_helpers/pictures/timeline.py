"""`timeline` and `timelines`: logs as pictures, a row a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.log.events import EventLog
from workq_helpers.pictures.chart import Chart, at_work, counted, rows_of, word
from workq_helpers.pictures.palette import (
    BAND,
    BLUE,
    FAINT,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    YELLOW,
)
from workq_helpers.pictures.picture import Picture
from workq_helpers.pictures.style import STYLE, WIDTH, Look, drawable, one_line
from workq_helpers.text import shortened

__all__ = ["bar_names", "timeline", "timelines"]

#: From so many deliveries on a row shows how busy its worker was instead of every task.
MOST_BARS = 300

_ROW_HEIGHT = 0.72
_TOP, _BOTTOM, _RIGHT = 0.02, 0.92, 0.95
_LEGEND_KEY = 38.0  # in points: what a legend's entry needs besides its words
_TITLE = 0.42  # above a timeline that has a title
_BAR = 0.40

_DONE = Look("callback at work", *BLUE)
_LOOKS = {
    "acked": _DONE,
    "auto-acked": _DONE,
    "at work": Look("callback at work so far", BLUE.face, BLUE.edge, line=":"),
    "in hand": Look("not acknowledged so far", PAPER, BLUE.edge, line="--"),
    "requeued": Look("cut short, message requeued", *ORANGE, hatch="////"),
    "finished": Look("finished after the message went back", *ORANGE, hatch="oo"),
    "lost": Look("cut short, message lost", *RED, hatch="xxxx"),
    "failed": Look("the callback raised", *PURPLE, hatch="...."),
    "nacked": Look("nacked", *YELLOW, hatch="\\\\\\\\"),
    "rejected": Look("rejected", *YELLOW, hatch="----"),
}

#: Ends of a worker's row, with their marker and size.
_ENDS = {"killed": ("X", 9.0), "crashed": ("X", 9.0), "stopped": ("|", 9.0)}


def timeline(
    log: EventLog, *, since_seconds: float = 0.0, without: Collection[str] = (), now_seconds: float = 0.0
) -> Picture:
    """Draw what each worker did and when.

    A row a worker, on a band from its connecting to its end. A bar is a callback at work, with its task. A
    thin line below it is a delivery that waits in the worker for its turn; a dotted one is a delivery whose
    callback has returned and whose acknowledgment is missing. Of a program, whose work nobody sees, the thin line is
    all that it held. Triangles on top are tasks being published.

    Args:
        log: The log to draw.
        since_seconds: What was over by then is left out, in seconds of the log.
        without: Workers and publishers that are left out.
        now_seconds: Up to when a callback is drawn that is still at work, in seconds of the log; up to the last event
            by default.

    Returns:
        The picture; time runs from the first task, in seconds.
    """
    chart = Chart.of(log, since_seconds, without, now_seconds)
    with mpl.rc_context(STYLE):
        return Picture(_draw([("", chart)]), chart.describe())


def timelines(logs: Mapping[str, EventLog]) -> Picture:
    """Draw several timelines below each other on one scale, so that their lengths can be compared.

    Each ends with its last piece of work, where a dashed line says how long it took. What came later, such as
    the end of its workers, is left out.

    Args:
        logs: The logs to draw, by title.

    Returns:
        The picture; times run from each log's first task, in seconds.

    Raises:
        InvalidArgumentError: There is no log.
    """
    if not logs:
        raise InvalidArgumentError(
            "There is no log to draw. Pass some by title, as in timelines({'today': lesson.log})."
        )
    charts = [(title, Chart.of(log).while_at_work()) for title, log in logs.items()]
    words = [f"{one_line(title)}: {chart.describe()}" for title, chart in charts]
    with mpl.rc_context(STYLE):
        return Picture(_draw(charts), f"{counted(len(charts), 'timeline')} on one scale. {' '.join(words)}")


def _draw(charts: Sequence[tuple[str, Chart]]) -> Figure:
    rows = [max(1, len(chart.workers)) + 1 for _, chart in charts]
    titles = [_TITLE if title else 0.0 for title, _ in charts]
    height = _TOP + sum(rows) * _ROW_HEIGHT + sum(titles) + _BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
    names = [name for _, chart in charts for name in chart.workers]
    left = 0.45 + 0.085 * min(24, max((len(name) for name in [*names, "published"]), default=0))
    left = max(left, 1.45)
    span = max(chart.span for _, chart in charts)
    pad = span * 0.012
    points = (WIDTH - left - _RIGHT) * 72 / (span + 2 * pad)
    shown: dict[str, Any] = {}
    top = height - _TOP
    for number, (title, chart) in enumerate(charts):
        top -= titles[number] + rows[number] * _ROW_HEIGHT
        axes = figure.add_axes(
            (left / WIDTH, top / height, (WIDTH - left - _RIGHT) / WIDTH, rows[number] * _ROW_HEIGHT / height)
        )
        axes.set_xlim(-pad, span + pad)
        axes.set_ylim(rows[number] - 0.5, -0.5)
        _draw_axis(axes, last=number == len(charts) - 1)
        if title:
            _draw_title(axes, title, chart.span)
        _draw_chart(axes, chart, points, shown)
    hidden = sum(chart.hidden for _, chart in charts)
    if hidden:
        figure.text(0.012, 0.02, f"{counted(hidden, 'more worker')} not drawn", color=MUTED, fontsize=8)
    if shown:
        _draw_legend(figure, shown, (left + (WIDTH - left - _RIGHT) / 2) / WIDTH)
    return figure


def _draw_chart(axes: Axes, chart: Chart, points: float, shown: dict[str, Any]) -> None:
    _draw_published(axes, chart, points)
    names = bar_names(chart.deliveries["task"]) if len(chart.deliveries) else {}
    crowded = len(chart.deliveries) > MOST_BARS
    for row, worker in enumerate(chart.workers, start=1):
        mine = chart.deliveries[chart.deliveries["worker"] == worker]
        _draw_worker(axes, row, worker, chart, mine)
        if crowded:
            _draw_busy(axes, row, mine, chart.span, shown)
        else:
            seen = worker not in chart.programs
            _draw_tasks(axes, row, mine, names, chart.span, points, shown, seen=seen)


def _draw_title(axes: Axes, title: str, span: float) -> None:
    """Name a timeline above it, and say where it ends."""
    axes.set_title(drawable(title), loc="left", fontsize=10.5, color=INK, pad=4)
    axes.axvline(span, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, zorder=4)
    axes.annotate(
        f"{span:.1f} s",
        (span, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        color=INK,
        annotation_clip=False,
    )


def _draw_legend(figure: Figure, shown: dict[str, Any], middle: float) -> None:
    figure.legend(
        handles=list(shown.values()),
        loc="lower center",
        bbox_to_anchor=(middle, 0.02 / figure.get_figheight()),
        ncols=_columns([str(each.get_label()) for each in shown.values()]),
        frameon=False,
        fontsize=8,
        labelcolor=MUTED,
        handlelength=1.8,
        columnspacing=1.6,
        handletextpad=0.6,
    )


def _columns(labels: Sequence[str]) -> int:
    """Return how many columns of a legend fit into a picture; with one more it would have as many rows."""
    fits = max(1, int(WIDTH * 72 // (max(map(_text_width, labels)) + _LEGEND_KEY)))
    rows = -(-len(labels) // fits)
    return -(-len(labels) // rows)


def _draw_axis(axes: Axes, *, last: bool) -> None:
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="x", colors=MUTED, labelsize=8, length=3)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if last:
        axes.set_xlabel("seconds after the first task", fontsize=8, color=MUTED)
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)


def _label(axes: Axes, row: float, name: str, note: str, tally: str) -> None:
    """Name a row on its left and count on its right."""
    place = axes.get_yaxis_transform()
    up = 0.11 if note else 0.0
    axes.text(
        -0.015,
        row - up,
        drawable(shortened(name, 24)),
        transform=place,
        ha="right",
        va="center",
        fontsize=9.5,
        color=INK,
    )
    if note:
        axes.text(-0.015, row + 0.14, note, transform=place, ha="right", va="center", fontsize=7.5, color=MUTED)
    if tally:
        axes.text(1.012, row - up, tally, transform=place, ha="left", va="center", fontsize=8.5, color=MUTED)


def _draw_published(axes: Axes, chart: Chart, points: float) -> None:
    if not chart.published:
        return
    _label(axes, 0, "published", "", f"{len(chart.published):,} sent")
    apart = 9 / points
    groups: list[list[float]] = []
    for seconds in sorted(chart.published):
        if groups and seconds - groups[-1][0] < apart:
            groups[-1].append(seconds)
        else:
            groups.append([seconds])
    axes.plot(
        [group[0] for group in groups],
        [0.0] * len(groups),
        linestyle="",
        marker="v",
        markersize=6.5,
        color=GREEN.face,
        markeredgecolor=GREEN.edge,
    )
    room = [*(group[0] for group in groups[1:]), chart.span * 1.1]
    for group, free_until in zip(groups, room, strict=True):
        if group[-1] > group[0] + apart / 2 or len(group) == 1 or (free_until - group[0]) * points < 75:
            continue
        text = f"{len(group):,} at once"
        axes.text(group[0] + 7 / points, 0.0, text, ha="left", va="center", fontsize=8, color=MUTED)


def _draw_worker(axes: Axes, row: int, worker: str, chart: Chart, mine: pd.DataFrame) -> None:
    begin, end = chart.bands[worker]
    axes.add_patch(
        Rectangle((begin, row - 0.42), max(end - begin, 0.0), 0.84, facecolor=BAND, edgecolor="none", zorder=0.5)
    )
    done = int(mine["outcome"].isin(["acked", "auto-acked"]).sum())
    _label(axes, row, worker, chart.notes.get(worker, ""), f"{done:,} done" if len(mine) else "nothing")
    if worker in chart.ends:
        what = chart.ends[worker]
        marker, size = _ENDS[what]
        axes.plot([end], [row - 0.12], marker=marker, markersize=size, color=INK, zorder=5, clip_on=False)
        late = end > chart.span * 0.9
        axes.annotate(
            what,
            (end, row - 0.12),
            xytext=(0, -18) if late else (8, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            va="center",
            fontsize=8,
            color=INK,
            zorder=5,
        )


def _draw_tasks(
    axes: Axes,
    row: int,
    mine: pd.DataFrame,
    names: Mapping[str, Sequence[str]],
    span: float,
    points: float,
    shown: dict[str, Any],
    *,
    seen: bool,
) -> None:
    """Draw every delivery: a bar while the callback ran, thin lines before and after it; `seen` says if work is."""
    held: list[_Held] = []
    for each in rows_of(mine):
        settled = span if pd.isna(each.settled_seconds) else each.settled_seconds
        if pd.isna(each.started_seconds):
            held.append(_Held(each.delivered_seconds, settled, "solid", each.outcome, seen))
            continue
        finished = each.finished_seconds
        end = finished if pd.notna(finished) else settled
        held.append(_Held(each.delivered_seconds, each.started_seconds, "solid", ""))
        if pd.notna(finished) and settled > finished:
            held.append(_Held(finished, settled, "dotted", each.outcome))
        outlived = each.outcome == "requeued" and pd.notna(finished) and finished >= settled
        look = _LOOKS["finished" if outlived else "at work" if at_work(each) else each.outcome]
        axes.add_patch(
            Rectangle(
                (each.started_seconds, row - 0.12 - _BAR / 2),
                max(end - each.started_seconds, 0.0),
                _BAR,
                facecolor=look.face,
                edgecolor=look.edge,
                hatch=look.hatch,
                linestyle=look.line,
                linewidth=1.0,
                zorder=3,
            )
        )
        shown.setdefault(
            look.legend,
            Patch(facecolor=look.face, edgecolor=look.edge, hatch=look.hatch, ls=look.line, label=look.legend),
        )
        again = "↻ " if each.redelivered else ""
        text = _fit([again + name for name in names[each.task]], (end - each.started_seconds) * points - 7)
        if text:
            _write(axes, each.started_seconds + 3.5 / points, row, text, bool(look.hatch))
    _draw_held(axes, row, [line for line in held if (line.end - line.begin) * points > 2], shown)


def _write(axes: Axes, seconds: float, row: int, text: str, hatched: bool) -> None:
    axes.text(
        seconds,
        row - 0.12,
        text,
        ha="left",
        va="center_baseline",
        fontsize=8,
        color=INK,
        zorder=4,
        clip_on=True,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 0.8} if hatched else None,
    )


class _Held(NamedTuple):
    """A stretch in which a worker has a message and does not work on it, or nobody sees whether it does."""

    begin: float
    end: float
    style: str
    outcome: str
    seen: bool = True


def _draw_held(axes: Axes, row: int, held: Sequence[_Held], shown: dict[str, Any]) -> None:
    """Draw those stretches below the bars, each in the first lane that is free."""
    lanes: list[float] = []
    placed: list[tuple[int, _Held]] = []
    for line in sorted(held):
        lane = next((number for number, free in enumerate(lanes) if free <= line.begin), len(lanes))
        lanes[lane : lane + 1] = [line.end]
        placed.append((lane, line))
    step = min(0.075, 0.27 / max(1, len(lanes)))
    for lane, line in placed:
        y = row + 0.14 + lane * step
        axes.plot([line.begin, line.end], [y, y], color=MUTED, linewidth=1.0, linestyle=line.style, zorder=2.5)
        if line.style == "solid":
            axes.plot([line.begin], [y], marker="o", markersize=2.2, color=MUTED, zorder=2.5)
        if line.outcome in ("requeued", "lost"):
            marker = "<" if line.outcome == "requeued" else "x"
            color = _LOOKS[line.outcome].edge
            axes.plot([line.end], [y], marker=marker, markersize=4.5, color=color, zorder=4.5)
            label = f"{line.outcome} before its turn" if line.seen else line.outcome
            shown.setdefault(label, Line2D([], [], color=color, marker=marker, ls="", ms=5, label=label))
        elif line.style == "solid" and not line.outcome:
            axes.plot([line.end, line.end], [row + 0.08, y], color=MUTED, linewidth=0.8, zorder=2.4)
        label = _label_of(line)
        shown.setdefault(label, Line2D([], [], color=MUTED, lw=1.0, ls=line.style, label=label))


def _label_of(held: _Held) -> str:
    if not held.seen:
        return "delivered to a program, not acknowledged yet"
    return "delivered, waits in the worker" if held.style == "solid" else "finished, not acknowledged"


def _draw_busy(axes: Axes, row: int, mine: pd.DataFrame, span: float, shown: dict[str, Any]) -> None:
    """Draw how busy the worker was, and count its deliveries, where bars would be too many to see."""
    began = mine[mine["started_seconds"].notna()]
    begin = np.sort(began["started_seconds"].to_numpy())
    end = np.sort(began["finished_seconds"].fillna(began["settled_seconds"]).fillna(span).to_numpy())
    edges = np.linspace(0.0, span, 161)
    share = np.clip(np.diff(_time_before(edges, begin) - _time_before(edges, end)) / (span / 160), 0.0, 1.0)
    floor = row - 0.12 + _BAR / 2
    axes.stairs(
        floor - _BAR * share,
        edges,
        baseline=floor,
        fill=True,
        facecolor=_DONE.face,
        edgecolor=_DONE.edge,
        linewidth=0.8,
        zorder=3,
    )
    shown.setdefault("busy", Patch(facecolor=_DONE.face, edgecolor=_DONE.edge, label="share of time at work"))
    counts = Counter(word(str(outcome)) for outcome in mine["outcome"])
    what = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.items()) if outcome != "done")
    axes.text(span * 0.004, row + 0.25, what, ha="left", va="center", fontsize=7.5, color=MUTED)


def _time_before(edges: Any, moments: Any) -> Any:
    """Return, for each edge, the time from every earlier moment until then, added up."""
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    earlier = np.searchsorted(moments, edges)
    return edges * earlier - sums[earlier]


def bar_names(tasks: Iterable[str]) -> dict[str, list[str]]:
    """Return for each task what a bar may name it by, the longest first; each tells it from all others.

    A task's dots are its work and say nothing of it; words that all tasks begin with tell none from another.
    """
    bare = {task: task.rstrip(". …") or task for task in tasks}
    words = [name.split() for name in set(bare.values())]
    common = 0
    if len(words) > 1:
        common = next((number for number, column in enumerate(zip_longest(*words)) if len(set(column)) > 1), 0)
    names = {task: dict.fromkeys([task, name, " ".join(name.split()[common:]) or name]) for task, name in bare.items()}
    return {task: list(each) for task, each in names.items()}


def _fit(names: Sequence[str], points: float) -> str:
    """Return the first of the names that so many points of width hold, or nothing."""
    return next((text for text in map(drawable, names) if _text_width(text) <= points), "")


def _text_width(text: str) -> float:
    font = get_font(findfont("DejaVu Sans"))
    font.set_size(8, 72)
    font.set_text(text)
    return float(font.get_width_height()[0]) / 64
