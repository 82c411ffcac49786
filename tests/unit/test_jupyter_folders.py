from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from workq_helpers.cli import jupyter_folders
from workq_helpers.cli.jupyter_folders import put_stand_ins, unwritable, without_saving
from workq_helpers.private_folders import Obstacle, why_not_writable


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in list(os.environ):
        if variable.startswith(("JUPYTER", "IPYTHON", "MPL", "XDG_")):
            monkeypatch.delenv(variable)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return home


@pytest.fixture
def closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same home, of which nobody may write to any part; root may write where the permissions say no."""
    read_only = Obstacle("Read-only file system")
    monkeypatch.setattr(jupyter_folders, "obstacle_in", lambda folder: read_only if home in folder.parents else None)
    return home


def test_where_everything_can_be_written_nothing_is_changed(home: Path) -> None:
    environ = dict(os.environ)
    assert put_stand_ins(environ) == ""
    assert environ == dict(os.environ)
    assert list(home.iterdir()) == []


def test_stand_ins_are_named_in_the_environment_and_can_be_written(closed: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(closed), "JUPYTER_PATH": "/opt/jupyter"}
    said = put_stand_ins(environ)
    stand_in = tmp_path / f"workq-jupyter-{os.geteuid()}"
    assert f"can't keep its own files in {closed}/" in said
    assert "(Read-only file system)" in said
    assert f"They go to {stand_in}" in said
    named = {variable for variable, value in environ.items() if value.startswith(str(stand_in))}
    assert named == set(unwritable({"HOME": str(closed)}))
    assert all(not why_not_writable(Path(environ[variable])) for variable in named)
    assert environ["JUPYTER_PATH"].startswith("/opt/jupyter:")
    assert stand_in.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("system", "folder"), [("linux", ".cache/matplotlib"), ("darwin", ".matplotlib")])
def test_matplotlibs_folder_is_where_the_system_has_it(
    closed: Path, monkeypatch: pytest.MonkeyPatch, system: str, folder: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    assert unwritable({"HOME": str(closed)})["MPLCONFIGDIR"][0] == closed / folder


def test_what_the_user_has_named_elsewhere_is_kept(closed: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(closed), "IPYTHONDIR": str(tmp_path / "mine")}
    put_stand_ins(environ)
    assert environ["IPYTHONDIR"] == str(tmp_path / "mine")


def test_a_folder_of_somebody_else_stands_in_for_nothing(closed: Path, tmp_path: Path) -> None:
    (tmp_path / f"workq-jupyter-{os.geteuid()}").write_text("a file")
    environ = {"HOME": str(closed)}
    said = put_stand_ins(environ)
    assert "is no better" in said
    assert "Set TMPDIR to a folder that you may write to first" in said
    assert environ == {"HOME": str(closed)}


def test_a_folder_that_is_yet_to_be_made_is_as_good_as_where_it_will_be(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "a" / "b") == ""
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert why_not_writable(tmp_path / "file") == "Not a directory"


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EROFS, "Copy the course"),
        (errno.ENOSPC, "Free some room before"),
        (errno.EDQUOT, "Free some room before"),
    ],
)
def test_who_can_not_save_is_told_what_to_do(
    number: int, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert without_saving(tmp_path) == ""

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    said = without_saving(tmp_path)
    assert f"({os.strerror(number)}). {mend}" in said


def test_a_umask_that_closes_what_is_made_is_what_is_to_be_changed(tmp_path: Path) -> None:
    former = os.umask(0o777)
    try:
        said = without_saving(tmp_path)
    finally:
        os.umask(former)
    assert "`umask 022` sets another). Set another umask before" in said
