"""`Recording`: what a lesson showed when all its cells were run, and the run of each of its experiments."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from notebooks import ROOT, STILL, derive_exercises, run, tidy
from workq_helpers import find_broker
from workq_helpers.anonymity import anonymous
from workq_helpers.stage.saved_run import SavedRun
from workq_helpers.teaching.estimate import Counted
from workq_helpers.teaching.prediction import Seen

__all__ = ["KEPT", "NOTEBOOKS", "CellFacts", "Recording", "cells_of", "fingerprint", "folder_of", "record"]

#: Where the recordings are that the site shows of lessons which are not run, a folder each.
KEPT = ROOT / "tests" / "runs"

NOTEBOOKS = ROOT / "notebooks"

_LESSON = "lesson.json"


class CellFacts(NamedTuple):
    """What a code cell did.

    Attributes:
        experiment: The name of the experiment that it belongs to; ``""`` where nothing was recorded of one.
        begin_seconds: When it began, in seconds since the experiment did.
        end_seconds: When it ended.
        deed: Whether it did something that the stage shows.
        sent: Whether it sent a task.
        stage: Whether it shows the stage.
        code: Tells its code from any other, as `fingerprint` has it.
    """

    experiment: str
    begin_seconds: float
    end_seconds: float
    deed: bool
    sent: bool
    stage: bool
    code: str


@dataclass(frozen=True)
class Recording:
    """What a lesson showed.

    Attributes:
        outputs: What each cell showed, by its id.
        cells: What each cell did, by its id.
        seen: What came true of each prediction, by its name.
        counted: What was observed of each number that was asked for, by the question's name.
        runs: The run of each experiment, by its name, in order.
    """

    outputs: dict[str, list[dict[str, Any]]]
    cells: dict[str, CellFacts]
    seen: dict[str, Seen]
    counted: dict[str, Counted]
    runs: dict[str, SavedRun]

    @classmethod
    def load(cls, folder: Path) -> Recording:
        """Return the recording in a folder; one of nothing, where there is none."""
        if not (folder / _LESSON).is_file():
            return cls({}, {}, {}, {}, {})
        kept = _read(folder)
        return cls(
            kept["outputs"],
            _cells_in(kept),
            {name: Seen(**seen) for name, seen in kept["seen"].items()},
            {name: Counted(**counted) for name, counted in kept.get("counted", {}).items()},  # earlier ones lack it
            {name: SavedRun.parse(_unpacked(folder / f"{name}.json.gz")) for name in kept["experiments"]},
        )

    def save(self, folder: Path) -> None:
        """Write it to a folder, in place of what was there."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, each in self.runs.items():
            (folder / f"{name}.json.gz").write_bytes(gzip.compress(each.text.encode(), 9, mtime=0))
        kept = {
            "experiments": list(self.runs),
            "seen": {name: seen._asdict() for name, seen in self.seen.items()},
            "counted": {name: counted._asdict() for name, counted in self.counted.items()},
            "cells": {name: facts._asdict() for name, facts in self.cells.items()},
            "outputs": self.outputs,
        }
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        (folder / _LESSON).write_text(text + "\n", encoding="utf-8")


def folder_of(notebook: Path) -> str:
    """Return the name of a lesson's recording: the notebook's without its number, which may change."""
    return notebook.stem.partition("_")[2]


def record(path: Path) -> Recording:
    """Run a lesson and return what it showed."""
    notebook = nbformat.read(path, as_version=4)
    derive_exercises(notebook)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import kernel_recorder"
        cells = notebook.cells
        notebook.cells = [
            nbformat.v4.new_code_cell(f"{begin}; kernel_recorder.begin({name!r})"),
            *cells,
            nbformat.v4.new_code_cell("kernel_recorder.finish()"),
        ]
        run(notebook, path.parent)
        notebook.cells = cells
        tidy(notebook)
        told = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
        files = {int(file.stem): file.read_text(encoding="utf-8") for file in folder.glob("[0-9]*.json")}
        runs = {number: SavedRun.parse(text) for number, text in files.items()}
    code = [cell for cell in cells if cell.cell_type == "code"]
    names = _named(cells, [facts["experiment"] for facts in told["cells"]])
    kept_names = {number: name for number, name in names.items() if number in runs}
    return Recording(
        {cell.id: [_kept(output) for output in cell.outputs if not _is_still(output)] for cell in code if cell.outputs},
        {
            cell.id: CellFacts(
                **{**facts, "experiment": kept_names.get(facts["experiment"], "")}, code=fingerprint(cell.source)
            )
            for cell, facts in zip(code, told["cells"], strict=True)
        },
        {name: Seen(**seen) for name, seen in told["seen"].items()},
        {name: Counted(**counted) for name, counted in told["counted"].items()},
        {kept_names[number]: runs[number] for number in sorted(runs)},
    )


def cells_of(folder: Path) -> dict[str, CellFacts]:
    """Return what each cell did in the recording in a folder, by its id.

    Args:
        folder: The folder.
    """
    return _cells_in(_read(folder))


def _read(folder: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((folder / _LESSON).read_text(encoding="utf-8"))
    return kept


def _cells_in(kept: dict[str, Any]) -> dict[str, CellFacts]:
    return {name: CellFacts(**facts) for name, facts in kept["cells"].items()}


def fingerprint(source: str) -> str:
    """Return what tells code from other code, whatever its comments say.

    Args:
        source: A cell's.
    """
    lines = (line.rstrip() for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _named(cells: list[nbformat.NotebookNode], experiments: list[int]) -> dict[int, str]:
    """Return a name for each experiment: that of the section in which it begins."""
    numbers, names, title = iter(experiments), dict[int, str](), ""
    for cell in cells:
        if cell.cell_type == "markdown":
            found = re.match(r"#+ (.+)", cell.source)
            title = found[1] if found else title
            continue
        number = next(numbers)
        if number not in names:
            slug = re.sub(r"\W+", "_", title.lower()).strip("_")
            again = sum(re.fullmatch(rf"{slug}(_\d+)?", name) is not None for name in names.values())
            names[number] = f"{slug}_{again + 1}" if again else slug
    return names


def _is_still(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a picture of the stage, in whose place a run plays."""
    return STILL in output.get("data", {}).get("text/html", "")


def _kept(output: nbformat.NotebookNode) -> dict[str, Any]:
    """Return an output as it is kept: what a page shows of it, and nothing of this machine."""
    kept: dict[str, Any] = dict(_without_machine(output))
    kept.pop("execution_count", None)
    if "text/html" in kept.get("data", {}):
        kept["data"].pop("image/png", None)  # the same picture, without words
    return kept


def _without_machine(value: Any) -> Any:
    if isinstance(value, str):
        # A picture is no text, and large.
        return value if "data:image/png" in value else anonymous(value)
    if isinstance(value, list):
        return [_without_machine(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_machine(each) for name, each in value.items()}
    return value


def _unpacked(file: Path) -> str:
    return gzip.decompress(file.read_bytes()).decode()


def main() -> int:
    """Run lessons and keep their recordings: `make runs`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="their file names; all lessons by default")
    parser.add_argument("--folder", type=Path, default=KEPT, help="where they are kept, tests/runs by default")
    arguments = parser.parse_args()
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name in (arguments.names or [path.name])]
    # All with the same broker, which stays up between them.
    with find_broker():
        for path in paths:
            print(f"==> {path.name}", flush=True)
            record(path).save(arguments.folder / folder_of(path))
    return 0 if paths else 1


if __name__ == "__main__":
    sys.exit(main())
