"""Runs a lesson as a learner does, cell by cell, and says at once what each cell shows: ``python play.py LESSON``.

With ``--solve`` the exercises are solved first. A cell that raises ends it with that error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

__all__ = ["Player"]

#: How long a cell may take, in seconds: on a broker of somebody else a dead letter that must not be lost is tried
#: again after three minutes.
CELL_SECONDS = 300


class Player(NotebookClient):
    """A notebook's client that prints what it gets."""

    def output(self, outs: Any, msg: Any, display_id: str, cell_index: int) -> Any:
        """Print an output, and keep it as usual."""
        content = msg["content"]
        sys.stdout.write(content.get("text") or content.get("data", {}).get("text/plain", "") + "\n")
        sys.stdout.flush()
        return super().output(outs, msg, display_id, cell_index)


def main(name: str, *options: str) -> None:
    """Play one lesson."""
    path = Path(name)
    notebook = nbformat.read(path, as_version=4)
    if "--solve" in options:
        from workq_helpers.lessons import CHAPTERS  # not there yet where the first cell installs it

        sources = [exercise.read() for chapter in CHAPTERS for exercise in chapter.exercises]
        solutions = {source.exercise.strip(): source.solution for source in sources}
        for cell in notebook.cells:
            cell.source = solutions.get(cell.source.strip(), cell.source)
    Player(notebook, timeout=CELL_SECONDS, resources={"metadata": {"path": str(path.parent)}}).execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
