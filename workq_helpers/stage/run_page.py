"""`page`: a saved run with its player as one file, which opens in any browser without a network."""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from workq_helpers.errors import RunFileError
from workq_helpers.stage.saved_run import MOST_BYTES, SavedRun, TaskRow

__all__ = ["PLAYER_CSS", "PLAYER_JS", "html_table", "packed", "page", "player_element", "run_line", "unpacked"]

_BUNDLE = Path(__file__).parent / "bundle"

#: The stage's style, and what a page of players needs besides; and the player. Made by ``make bundle``.
PLAYER_CSS = "".join((_BUNDLE / name).read_text(encoding="utf-8") for name in ("stage.css", "player.css"))
PLAYER_JS = (_BUNDLE / "player.js").read_text(encoding="utf-8")

#: Nothing is fetched, whatever a run holds.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_PACKED = re.compile(r'<script type="application/gzip" data-workq-run[^>]*>([A-Za-z0-9+/=\s]*)</script>')


def packed(run: SavedRun) -> str:
    """Return a run as the player takes it: gzip in base64."""
    return base64.b64encode(gzip.compress(run.text.encode(), 9, mtime=0)).decode("ascii")


def unpacked(text: str) -> str:
    """Return the text of the run in a page; of the first one, where there are several.

    Raises:
        RunFileError: There is none in it.
    """
    found = _PACKED.search(text)
    if found is None:
        raise RunFileError("There is no saved run in this page. Choose one that `lesson.save_run` wrote.")
    try:
        with gzip.open(io.BytesIO(base64.b64decode(found[1]))) as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise RunFileError(f"The run in this page has more than {MOST_BYTES:,} bytes, and no run has.")
        return raw.decode()
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise RunFileError(f"The run in this page is not whole: {error}. Get the file once more.") from error


def player_element(run: SavedRun, at_seconds: float | None = None) -> str:
    """Return the element of a page in which a run plays.

    Args:
        run: The run.
        at_seconds: Where it is opened; at its beginning by default.
    """
    at = "" if at_seconds is None else f' data-at-seconds="{at_seconds:g}"'
    return (
        f'<div class="workq-player-place"{at}><script type="application/gzip" data-workq-run>{packed(run)}</script>'
        f"<noscript>{html.escape(run_line(run))} Its player needs JavaScript.</noscript></div>"
    )


def run_line(run: SavedRun) -> str:
    """Return in a sentence what a run is."""
    file = run.file
    return (
        f"A run of the lesson {file['lesson']}, recorded on {file['recorded']} with RabbitMQ {file['rabbitmq']}: "
        "what is shown happened, and is shown as it was seen then."
    )


def page(*runs: SavedRun, table: str = "") -> str:
    """Return a page that plays a run, or several side by side.

    Args:
        runs: The runs.
        table: HTML to put below; by default what became of each task.
    """
    title = " · ".join(f"{run.file['lesson']}, RabbitMQ {run.file['rabbitmq']}" for run in runs)
    places = "\n".join(
        f"<section><h2>Recorded on {html.escape(run.file['recorded'])}</h2>\n"
        f"<p>{html.escape(run_line(run))}</p>\n{player_element(run)}\n"
        f"{'' if table else _tasks_table(run.file['tasks'])}</section>"
        for run in runs
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{PLAYER_CSS}</style>\n</head>\n"
        f'<body class="workq-page">\n<main>\n<h1>{html.escape(title)}</h1>\n'
        f'<div class="workq-page-runs">\n{places}\n</div>\n{table}</main>\n'
        f'<script type="module">\n{PLAYER_JS}</script>\n</body>\n</html>\n'
    )


def _tasks_table(tasks: list[TaskRow]) -> str:
    """Return what became of each task, as HTML that is folded until it is asked for."""
    table = html_table(TaskRow.__annotations__, ([str(cell) for cell in task.values()] for task in tasks))
    return f"<details><summary>What became of {len(tasks)} tasks</summary>\n{table}</details>\n"


def html_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of texts as HTML, which can be scrolled where it is too wide."""
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="workq-page-table" tabindex="0" role="region" aria-label="Tasks">'
        f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )
