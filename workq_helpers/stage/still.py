"""`Still`: the stage as a picture, for where no widget can live."""

from __future__ import annotations

import base64
import html
import io
import secrets
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from typing import Any, Final

from IPython import display
from PIL import Image, ImageDraw, ImageFont

from workq_helpers.pictures.palette import BAND, BLUE, FAINT, INK, MUTED, ORANGE, PAPER, RED
from workq_helpers.stage.frame import Chip, Frame, PublisherColumn, QueueCard, QueueCount, Slot, WorkerCard
from workq_helpers.text import shortened

__all__ = ["HIDDEN_BESIDE_A_LIVE_STAGE", "Still", "alternative_text", "draw"]

#: A style for the notebook: where the widget is gone JupyterLab says no more than "model not found".
_NO_WIDGET = (
    ".jp-OutputArea-child:has(+ .jp-OutputArea-child .workq-still) .jupyter-widgets:not(:has(*)) { display: none; }"
)

#: A style for the page, JupyterLab's or nbclassic's: where the stage lives its picture is not needed.
HIDDEN_BESIDE_A_LIVE_STAGE = (
    ":is(.jp-OutputArea, .output_wrapper):has(.workq-stage, .workq-elsewhere) .workq-still { display: none; }"
)

#: Drawn at twice the size it is shown at, for sharp text.
_SCALE = 2
_WIDTH = 960
_MARGIN = 16
_GAP = 10
_LINE = 20
_CARD_WIDTH = 330
_MOST_CARDS = 8
_MOST_NAMED = 12

#: What of a frame the picture shows.
_SHOWN: Final = ("lesson", "broker", "publishers", "queues", "resting", "more_queues", "more_workers", "ends")


class Still:
    """One picture, kept up to date in every place where the stage was shown."""

    def __init__(self) -> None:
        self._display_id = f"workq-stage-{secrets.token_hex(4)}"
        self._displayed = False
        self._drawn: object = None

    def display(self, frame: Frame) -> None:
        """Show the picture of a frame below the cell that runs."""
        self._displayed = True
        self._drawn = _shown(frame)
        display.display(_bundle(frame), raw=True, display_id=self._display_id)

    def update(self, frame: Frame) -> None:
        """Show another frame in its place, if that looks any different."""
        shown = _shown(frame)
        if not self._displayed or shown == self._drawn:
            return
        self._drawn = shown
        display.update_display(_bundle(frame), raw=True, display_id=self._display_id)


def _shown(frame: Frame) -> object:
    """Return what the picture depends on: not on how far the work is, nor on what workers print."""
    workers = [
        {**worker, "console": None, "busy_with": worker["busy_with"] and worker["busy_with"]["key"]}
        for worker in frame["workers"]
    ]
    return [workers, *(frame[name] for name in _SHOWN)]


def _bundle(frame: Frame) -> dict[str, str]:
    text = alternative_text(frame)
    picture = base64.b64encode(draw(frame)).decode("ascii")
    caption = (
        "A picture of the stage. To bring it to life in JupyterLab, click its cell and choose "
        "“Restart Kernel and Run up to Selected Cell…” in the menu “Kernel”."
    )
    return {
        "text/plain": text,
        "text/html": (
            f"<style>{_NO_WIDGET}</style>"
            f'<div class="workq-still"><img alt="{html.escape(text, quote=True)}" style="max-width: 100%" '
            f'width="{_WIDTH}" src="data:image/png;base64,{picture}"><p><em>{caption}</em></p></div>'
        ),
    }


def alternative_text(frame: Frame) -> str:
    """Return what the picture of a frame shows, in words."""
    parts = [f"The stage of the lesson {frame['lesson']}: {frame['broker']['name']}, {frame['broker']['state']}."]
    for queue in frame["queues"]:
        kind = " ".join(filter(None, (queue["durability"], queue["type"])))
        counts = f"{queue['ready']['log']} ready and {queue['unacknowledged']['log']} unacknowledged messages"
        parts.append(f"Queue {queue['name']}{f' ({kind})' if kind else ''} with {counts}{_named(queue['waiting'])}.")
    for worker in frame["workers"][:_MOST_CARDS]:
        parts.append(f"{worker['name']}, {_mode(worker)}, is {_doing(worker)}; {worker['done']} done.")
    hidden = len(frame["workers"]) + frame["more_workers"] - _MOST_CARDS
    if hidden > 0:
        parts.append(f"{hidden} more workers.")
    for place, end in frame["ends"].items():
        if end["count"]:
            names = _named(end["recent"]) if place != "done" else ""
            parts.append(f"{end['count']} {place}{names}.")
    return " ".join(parts)


def _named(chips: Sequence[Chip | Slot]) -> str:
    names = [chip["task"] for chip in chips[:_MOST_NAMED]]
    return f": {', '.join(names)}{', …' if len(chips) > len(names) else ''}" if names else ""


def _doing(worker: WorkerCard) -> str:
    if busy_with := worker["busy_with"]:
        return f"{worker['state']} with {busy_with['task']}"
    return worker["state"] + (_named(worker["slots"]) if worker["state"] == "holding" else "")


def _mode(worker: WorkerCard) -> str:
    if worker["ack"] == "auto":
        return "auto ack"
    return f"manual ack, prefetch {worker['prefetch_count'] or 'without limit'}"


