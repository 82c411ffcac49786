"""`copy_course`: the lessons, put where a learner wants them, without ever overwriting what the learner wrote.

The wheel holds the lessons in ``workq_helpers/notebooks``; a checkout holds them in ``notebooks``. They are copied
into a folder ``notebooks`` inside the learner's, so that `workq lab` finds them there as it does in a checkout. A
manifest beside it says what was copied, by hash, so that after an update of the course a file that the learner has
not changed can be told from one that holds work.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from workq_helpers.errors import InvalidArgumentError
from workq_helpers.private_files import staged_file
from workq_helpers.private_folders import is_full, reason_of

__all__ = ["MANIFEST", "Copied", "copy_course", "shipped_lessons"]

#: In the learner's folder: what was copied.
MANIFEST = ".workq-course.json"

_FOLDER = "notebooks"
_FORMAT = "workq course copy"
_VERSION = 1

#: What editors and interpreters leave beside the lessons of a checkout.
_NOT_LESSONS = {".ipynb_checkpoints", "__pycache__"}


class Copied(NamedTuple):
    """What was done about one file."""

    path: str
    done: str


def shipped_lessons() -> Path:
    """Return the folder of the lessons as they come with this package, or of the checkout it is installed from.

    Raises:
        InvalidArgumentError: There is none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / _FOLDER, package.parent / _FOLDER):
        if any(folder.glob("*.ipynb")):
            return folder
    raise InvalidArgumentError(f"The package in {package} came without lessons. Install the course's wheel again.")


def copy_course(target: Path, source: Path | None = None) -> list[Copied]:
    """Copy the lessons, or bring those that were copied before up to date.

    Args:
        target: The learner's folder; it is made if need be.
        source: Where the lessons are; by default `shipped_lessons`.

    Returns:
        What was done, file by file.

    Raises:
        InvalidArgumentError: The folder can't be used.
    """
    source = source or shipped_lessons()
    lessons = target / _FOLDER
    if lessons.resolve() == source.resolve():
        raise InvalidArgumentError(
            f"{target} is where the lessons come from. Name another folder: workq course copy ~/work-queues"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        return _copy(source, target)
    except OSError as error:
        where = error.filename or target
        mend = (
            "Free some room, or name a folder on another disk."
            if is_full(error)
            else "Name a folder that you may write to."
        )
        raise InvalidArgumentError(
            f"The lessons can't be copied to {target}: {reason_of(error, target)} ({where}). {mend}"
        ) from error


def _copy(source: Path, target: Path) -> list[Copied]:
    known = _read_manifest(target)
    copied = []
    try:
        for path in _files(source):
            name = str(PurePosixPath(_FOLDER, *path.relative_to(source).parts))
            copied.append(Copied(name, _bring(path.read_bytes(), target, name, known)))
    finally:
        _write_manifest(target, known)
    return copied


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not _NOT_LESSONS & set(inside.parts) and not inside.name.startswith("."):
            yield path


def _bring(content: bytes, target: Path, name: str, known: dict[str, str]) -> str:
    """Bring one file; note in `known` what the learner has now, and return what was done."""
    path, new = target / name, _hash(content)
    if _create(path, content):
        known[name] = new
        return "copied"
    present = _hash(path.read_bytes()) if path.is_file() else ""
    if present == new:
        known[name] = new
        return "up to date"
    if present and present == known.get(name) and not path.is_symlink():
        _replace(path, content)
        known[name] = new
        return "updated"
    if known.get(name) == new:
        return "kept, with your changes"
    return _bring_beside(content, target, name, known)


def _bring_beside(content: bytes, target: Path, name: str, known: dict[str, str]) -> str:
    """Put a new version beside a file that has changes of the learner's, once."""
    new = _hash(content)
    for beside in _names_beside(name):
        path = target / beside
        if known.get(beside) == new:
            return f"kept, with your changes; the new version came as {path.name!r}"
        if _create(path, content):
            break
        if path.is_file() and not path.is_symlink() and _hash(path.read_bytes()) == known.get(beside):
            _replace(path, content)  # an older version that nobody has touched
            break
    known[beside] = new
    return f"kept, with your changes; the new version is {path.name!r}"


def _names_beside(name: str) -> Iterator[str]:
    path = PurePosixPath(name)
    for number in itertools.count(1):
        mark = "(new)" if number == 1 else f"(new {number})"
        yield str(path.with_name(f"{path.stem} {mark}{path.suffix}"))


def _create(path: Path, content: bytes) -> bool:
    """Write a file that is not there; return whether it was not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _replace(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    with staged_file(path, content) as staged:
        shutil.copymode(path, staged)
        staged.replace(path)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_manifest(target: Path) -> dict[str, str]:
    """Return what was copied before, by hash; nothing where the manifest can't be read, so that all is kept."""
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    files = manifest.get("files") if isinstance(manifest, dict) and manifest.get("format") == _FORMAT else None
    if not isinstance(files, dict):
        return {}
    return {name: value for name, value in files.items() if isinstance(value, str)}


def _write_manifest(target: Path, known: dict[str, str]) -> None:
    content = json.dumps({"format": _FORMAT, "version": _VERSION, "files": known}, indent=1).encode()
    if not _create(target / MANIFEST, content):
        _replace(target / MANIFEST, content)
