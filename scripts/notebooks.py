"""Runs the lessons and keeps what they showed: `make notebooks`.

Every stored output is what a real run printed, at one second a dot. What says when, where or by whom it was
run is left out, so that two runs differ only where RabbitMQ or the clock made a difference.
"""

import base64
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent

#: The lesson whose first picture the README shows.
PICTURED = "01_round_robin.ipynb"

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(names: list[str]) -> int:
    """Run the lessons of these file names, by default all of them."""
    os.environ.pop("WORKQ_SECONDS_PER_DOT", None)  # a learner's pictures, at a learner's pace
    paths = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not names or path.name in names]
    for path in paths:
        print(f"==> {path.name}")
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook, timeout=120, record_timing=False, resources={"metadata": {"path": path.parent}}
        )
        client.execute()
        tidy(notebook)
        nbformat.write(notebook, path)
        if path.name == PICTURED:
            (ROOT / "docs" / "timeline.png").write_bytes(first_picture(notebook))
    return 0 if paths else 1


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what differs from run to run without meaning anything."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})


def first_picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return the first picture that a cell showed, as PNG."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return base64.b64decode(
        next(output.data["image/png"] for output in outputs if "image/png" in output.get("data", {}))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