def draw(frame: Frame) -> bytes:
    """Return the picture of a frame as PNG."""
    workers = frame["workers"][:_MOST_CARDS]
    queues = frame["queues"]
    heights = [(2 if queue["name"] in frame["resting"] else 6) * _LINE for queue in queues]
    body = max(sum(heights), len(workers) * _card_height(), 4 * _LINE)
    hidden = len(frame["workers"]) + frame["more_workers"] - len(workers)
    ends = [(place, end) for place, end in frame["ends"].items() if end["count"]]
    height = 2 * _MARGIN + 2 * _LINE + body + (bool(hidden) + 2 * len(ends)) * _LINE + _GAP
    pen = _Pen(height)
    pen.text(_MARGIN, _MARGIN, f"{frame['broker']['name']} · {frame['broker']['found']} · {frame['broker']['state']}")
    top = _MARGIN + 2 * _LINE
    _draw_publishers(pen, top, frame["publishers"])
    for position, queue in enumerate(queues):
        _draw_queue(pen, top + sum(heights[:position]), queue, resting=queue["name"] in frame["resting"])
    for position, worker in enumerate(workers):
        _draw_worker(pen, top + position * _card_height(), worker)
    y = top + body + _GAP
    if hidden:
        pen.text(_WIDTH - _MARGIN - _CARD_WIDTH, y, f"and {hidden} more workers", MUTED)
        y += _LINE
    for place, end in ends:
        pen.text(_MARGIN, y, f"{end['count']} {place}", bold=True)
        pen.chips(_MARGIN + 110, y, end["recent"], _WIDTH - 2 * _MARGIN - 110, RED.face if place == "lost" else BAND)
        y += 2 * _LINE
    return pen.png()


def _card_height() -> int:
    return 4 * _LINE + _GAP


def _draw_publishers(pen: _Pen, y: int, publishers: PublisherColumn) -> None:
    pen.box(_MARGIN, y, 110, 3 * _LINE, BAND)
    pen.text(_MARGIN + 10, y + 8, "publisher", bold=True)
    pen.text(_MARGIN + 10, y + 8 + _LINE, f"{publishers['published']} sent", MUTED)


def _draw_queue(pen: _Pen, y: int, queue: QueueCard, resting: bool) -> None:
    x, width = _MARGIN + 130, _WIDTH - 2 * _MARGIN - 130 - _CARD_WIDTH - 20
    held = f"{queue['ready']['log']} ready" if resting else ""
    kind = " · ".join(filter(None, (queue["durability"], queue["type"], "gone" if queue["gone"] else "", held)))
    pen.box(x, y, width, round(1.6 * _LINE) if resting else 5 * _LINE, PAPER)
    pen.text(x + 10, y + 8, queue["name"] or "(on its way)", bold=True)
    pen.text(x + 10 + pen.width(queue["name"], bold=True) + 12, y + 8, kind, MUTED)
    if resting:
        return
    counts = [_counted("ready", queue["ready"]), _counted("unacknowledged", queue["unacknowledged"])]
    pen.text(x + 10, y + 8 + _LINE, "    ".join(counts), MUTED)
    pen.chips(x + 10, y + 8 + 2 * _LINE + 6, queue["waiting"], width - 20, BLUE.face, queue["more"])


def _counted(what: str, count: QueueCount) -> str:
    return f"{what} {count['log']} log / {'?' if count['broker'] is None else count['broker']} broker"


def _draw_worker(pen: _Pen, y: int, worker: WorkerCard) -> None:
    x = _WIDTH - _MARGIN - _CARD_WIDTH
    pen.box(x, y, _CARD_WIDTH, 4 * _LINE, PAPER)
    pen.text(x + 10, y + 6, worker["name"], bold=True)
    pen.text(x + 10 + pen.width(worker["name"], bold=True) + 12, y + 6, worker["state"], INK)
    pen.text(x + 10, y + 6 + _LINE, f"{_mode(worker)} · {worker['done']} done", MUTED)
    pen.chips(x + 10, y + 12 + 2 * _LINE, worker["slots"], _CARD_WIDTH - 20, BLUE.face, worker["more"])


class _Pen:
    """Draws in the units of the page; knows nothing of stages."""

    def __init__(self, height: int) -> None:
        self._image = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, x: int, y: int, width: int, height: int, fill: str) -> None:
        corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE)
        self._draw.rounded_rectangle(corners, radius=6 * _SCALE, fill=fill, outline=FAINT, width=_SCALE)

    def text(self, x: float, y: float, text: str, color: str = INK, bold: bool = False) -> None:
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=color, font=_font(bold))

    def width(self, text: str, bold: bool = False) -> float:
        return float(self._draw.textlength(text, font=_font(bold))) / _SCALE

    def chips(self, x: int, y: int, chips: Sequence[Chip | Slot], width: int, fill: str, more: int = 0) -> None:
        """Draw as many messages as fit into a row, and count the others."""
        left, shown = float(x), 0
        for chip in chips:
            label = _label(chip)
            wide = self.width(label) + 14
            if left + wide > x + width - 70 and shown:
                break
            face = ORANGE.face if chip.get("phase") == "working" else fill
            self.box(int(left), y, int(min(wide, width)), _LINE + 4, face)
            self.text(left + 7, y + 3, label)
            left += wide + 6
            shown += 1
        hidden = len(chips) - shown + more
        if hidden:
            self.text(left + 4, y + 3, f"+ {hidden:,} more", MUTED)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self._image.quantize(64).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


def _label(chip: Chip) -> str:
    return shortened(chip["task"], 24) + (" · redelivered" if chip["redelivered"] else "")


@cache
def _font(bold: bool) -> Any:
    # matplotlib has fonts on every system; to import it takes a second, and no stage wants more of it.
    folder = metadata.distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf")
    return ImageFont.truetype(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), 12 * _SCALE)
