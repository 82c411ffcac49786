from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from workq_helpers.broker import commands, processes
from workq_helpers.broker.burial import bury
from workq_helpers.broker.choice import Choice
from workq_helpers.broker.folders import Folders, make_private
from workq_helpers.broker.keeper import Keeper
from workq_helpers.broker.lease import connect, put_away_leftovers, take_lease
from workq_helpers.broker.server import ProcessMark, Remains
from workq_helpers.broker.state import VERSION, State, read_state, write_state
from workq_helpers.errors import (
    BrokerStartError,
    InvalidArgumentError,
    StaleStateError,
    StateFileError,
    StateVersionError,
)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    found = Folders(tmp_path / "run", tmp_path / "cache")
    found.make_runtime()
    return found


def test_a_state_comes_back_as_it_was_written(folders: Folders) -> None:
    state = State("/run/x.sock", Remains((ProcessMark(1, 2.5, "boot"),), ("box",), ("/tmp/f",), ("crate",)))  # noqa: S108 - a name
    write_state(folders.state, state)
    assert read_state(folders.state) == state
    assert stat.S_IMODE(folders.state.stat().st_mode) == 0o600


def test_no_state_file_is_no_state(folders: Folders) -> None:
    assert read_state(folders.state) is None
    assert connect(folders) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", f'{{"version": {VERSION}}}', f'{{"version": {VERSION}, "socket": "s", "remains": 3}}']
)
def test_a_state_file_that_makes_no_sense(folders: Folders, text: str) -> None:
    folders.state.write_text(text)
    with pytest.raises(StateFileError, match=r"makes no sense.*workq broker stop"):
        read_state(folders.state)


def test_a_state_file_of_another_version(folders: Folders) -> None:
    folders.state.write_text(json.dumps({"version": VERSION + 1}))
    with pytest.raises(StateVersionError, match=rf"format is {VERSION + 1}, ours is {VERSION}.*delete the file"):
        read_state(folders.state)


def test_a_stale_state_file_is_healed(folders: Folders) -> None:
    left = folders.runtime / "broker-1"
    left.mkdir()
    write_state(folders.state, State(str(folders.runtime / "gone.sock"), Remains(folders=(str(left),))))
    with pytest.raises(StaleStateError, match="gone"):
        connect(folders)
    put_away_leftovers(folders)
    assert not folders.runtime.exists()


def test_what_a_living_keeper_owns_is_left_alone(folders: Folders) -> None:
    owned = folders.runtime / "broker-1"
    owned.mkdir()
    path = folders.make_socket_path()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        write_state(folders.state, State(str(path), Remains(folders=(str(owned),))))
        put_away_leftovers(folders)
    assert owned.exists()
    assert folders.state.exists()


def test_stop_puts_a_senseless_state_file_away(folders: Folders) -> None:
    folders.state.write_text("{")
    environ = {"WORKQ_RUNTIME_DIR": str(folders.runtime), "WORKQ_CACHE_DIR": str(folders.cache)}
    assert commands.stop(environ) is False
    assert not folders.state.exists()


def test_a_process_that_only_has_the_same_id_is_not_buried() -> None:
    own = processes.mark(os.getpid())
    assert own is not None
    assert processes.find(own)
    bury(Remains(processes=(replace(own, created=own.created - 100),)))  # or this test would end here
    bury(Remains(processes=(replace(own, boot="another"),)))


def test_a_process_is_known_again_when_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    own = processes.mark(os.getpid())
    assert own is not None
    began = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + 3600)
    assert processes.find(own) is not None


def test_a_state_file_that_finds_no_room_stays_as_it_was(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(folders.state, State("/run/x.sock"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space"):
        write_state(folders.state, State("/run/y.sock"))
    monkeypatch.undo()
    assert read_state(folders.state) == State("/run/x.sock")
    assert list(folders.runtime.iterdir()) == [folders.state]


def test_a_keeper_whose_state_finds_no_room_keeps_its_broker(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    class Restarted:
        def restart(self) -> None:
            pass

        def remains(self) -> Remains:
            return Remains()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with socket.socket(socket.AF_UNIX) as listener:
        keeper = Keeper(listener, folders.runtime / "keeper.sock", folders, {})
        keeper._server = Restarted()  # type: ignore[assignment]
        monkeypatch.setattr("workq_helpers.broker.keeper.write_state", full)
        answers: list[dict[str, Any]] = []
        keeper._restart("restart", answers.append)
    assert answers == [{"ok": True}]


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, r"There is no room left in .*/run \(.*\)\. Free some, or set WORKQ_RUNTIME_DIR"),
        (errno.EDQUOT, r"There is no room left in .*/run \(.*\)\. Free some, or set WORKQ_RUNTIME_DIR"),
        (errno.EROFS, r"The folder .*/run can't be used: .*\. Set WORKQ_RUNTIME_DIR to a folder that you may write to"),
    ],
    ids=["full", "over quota", "read-only"],
)
@pytest.mark.parametrize("where", ["run", "run/" + "x" * 120], ids=["", "a long path"])
def test_a_runtime_folder_in_which_nothing_can_be_kept_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, mend: str, where: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(json, "dump", refuse)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folders = Folders(tmp_path / where, tmp_path / "cache")
    with pytest.raises(BrokerStartError, match=mend.replace("/run", f"/{where}")):
        take_lease(folders, Choice(), {})
    assert not folders.runtime.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_folders_are_made_private(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    for name in ("open", "new/one"):
        make_private(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


def test_a_folder_that_is_not_ours_or_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(BrokerStartError, match="WORKQ_RUNTIME_DIR"):
            make_private(tmp_path / name)


def test_folders_from_the_environment(tmp_path: Path) -> None:
    environ = {"WORKQ_RUNTIME_DIR": str(tmp_path / "r"), "WORKQ_CACHE_DIR": str(tmp_path / "c")}
    assert Folders.from_environ(environ) == Folders(tmp_path / "r", tmp_path / "c")
    assert Folders.from_environ({}).runtime.is_absolute()
    with pytest.raises(InvalidArgumentError, match="WORKQ_CACHE_DIR is 'here', which is relative"):
        Folders.from_environ({"WORKQ_CACHE_DIR": "here"})


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    folders = Folders(tmp_path / ("x" * 120), tmp_path)
    path = folders.make_socket_path()
    path.parent.rmdir()
    assert len(os.fsencode(path)) <= 100
    assert Folders(Path("/r"), tmp_path).make_socket_path() == Path("/r/keeper.sock")


# -- what a start waits for


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("broker", {"pika", "httpx", "tenacity", "psutil", "testcontainers", "pandas", "filelock"}),
        ("keeper", {"pika", "httpx", "tenacity", "psutil", "testcontainers", "pandas", "filelock"}),
        ("sources", {"pika", "httpx", "tenacity", "psutil", "testcontainers"}),
        ("container", {"pika", "httpx", "tenacity", "psutil"}),  # imported while RabbitMQ boots
    ],
)
def test_what_a_boot_waits_for_imports_nothing_heavy(module: str, heavy: set[str]) -> None:
    code = f"import sys, workq_helpers.broker.{module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy & set(ran.stdout.split()) == set()
