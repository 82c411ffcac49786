"""Makes a site for reading from the lessons: `make site`.

The lessons are run first, so that the site shows what RabbitMQ did. What answers a question is there, but folded
away: outputs after a prediction, hints and solutions. Widgets need a kernel, so questions stand there as text, and the
stage as a picture. Sphinx makes the pages and the search, which work from a folder without any network.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from quiz_page import quiz_page

from notebooks import ROOT, derive_exercises, run, tidy, with_expected_outputs
from workq_helpers import find_broker
from workq_helpers.lessons import CHAPTERS

FRAME = ROOT / "docs" / "site"
NOTEBOOKS = ROOT / "notebooks"
NOT_OURS = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")

#: Stands for a picture that the tests do not keep: the smallest PNG, white.
NO_PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAGz0E5gAAAABJRU5ErkJggg=="
)

_PREDICT = re.compile(r'^predict\(lesson, "([^"]+)"|\.predict\("([^"]+)"', re.MULTILINE)
_CHECK = re.compile(r'\bexercise\("([^"]+)"\)\.check\(')
_QUIZ = re.compile(r"^quiz\(\)$", re.MULTILINE)


def main() -> int:
    """Make the site and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run",
        nargs="*",
        metavar="NOTEBOOK",
        help="run these alone, or none, and show of the others the outputs that tests keep, without pictures",
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="where `site` is made, build by default")
    arguments = parser.parse_args()
    source, site = arguments.folder / "site-source", arguments.folder / "site"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(FRAME, source, ignore=NOT_OURS)
    shutil.copytree(NOTEBOOKS, source / "lessons", ignore=NOT_OURS)
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    to_run = [path for path in paths if arguments.run is None or path.name in arguments.run]
    for path in paths:
        if path not in to_run:
            nbformat.write(for_reading(as_expected(path)), source / "lessons" / path.name)
    # All with the same broker, which is looked for only if there is something to run.
    with find_broker() if to_run else contextlib.nullcontext():
        for path in to_run:
            nbformat.write(for_reading(as_run(path)), source / "lessons" / path.name)
    status = build(source, site)
    if status == 0:
        print(f"==> {site / 'index.html'}")
    return status


def as_run(path: Path) -> nbformat.NotebookNode:
    """Run a lesson."""
    print(f"==> {path.name}", flush=True)
    notebook = nbformat.read(path, as_version=4)
    derive_exercises(notebook)
    run(notebook, path.parent)
    tidy(notebook)
    return notebook


def as_expected(path: Path) -> nbformat.NotebookNode:
    """Return a lesson with the outputs that tests keep, whose pictures have no pixels."""
    notebook = with_expected_outputs(path)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "text/html" in output.get("data", {}):
            output.data["text/html"] = output.data["text/html"].replace('src="PNG"', f'src="{NO_PICTURE}"')
    return notebook


def answering_cells(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield the code cells whose outputs answer a question.

    They are those from a call of `predict` to the end of its section, and those tagged "hide-output".
    """
    predicted = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            predicted = False
        if cell.cell_type == "code":
            if predicted or "hide-output" in cell.metadata.get("tags", ()):
                yield cell
            predicted = predicted or _PREDICT.search(cell.source) is not None


def for_reading(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold away what answers a question, and write questions, hints and solutions as text."""
    folded = {cell.id for cell in answering_cells(notebook)}
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type != "code":
            continue
        cell.outputs = [linked_to_pages(output) for output in cell.outputs]
        asked = _PREDICT.search(cell.source)
        tried = _CHECK.search(cell.source)
        if asked:
            cell.outputs = []
            cells.append(text_after(cell, question(asked[1] or asked[2])))
        elif _QUIZ.search(cell.source):
            cell.outputs = []
            cells.append(text_after(cell, quiz_page(notebook.cells[0].source.splitlines()[0].removeprefix("# "))))
        elif tried:
            fold_output(cell, "What the check says before you do the exercise")
            cells.append(text_after(cell, help_with(tried[1])))
        elif cell.id in folded:
            fold_output(cell, "What RabbitMQ did")
    notebook.cells = cells
    return notebook


def linked_to_pages(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an output whose links to notebooks lead to their pages."""
    if "text/html" in output.get("data", {}):
        output.data["text/html"] = re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', output.data["text/html"])
    return output


def fold_output(cell: nbformat.NotebookNode, summary: str) -> None:
    """Show the cell's output to whoever unfolds it."""
    cell.metadata = nbformat.from_dict(
        {"tags": ["hide-output"], "mystnb": {"code_prompt_show": summary, "code_prompt_hide": summary}}
    )


def text_after(cell: nbformat.NotebookNode, text: str) -> nbformat.NotebookNode:
    """Return a cell of text that belongs below another one."""
    return nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-text")


def question(name: str) -> str:
    """Return a prediction's question with its choices, as Markdown."""
    prediction = next(each for chapter in CHAPTERS for each in chapter.predictions if each.name == name)
    choices = [f"- {letter}. {plain(each.text)}" for letter, each in zip("ABCDEFGH", prediction.choices, strict=False)]
    return "\n".join([f"**Predict:** {plain(prediction.question)}", "", *choices])


def help_with(name: str) -> str:
    """Return an exercise's hints and its solution, each folded away, as Markdown."""
    exercise = next(each for chapter in CHAPTERS for each in chapter.exercises if each.name == name)
    count = len(exercise.hints)
    hints = [fold(f"Hint {number} of {count}", plain(hint)) for number, hint in enumerate(exercise.hints, start=1)]
    return "\n\n".join([*hints, fold("A solution", f"```python\n{exercise.read().solution}\n```")])


def fold(summary: str, text: str) -> str:
    """Return Markdown that shows a text to whoever unfolds it."""
    return f'<details class="fold">\n<summary>{summary}</summary>\n\n{text}\n\n</details>'


def plain(text: str) -> str:
    """Return a sentence as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", text)


def build(source: Path, site: Path) -> int:
    """Let Sphinx make the pages; a warning, such as of a link that leads nowhere, is an error."""
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet", "--jobs", "2"]
    return subprocess.run([*command, "--doctree-dir", source / ".doctrees", source, site], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
