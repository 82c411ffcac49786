"""Makes a site for reading from the lessons: `make site`.

The lessons are run first and recorded, so that the site shows and plays what RabbitMQ did. `--run` with the names of
notebooks runs these alone, or none: of the others it shows the recordings that `make runs` keeps. Sphinx makes the
pages and the search, which work from a folder without any network; `docs/site` has what frames the lessons.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import nbformat
from lesson_page import for_reading, stage
from recording import KEPT, NOTEBOOKS, Recording, fingerprint, folder_of, record

from notebooks import ROOT, derive_exercises, with_expected_outputs
from workq_helpers import find_broker
from workq_helpers.stage.run_page import PLAYER_CSS

FRAME = ROOT / "docs" / "site"
NOT_OURS = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "js")

#: The run that plays on the first page, and of which lesson: a worker is killed in it, and nothing is lost.
FIRST_RUN = ("start_here", "is_everything_here")


class Lesson(NamedTuple):
    """A lesson of the site.

    Attributes:
        path: Its notebook.
        recording: What was recorded of it.
    """

    path: Path
    recording: Recording


def main() -> int:
    """Make the site and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run",
        nargs="*",
        metavar="NOTEBOOK",
        help="run these alone, or none, and show of the others the recordings that are kept",
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="where `site` is made, build by default")
    arguments = parser.parse_args()
    source, site = arguments.folder / "site-source", arguments.folder / "site"
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    to_run = [path for path in paths if arguments.run is None or path.name in arguments.run]
    # All with the same broker, which is looked for only if there is something to run.
    with find_broker() if to_run else contextlib.nullcontext():
        lessons = [Lesson(path, _recorded(path, run=path in to_run)) for path in paths]
    lay_out(source, lessons)
    status = build(source, site)
    if status == 0:
        print(f"==> {site / 'index.html'}")
    return status


def _recorded(path: Path, *, run: bool) -> Recording:
    if not run:
        return Recording.load(KEPT / folder_of(path))
    print(f"==> {path.name}", flush=True)
    return record(path)


def lay_out(source: Path, lessons: list[Lesson]) -> None:
    """Put what Sphinx reads into a folder."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(FRAME, source, ignore=NOT_OURS)
    shutil.copytree(NOTEBOOKS, source / "lessons", ignore=NOT_OURS)
    (source / "_static" / "player.css").write_text(PLAYER_CSS, encoding="utf-8")
    for lesson in lessons:
        notebook = for_reading(with_outputs(lesson), lesson.recording)
        nbformat.write(notebook, source / "lessons" / lesson.path.name)
    _fill(source / "index.md", {"stage": _first_stage(lessons), "lessons": _overview(lessons)})
    _fill(source / "real.md", {"runs": _runs_table(lessons)})


def with_outputs(lesson: Lesson) -> nbformat.NotebookNode:
    """Return a lesson with what its cells showed; where nothing was recorded of one as it is, with what tests keep."""
    notebook = with_expected_outputs(lesson.path)
    derive_exercises(notebook)
    for cell in notebook.cells:
        # What other code showed under the same name is not what this one does.
        facts = lesson.recording.cells.get(cell.id)
        if cell.id in lesson.recording.outputs and facts is not None and facts.code == fingerprint(cell.source):
            cell.outputs = [nbformat.from_dict(output) for output in lesson.recording.outputs[cell.id]]
        for output in cell.get("outputs", ()):
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


# -- the pages around the lessons ---------------------------------------------------------------------


def _fill(file: Path, texts: Mapping[str, str]) -> None:
    """Put texts in the places of a page that bear their names."""
    page = file.read_text(encoding="utf-8")
    for name, text in texts.items():
        page = page.replace(f"<!-- {name} -->", text)
    file.write_text(page, encoding="utf-8")


def _first_stage(lessons: list[Lesson]) -> str:
    folder, name = FIRST_RUN
    runs = {folder_of(lesson.path): lesson.recording.runs for lesson in lessons}.get(folder, {})
    if name not in runs:
        return ""
    run = runs[name]
    begin = next((each.seconds for each in run.moments if each.events > 1), 0.0)
    return stage(name, run, max(0.0, begin - 0.5), more=" data-autoplay", up="")


def _overview(lessons: list[Lesson]) -> str:
    """Return the lessons as Markdown: how long each takes, and what one can do afterwards."""
    return "\n\n".join(_about(lesson.path) for lesson in lessons)


def _about(path: Path) -> str:
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    title, _, what = cells[0].removeprefix("# ").partition("\n")
    goals = next(source for source in cells if "**Time:**" in source)
    (time,) = re.findall(r"\*\*Time:\*\* ([^.,;]+)", goals)
    aims = "\n".join(re.findall(r"^- .+", goals, re.MULTILINE))
    heading = f"### [{title}](lessons/{path.name})"
    return "\n\n".join([heading, what.strip(), f"{time[:1].upper()}{time[1:]}. Afterwards you can", aims])


def _runs_table(lessons: list[Lesson]) -> str:
    rows = [
        f"| {lesson.path.stem.partition('_')[2].replace('_', ' ')} | {name.replace('_', ' ')} | "
        f"{run.file['recorded']} | {run.file['rabbitmq']} | {len(run.file['tasks'])} | {run.moments[-1].events} |"
        for lesson in lessons
        for name, run in lesson.recording.runs.items()
    ]
    head = "| lesson | experiment | recorded on | RabbitMQ | tasks | events |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows]) if rows else "No run is kept."


def build(source: Path, site: Path) -> int:
    """Let Sphinx make the pages; a warning, such as of a link that leads nowhere, is an error."""
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet", "--jobs", "2"]
    return subprocess.run([*command, "--doctree-dir", source / ".doctrees", source, site], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
