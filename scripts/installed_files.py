"""What is left of what was installed into .venv: somebody may have deleted half of it, and no installer looks."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["names", "packages", "what_is_gone"]


def packages(venv: Path) -> list[str]:
    """The packages in an environment, each with its version."""
    return sorted(folder.name for folder in _records(venv))


def names(venv: Path) -> list[str]:
    """The names of the packages in an environment, whatever their versions."""
    return sorted(folder.name.partition("-")[0] for folder in _records(venv))


def what_is_gone(venv: Path, packages: list[str]) -> str | None:
    """A package that was installed and is no longer there, or a file of one; None if everything is."""
    for package in set(packages).difference(names(venv)):
        return package
    for folder in _records(venv):
        for file in _files(folder):
            if not os.path.exists(file):  # noqa: PTH110 - there are thousands of them
                return file
    return None


def _records(venv: Path) -> Iterator[Path]:
    return venv.glob("lib/python*/site-packages/*.dist-info")


def _files(folder: Path) -> Iterator[str]:
    """Yield the files of a package as its installer noted them, but for what Python makes anew."""
    site_packages = str(folder.parent)
    try:
        with (folder / "RECORD").open(encoding="utf-8", newline="") as record:
            files = [row[0] for row in csv.reader(record) if row]
    except (OSError, ValueError):
        yield str(folder / "RECORD")
        return
    yield from (f"{site_packages}/{file}" for file in files if not file.endswith(".pyc"))
