"""Runs the lessons and keeps what they showed: `make notebooks`.

The notebooks themselves stay as a learner meets them: not run. What a cell showed, at one second a dot, goes to
``tests/notebooks/expected``, where nbval compares it; what says when, where or by whom it was run is left out, so that
two runs differ only where RabbitMQ or the clock made a difference. Cells tagged "nbval-ignore-output" show something
else each time, and nothing is kept of them. The cells of exercises are derived from their sources.
"""

import base64
import copy
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from workq_helpers.lessons import CHAPTERS

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "notebooks" / "expected"

#: The lesson whose first picture the README shows.
PICTURED = "01_round_robin.ipynb"

#: nbval's own name for what differs from run to run, and ours for what a learner completes.
IGNORED = {"nbval-ignore-output", "your-turn"}

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_WIDGET = "application/vnd.jupyter.widget-view+json"
#: It moves a stage, and where outputs are kept there is none.
_REPLAY_LINK = r'<p><a href=\\"#workq-replay/[^"]*\\">[^<]*</a></p>'
#: Tells a picture of the stage from other outputs.
STILL = 'class="workq-still"'


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
        text = json.dumps(kept_outputs(notebook), indent=1, ensure_ascii=False)
        (EXPECTED / f"{path.stem}.json").write_text(text + "\n", encoding="utf-8")
        unrun(notebook)
        nbformat.write(notebook, path)
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
            if STILL in str(cell.get("outputs")):
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


def kept_outputs(notebook: nbformat.NotebookNode) -> dict[str, list[dict[str, Any]]]:
    """Return the outputs that are compared, by the id of their cell, without pixels."""
    return {
        cell.id: [without_pixels(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.get("outputs") and not IGNORED.intersection(cell.metadata.get("tags", ()))
    }


def unrun(notebook: nbformat.NotebookNode) -> None:
    """Leave a notebook as it is before anybody runs it."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def with_expected_outputs(path: Path) -> nbformat.NotebookNode:
    """Return a lesson with the outputs that are kept of it, as if it had been run."""
    notebook = nbformat.read(path, as_version=4)
    expected = json.loads((EXPECTED / f"{path.stem}.json").read_text(encoding="utf-8"))
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
        cell.outputs = [nbformat.from_dict(output) for output in expected.get(cell.id, [])]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    return notebook


def without_pixels(output: nbformat.NotebookNode) -> dict[str, Any]:
    """Return an output as a dictionary, without what no test compares."""
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "PNG", json.dumps(output))
    kept: dict[str, Any] = json.loads(re.sub(_REPLAY_LINK, "", text))
    kept.get("data", {}).pop("image/png", None)
    kept.pop("execution_count", None)  # another one after each cell that is added above
    return kept


def first_picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return the first picture that a cell showed, as PNG."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return base64.b64decode(
        next(output.data["image/png"] for output in outputs if "image/png" in output.get("data", {}))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
