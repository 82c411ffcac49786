"""`workq run`: what to do with saved runs in a terminal."""

from __future__ import annotations

from pathlib import Path

import click

from workq_helpers.stage import saving
from workq_helpers.stage.run_diff import Compared, compare
from workq_helpers.stage.run_page import html_table, page
from workq_helpers.stage.saved_run import SavedRun, TaskRow
from workq_helpers.text import printable, shortened

__all__ = ["runs"]

_FILE = click.Path(dir_okay=False, path_type=Path)
#: So much of a cell is printed: each row of a table is as wide as its widest one.
_MOST_CHARACTERS = 80
_HEAD = ("task", "first", "second")


@click.group("run")
def runs() -> None:
    """Keep, turn and compare runs that `lesson.save_run` saved."""


@runs.command()
@click.argument("run", type=_FILE)
@click.argument("file", type=_FILE)
def save(run: Path, file: Path) -> None:
    """Save RUN once more as FILE: .html to be played in a browser, .json to be read by programs."""
    click.echo(f"Saved as {saving.save(saving.load(run), file)}.")


@runs.command()
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
@click.option("--page", "file", type=_FILE, metavar="FILE", help="Write a page with both players side by side.")
def diff(first: Path, second: Path, file: Path | None) -> None:
    """Show what became of each task in two runs.

    The exit status is 0 if all tasks fared the same and 1 if not.
    """
    before, after = saving.load(first), saving.load(second)
    compared = compare(before.file["tasks"], after.file["tasks"])
    for line in _lines(before, after, compared):
        click.echo(printable(line))
    if file is not None:
        click.echo(f"Saved as {saving.write(file, page(before, after, table=_table(compared)))}.")
    raise click.exceptions.Exit(any(each.differs for each in compared))


def _lines(before: SavedRun, after: SavedRun, compared: list[Compared]) -> list[str]:
    names = [f"{run.file['lesson']}, RabbitMQ {run.file['rabbitmq']}" for run in (before, after)]
    rows = [
        tuple(shortened(cell, _MOST_CHARACTERS) for cell in cells)
        for cells in ((_HEAD[0], *names), *map(_cells, compared))
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    marks = ["", *map(_mark, compared)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join([*row, mark]).rstrip() for row, mark in zip(cells, marks, strict=True)]


def _cells(compared: Compared) -> tuple[str, str, str]:
    first, second = (_told(task, queue_too=compared.moved) for task in (compared.first, compared.second))
    return compared.task, first, second


def _told(task: TaskRow | None, *, queue_too: bool) -> str:
    if task is None:
        return "not in it"
    deliveries = task["deliveries"]
    times = "never delivered" if not deliveries else f"{deliveries} {'delivery' if deliveries == 1 else 'deliveries'}"
    told = f"{task['fate']}, {times}{' to ' + task['workers'] if task['workers'] else ''}"
    return f"{told}, in {task['queue']}" if queue_too else told


def _table(compared: list[Compared]) -> str:
    return html_table((*_HEAD, ""), ((*_cells(each), _mark(each)) for each in compared))


def _mark(compared: Compared) -> str:
    return "differs" if compared.differs else ""
