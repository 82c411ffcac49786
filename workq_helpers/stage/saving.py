"""`save` and `load`: a run to a file and back, as a page with its player or as JSON alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from workq_helpers.errors import InvalidArgumentError, RunFileError
from workq_helpers.private_folders import is_full, reason_of
from workq_helpers.stage.run_page import page, unpacked
from workq_helpers.stage.saved_run import MOST_BYTES, SavedRun

__all__ = ["load", "save", "write"]

_NEXT = "Choose a file that `lesson.save_run` wrote."


def save(run: SavedRun, path: str | Path) -> Path:
    """Write a run, and return the file.

    Args:
        run: The run.
        path: Where: ``.html`` is a page with the player in it, ``.json`` the run alone.

    Raises:
        InvalidArgumentError: It is to be of another kind.
        RunFileError: It can't be written.
    """
    file = Path(path)
    if file.suffix not in (".html", ".json"):
        raise InvalidArgumentError(f"A run is saved as .html (to be played) or .json, not as {file.name!r}.")
    return write(file, page(run) if file.suffix == ".html" else run.text)


def write(file: Path, text: str) -> Path:
    """Write a text, and return the file.

    Raises:
        RunFileError: It can't be written; one that was not there before is not there.
    """
    was_there = os.path.lexists(file)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        if not was_there:
            with contextlib.suppress(OSError):
                file.unlink()
        mend = (
            "Free some room, or choose a folder on another disk."
            if is_full(error)
            else "Choose a folder that you may write to."
        )
        raise RunFileError(f"{file} can't be written: {reason_of(error, file.parent)}. {mend}") from error
    return file


def load(path: str | Path) -> SavedRun:
    """Return the run in a file of either kind.

    Raises:
        RunFileError: It can't be read, or holds no run.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise RunFileError(f"{file} is no file. {_NEXT}")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise RunFileError(f"{file} has {size:,} bytes, and no saved run has more than {MOST_BYTES:,}.")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RunFileError(f"{file} can't be read: {error.strerror}. {_NEXT}") from error
    except UnicodeDecodeError as error:
        raise RunFileError(f"{file} is no saved run: it is not text. {_NEXT}") from error
    return SavedRun.parse(unpacked(text) if text.lstrip()[:1] == "<" else text)
