"""`workq course copy`: the lessons arrive, and nothing a learner wrote is ever overwritten."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from workq_helpers.cli import course_copy
from workq_helpers.cli.course_copy import MANIFEST, copy_course, shipped_lessons
from workq_helpers.cli.main import main
from workq_helpers.errors import InvalidArgumentError

Copy = Callable[[], dict[str, str]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A course of one lesson and one program."""
    folder = tmp_path / "shipped"
    (folder / "programs").mkdir(parents=True)
    (folder / "01.ipynb").write_text("first edition")
    (folder / "programs" / "worker.py").write_text("print()")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def copy(source: Path, target: Path) -> Copy:
    return lambda: {copied.path: copied.done for copied in copy_course(target, source)}


def texts(target: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (target / "notebooks").glob("*.ipynb")}


def test_everything_is_copied_once(copy: Copy, target: Path) -> None:
    names = ("notebooks/01.ipynb", "notebooks/programs/worker.py")
    assert copy() == dict.fromkeys(names, "copied")
    assert (target / "notebooks/programs/worker.py").read_text() == "print()"
    assert copy() == dict.fromkeys(names, "up to date")
    assert texts(target) == {"01.ipynb": "first edition"}


def test_what_editors_leave_in_a_checkout_is_not_a_lesson(copy: Copy, source: Path, target: Path) -> None:
    (source / ".ipynb_checkpoints").mkdir()
    (source / ".ipynb_checkpoints" / "01-checkpoint.ipynb").write_text("old")
    (source / "programs" / "__pycache__").mkdir()
    (source / "programs" / "__pycache__" / "worker.pyc").write_text("bytes")
    assert sorted(copy()) == ["notebooks/01.ipynb", "notebooks/programs/worker.py"]


def test_an_untouched_lesson_is_updated(copy: Copy, source: Path, target: Path) -> None:
    copy()
    (source / "01.ipynb").write_text("second edition")
    assert copy()["notebooks/01.ipynb"] == "updated"
    assert texts(target) == {"01.ipynb": "second edition"}


def test_a_changed_lesson_is_kept(copy: Copy, target: Path) -> None:
    copy()
    (target / "notebooks/01.ipynb").write_text("my answers")
    assert copy()["notebooks/01.ipynb"] == "kept, with your changes"
    assert texts(target) == {"01.ipynb": "my answers"}


def test_beside_a_changed_lesson_the_new_version_is_put_once(copy: Copy, source: Path, target: Path) -> None:
    copy()
    (target / "notebooks/01.ipynb").write_text("my answers")
    (source / "01.ipynb").write_text("second edition")
    assert copy()["notebooks/01.ipynb"] == "kept, with your changes; the new version is '01 (new).ipynb'"
    assert copy()["notebooks/01.ipynb"] == "kept, with your changes; the new version came as '01 (new).ipynb'"
    assert texts(target) == {"01.ipynb": "my answers", "01 (new).ipynb": "second edition"}
    (source / "01.ipynb").write_text("third edition")
    copy()
    assert texts(target) == {"01.ipynb": "my answers", "01 (new).ipynb": "third edition"}


def test_work_in_a_new_version_is_kept_too(copy: Copy, source: Path, target: Path) -> None:
    copy()
    (target / "notebooks/01.ipynb").write_text("my answers")
    (source / "01.ipynb").write_text("second edition")
    copy()
    (target / "notebooks/01 (new).ipynb").write_text("my answers to the second")
    assert "came as" in copy()["notebooks/01.ipynb"]
    (source / "01.ipynb").write_text("third edition")
    assert "'01 (new 2).ipynb'" in copy()["notebooks/01.ipynb"]
    assert "came as '01 (new 2).ipynb'" in copy()["notebooks/01.ipynb"]
    assert texts(target) == {
        "01.ipynb": "my answers",
        "01 (new).ipynb": "my answers to the second",
        "01 (new 2).ipynb": "third edition",
    }


def test_a_file_that_was_there_before_is_kept(copy: Copy, target: Path) -> None:
    (target / "notebooks").mkdir(parents=True)
    (target / "notebooks/01.ipynb").write_text("something of mine")
    assert "'01 (new).ipynb'" in copy()["notebooks/01.ipynb"]
    assert texts(target) == {"01.ipynb": "something of mine", "01 (new).ipynb": "first edition"}


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"format": "workq course copy", "files": 3}'])
def test_without_a_manifest_everything_counts_as_changed(copy: Copy, source: Path, target: Path, manifest: str) -> None:
    copy()
    (target / MANIFEST).write_text(manifest)
    (source / "01.ipynb").write_text("second edition")
    copy()
    assert texts(target) == {"01.ipynb": "first edition", "01 (new).ipynb": "second edition"}


def test_neither_a_link_nor_a_folder_in_the_way_is_replaced(copy: Copy, source: Path, target: Path) -> None:
    elsewhere = target.parent / "elsewhere.ipynb"
    copy()
    (target / "notebooks/01.ipynb").replace(elsewhere)
    (target / "notebooks/01.ipynb").symlink_to(elsewhere)
    (target / "notebooks/programs/worker.py").unlink()
    (target / "notebooks/programs/worker.py").mkdir()
    (source / "01.ipynb").write_text("second edition")
    (source / "programs" / "worker.py").write_text("print(2)")
    copy()
    assert elsewhere.read_text() == "first edition"
    assert (target / "notebooks/01 (new).ipynb").read_text() == "second edition"
    assert (target / "notebooks/programs/worker (new).py").read_text() == "print(2)"


def test_a_deleted_lesson_comes_back(copy: Copy, target: Path) -> None:
    copy()
    (target / "notebooks/01.ipynb").unlink()
    assert copy()["notebooks/01.ipynb"] == "copied"


def test_others_may_read_it_as_any_file(copy: Copy, target: Path) -> None:
    umask = os.umask(0o022)
    try:
        copy()
    finally:
        os.umask(umask)
    assert (target / "notebooks/01.ipynb").stat().st_mode & 0o777 == 0o644


def test_nothing_else_is_left(copy: Copy, target: Path) -> None:
    copy()
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == [MANIFEST, "01.ipynb", "worker.py"]


def test_the_lessons_own_folder_is_refused(source: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "notebooks")
    with pytest.raises(InvalidArgumentError, match=r"where the lessons come from. Name another folder"):
        copy_course(tmp_path, tmp_path / "notebooks")


def test_a_file_is_no_folder(source: Path, target: Path) -> None:
    target.write_text("")
    with pytest.raises(InvalidArgumentError, match=r"can't be copied to .*mine: .*Name a folder"):
        copy_course(target, source)


def test_a_full_disk_is_named_and_whether_files_are_too_many(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(course_copy, "_write_manifest", full)
    with pytest.raises(InvalidArgumentError, match=rf"No space left on device \({target}\)\. Free some room, or name"):
        copy_course(target, source)
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_files=100, f_favail=0))
    with pytest.raises(InvalidArgumentError, match=r"has no inode left for another file, as `df -i` shows"):
        copy_course(target, source)


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["course", "copy", str(tmp_path / "my course")])
    lines = result.output.splitlines()
    shipped = list(shipped_lessons().glob("*.ipynb"))
    assert "notebooks/00_start_here.ipynb: copied" in lines
    assert len(lines) > len(shipped)
    assert lines[-1] == f"To open them: cd '{tmp_path}/my course' && workq lab"
