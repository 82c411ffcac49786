"""Runs the lessons and keeps what they showed: `make notebooks`.

Every stored output is what a real run printed, at one second a dot. What says when, where or by whom it was
run is left out, so that two runs differ only where RabbitMQ or the clock made a difference.

What would give away the answer to a prediction is not kept in the notebook: the outputs from a call of `predict`
to the end of its section, and those of cells tagged "sealed", go to ``tests/notebooks/sealed``, where the tests
find them. The cells of exercises are derived from their sources.
"""

import base64
import copy
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from workq_helpers.lessons import CHAPTERS

ROOT = Path(__file__).resolve().parent.parent
SEALED = ROOT / "tests" / "notebooks" / "sealed"

#: The lesson whose first picture the README shows.
PICTURED = "01_round_robin.ipynb"

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STILL = 'class="workq-still"'


def main(names: list[str]) -> int:
    """Run the lessons of these file names, by default all of them."""
    os.environ.pop("WORKQ_SECONDS_PER_DOT", None)  # a learner's pictures, at a learner's pace
    paths = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not names or path.name in names]
    for path in paths:
        print(f"==> {path.name}")
        notebook = nbformat.read(path, as_version=4)
        derive_exercises(notebook)
        run(notebook, path.parent)
        tidy(notebook)
        if path.name == PICTURED:
            (ROOT / "docs" / "timeline.png").write_bytes(first_picture(notebook))
        sealed = seal(notebook)
        nbformat.write(notebook, path)
        SEALED.mkdir(exist_ok=True)
        text = json.dumps(sealed, indent=1, ensure_ascii=False)
        (SEALED / f"{path.stem}.json").write_text(text + "\n", encoding="utf-8")
    return 0 if paths else 1


def derive_exercises(notebook: nbformat.NotebookNode) -> None:
    """Write each exercise's cell anew: it is the first code cell of the section that is named after the exercise."""
    known = {each.name: each for chapter in CHAPTERS for each in chapter.exercises}
    wanted = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.match(r"## Exercise: (.+)", cell.source)):
            wanted = known[heading[1]].read().exercise
        elif cell.cell_type == "code" and wanted is not None:
            cell.source, wanted = wanted, None


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells, as a learner who has done nothing yet."""
    with tempfile.TemporaryDirectory() as data:
        os.environ["WORKQ_DATA_DIR"] = data
        client = NotebookClient(notebook, timeout=180, record_timing=False, resources={"metadata": {"path": folder}})
        stills: dict[int, list[nbformat.NotebookNode]] = {}

        def keep_still(cell: nbformat.NotebookNode, cell_index: int, **_: object) -> None:
            if _STILL in str(cell.get("outputs")):
                stills[cell_index] = copy.deepcopy(cell.outputs)

        client.on_cell_executed = keep_still
        client.execute()
    # The stage's picture goes on changing; later ones would tell what the learner is to find out.
    for index, outputs in stills.items():
        notebook.cells[index].outputs = outputs


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what differs from run to run without meaning anything, and widgets, which only live in a kernel."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
        cell.outputs = [output for output in cell.outputs if _WIDGET not in output.get("data", {})]


def seal(notebook: nbformat.NotebookNode) -> dict[str, list[nbformat.NotebookNode]]:
    """Take out of the notebook what would give an answer away.

    Returns:
        The outputs by the id of their cell, without pixels and without those that are not compared.
    """
    sealed = {}
    for cell in sealed_cells(notebook):
        tags = set(cell.metadata.get("tags", ()))
        if cell.outputs and "volatile" not in tags:
            sealed[cell.id] = [without_pixels(output) for output in cell.outputs]
        if cell.outputs or "sealed" in tags:
            # Whoever runs nbval without these outputs has nothing to compare with.
            cell.metadata = nbformat.from_dict({"tags": sorted(tags | {"sealed", "nbval-ignore-output"})})
        cell.outputs = []
    return sealed


def sealed_cells(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield the code cells after a call of `predict` in the same section, and those tagged "sealed"."""
    predicted = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            predicted = False
        if cell.cell_type == "code":
            if predicted or "sealed" in cell.metadata.get("tags", ()):
                yield cell
            predicted = predicted or re.search(r"^predict\(|\.predict\(", cell.source, re.MULTILINE) is not None


def without_pixels(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an output without what no test compares."""
    kept = json.loads(re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "PNG", json.dumps(output)))
    kept.get("data", {}).pop("image/png", None)
    return nbformat.from_dict(kept)


def first_picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return the first picture that a cell showed, as PNG."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return base64.b64decode(
        next(output.data["image/png"] for output in outputs if "image/png" in output.get("data", {}))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
