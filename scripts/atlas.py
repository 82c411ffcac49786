"""Runs the lessons on every version of RabbitMQ and says what fares otherwise than in the runs that are kept.

`make atlas` calls it:

    atlas.py [IMAGE ...]

Each image is started with Docker. The recordings go to `build/atlas`, a folder for each version; the table goes to
docs/versions.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kept_runs import Difference, differences
from recording import KEPT, NOTEBOOKS, Recording, folder_of

from notebooks import ROOT

__all__ = ["table"]

#: RabbitMQ's official images of the versions that the course knows.
IMAGES = [f"rabbitmq:{version}-management" for version in ("3.10", "3.12", "3.13", "4.0", "4.1", "4.2", "4.3")]

FOLDER = ROOT / "build" / "atlas"
PAGE = ROOT / "docs" / "versions.md"
SECONDS_PER_DOT = "0.2"

_TABLE = re.compile(r"(<!-- atlas -->\n).*?(<!-- end of atlas -->)", re.DOTALL)


def main(images: list[str]) -> int:
    """Run the lessons on these images and write what differs; return the exit status."""
    found: dict[str, dict[str, list[Difference]]] = {}
    for folder in [run(image) for image in images]:
        for name in (folder_of(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))):
            kept, again = Recording.load(KEPT / name), Recording.load(folder / name)
            if kept.runs and again.runs:
                version = next(iter(again.runs.values())).file["rabbitmq"]
                found.setdefault(version, {})[name] = differences(kept, again)
    text = table(found)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", page), encoding="utf-8")
    return 0


def run(image: str) -> Path:
    """Record the lessons on an image, and return where the recordings are."""
    print(f"==> {image}", flush=True)
    folder = FOLDER / re.sub(r"\W+", "-", image)
    with tempfile.TemporaryDirectory() as runtime:
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "recording.py"), "--folder", str(folder)],
            env={
                **os.environ,
                "WORKQ_BROKER": "docker",
                "WORKQ_RABBITMQ_IMAGE": image,
                "WORKQ_RUNTIME_DIR": runtime,
                "WORKQ_SECONDS_PER_DOT": SECONDS_PER_DOT,
            },
            check=True,
        )
    return folder


def table(found: Mapping[str, Mapping[str, list[Difference]]]) -> str:
    """Return as Markdown what fared otherwise on each version, by lesson."""
    rows = [
        f"| {version} | {name.replace('_', ' ')} | {each.experiment.replace('_', ' ')} | "
        + " | ".join(_cell(text) for text in (each.what, each.kept, each.again))
        + " |"
        for version, lessons in found.items()
        for name, all_differences in lessons.items()
        for each in all_differences
    ]
    head = "| version | lesson | experiment | what | kept | there |\n|---|---|---|---|---|---|"
    return "\n\n".join([*map(_same, found.items()), *(["\n".join([head, *rows])] if rows else [])])


def _same(found: tuple[str, Mapping[str, list[Difference]]]) -> str:
    """Return in a sentence in which lessons all fared the same on a version."""
    version, lessons = found
    same = [name.replace("_", " ") for name, all_differences in lessons.items() if not all_differences]
    return f"RabbitMQ {version}: all fared the same in {', '.join(same) or 'no lesson'}."


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or IMAGES))
