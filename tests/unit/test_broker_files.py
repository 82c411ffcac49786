from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from packaging.version import Version

from workq_helpers.broker import folders as folders_module
from workq_helpers.broker import protocol, removal
from workq_helpers.broker.choice import BrokerChoice
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.installations import Installation
from workq_helpers.broker.member import members
from workq_helpers.broker.node import NodeServer
from workq_helpers.broker.protocol import connect
from workq_helpers.broker.share import take_share
from workq_helpers.broker.sweep import sweep
from workq_helpers.errors import BrokerStartError, DockerSilentError, DockerUnavailableError, InvalidArgumentError
from workq_helpers.private_folders import make_private, temporary_folder, why_not_writable


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    found = Folders(tmp_path / "run", tmp_path / "cache")
    found.make_runtime()
    return found


def test_no_socket_is_no_supervisor(folders: Folders) -> None:
    assert connect(folders) is None


def test_a_dead_supervisor_is_swept(folders: Folders) -> None:
    left = folders.make_node_path()
    (left / "data").mkdir(parents=True)
    folders.log.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folders.make_socket_path()))
    assert connect(folders) is None
    sweep(folders)
    assert not folders.runtime.exists()


def test_a_supervisor_that_dies_while_it_is_asked_is_swept(folders: Folders) -> None:
    def die() -> None:
        listener.accept()[0].close()  # what has come in is gone before nobody listens any more
        listener.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folders.make_socket_path()))
        listener.listen()
        thread = threading.Thread(target=die)
        thread.start()
        sweep(folders)
        thread.join()
    assert not folders.runtime.exists()


def test_a_container_that_docker_could_not_be_told_to_remove_stays_named(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = [DockerSilentError("It hangs."), BrokerStartError("It is busy.")]

    def fail(_seconds: float) -> None:
        raise failures[0]

    monkeypatch.setattr(removal, "client", fail)
    named = folders.runtime / "workq-rabbitmq-0123456789ab"
    named.touch()
    while failures:
        with pytest.raises(BrokerStartError, match=rf"may still run, in the container {named.name}\. It .* rm --force"):
            sweep(folders)
        assert folders.containers == [named]
        failures.pop(0)
    failures = [DockerUnavailableError("There is none.")]  # so no container runs
    sweep(folders)
    assert not folders.runtime.exists()


def test_what_a_living_supervisor_owns_is_left_alone(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SILENCE_SECONDS", 0.1)  # it hangs: so little is enough to leave it alone
    owned = folders.make_node_path()
    owned.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folders.make_socket_path()))
        listener.listen()
        sweep(folders)
    assert owned.exists()
    assert folders.socket.exists()


def test_processes_are_swept_by_where_they_are_at_home(folders: Folders, tmp_path: Path) -> None:
    left, other = folders.make_node_path(), tmp_path / "other"
    left.mkdir()
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with contextlib.ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, env={"HOME": str(home)}))
            for home in (left, other)
        )
        sweep(folders)
        assert not psutil.pid_exists(ours.pid)
        assert theirs.poll() is None
        theirs.communicate()
    assert not folders.runtime.exists()


def test_a_node_with_more_room_elsewhere_is_found_and_swept(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = folders.runtime.parent / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    usage = shutil.disk_usage(folders.runtime)
    room = {temporary: usage._replace(free=2), folders.runtime: usage._replace(free=1)}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room[Path(path)])
    elsewhere = folders.make_node_path()
    elsewhere.mkdir()
    assert temporary in elsewhere.parents
    assert [node.resolve() for node in folders.nodes] == [elsewhere]
    sweep(folders)
    assert list(temporary.iterdir()) == []
    assert not folders.runtime.exists()


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

    monkeypatch.setattr(os, "write", refuse)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folders = Folders(tmp_path / where, tmp_path / "cache")
    with pytest.raises(BrokerStartError, match=mend.replace("/run", f"/{where}")):
        take_share(folders, BrokerChoice(), {})
    assert not folders.runtime.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_folder_that_is_not_ours_or_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(BrokerStartError, match=rf"\(it is a {name}\)\. Set WORKQ_RUNTIME_DIR"):
            make_private(tmp_path / name)


@pytest.mark.parametrize("where", ["run", "new/run"])
def test_a_umask_that_closes_what_is_made_is_named(tmp_path: Path, where: str) -> None:
    before = os.umask(0o777)
    try:
        assert "`umask 022`" in why_not_writable(tmp_path / where)
        with pytest.raises(BrokerStartError, match=r"/\w+ can't be used: the umask closes .* `umask 022`"):
            take_share(Folders(tmp_path / where, tmp_path / "cache"), BrokerChoice(), {})
        os.umask(0o077)
        assert why_not_writable(tmp_path / where) == ""
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["x" * 300, "x" * 300 + "/run"])
def test_a_runtime_folder_that_can_not_be_looked_at_is_a_sentence(tmp_path: Path, where: str) -> None:
    """As one that is closed to its user, which no folder is to root."""
    folders = Folders(tmp_path / where, tmp_path / "cache")
    for deed in (connect, lambda folders: take_share(folders, BrokerChoice(), {}), Folders.make_runtime):
        with pytest.raises(BrokerStartError, match=r"can't be used: File name too long\. Set WORKQ_RUNTIME_DIR to"):
            deed(folders)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session's own runtime folder, on a machine with no other."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "session").mkdir(mode=0o700)
    return tmp_path / "session"


def test_the_runtime_folder_is_the_sessions_where_there_is_one_to_use(session: Path, tmp_path: Path) -> None:
    usual = Folders.from_environ({}).runtime
    assert Folders.from_environ({"XDG_RUNTIME_DIR": str(session)}).runtime == session / "workq"
    for none in ("relative", str(tmp_path / "gone"), "/etc/passwd", ""):
        assert Folders.from_environ({"XDG_RUNTIME_DIR": none}).runtime == usual
    session.chmod(0o777)
    assert Folders.from_environ({"XDG_RUNTIME_DIR": str(session)}).runtime == usual


def test_on_macos_the_runtime_folder_is_where_the_system_keeps_such(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    theirs = SimpleNamespace(user_runtime_path=lambda name, appauthor: Path("/Users/ada/Caches") / name)
    monkeypatch.setattr(folders_module, "_platformdirs", lambda: theirs)
    environ = {"XDG_RUNTIME_DIR": str(session), "WORKQ_CACHE_DIR": "/cache"}
    assert Folders.from_environ(environ).runtime == Path("/Users/ada/Caches/workq")


def test_without_any_place_for_temporary_files_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", full)
    with pytest.raises(BrokerStartError, match=r"temporary files \(No usable .* in .*\)\. Free some room .* TMPDIR"):
        temporary_folder()


def test_folders_from_the_environment(tmp_path: Path) -> None:
    environ = {"WORKQ_RUNTIME_DIR": str(tmp_path / "r"), "WORKQ_CACHE_DIR": str(tmp_path / "c")}
    assert Folders.from_environ(environ) == Folders(tmp_path / "r", tmp_path / "c")
    assert Folders.from_environ({}).runtime.is_absolute()
    with pytest.raises(InvalidArgumentError, match="WORKQ_CACHE_DIR is 'here', which is relative"):
        Folders.from_environ({"WORKQ_CACHE_DIR": "here"})
    with pytest.raises(InvalidArgumentError, match="WORKQ_RUNTIME_DIR is '~nobody-here/x', which is relative"):
        Folders.from_environ({"WORKQ_RUNTIME_DIR": "~nobody-here/x"})


@pytest.mark.parametrize(("system", "locale"), [("linux", "C.UTF-8"), ("darwin", "en_US.UTF-8")])
def test_a_node_has_a_locale_that_is_there(
    system: str, locale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    node = NodeServer(
        Installation(tmp_path, tmp_path, Version("4.3.6"), "made up"), tmp_path / "node", {"LC_ALL": "xx_YY"}
    )
    assert node._node_environ(members(1)[0])["LC_ALL"] == locale


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    folders = Folders(tmp_path / ("x" * 120), tmp_path)
    folders.make_runtime()
    path = folders.make_socket_path()
    assert len(os.fsencode(path)) <= 100
    assert folders.socket == path
    folders.remove_runtime()
    assert not path.parent.exists()
    assert Folders(Path("/r"), tmp_path).make_socket_path() == Path("/r/workq.sock")


# -- what is waited for


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("broker.broker", {"pika", "httpx", "psutil", "testcontainers", "pandas", "filelock"}),
        ("broker.supervisor", {"pika", "httpx", "psutil", "testcontainers", "pandas", "filelock"}),
        ("broker.sources", {"pika", "httpx", "psutil", "testcontainers"}),
        ("broker.container", {"pika", "httpx", "psutil"}),  # imported while RabbitMQ boots
        ("stage.stage", {"matplotlib", "pandas"}),
    ],
)
def test_what_somebody_waits_for_imports_nothing_heavy(module: str, heavy: set[str]) -> None:
    code = f"import sys, workq_helpers.{module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy & set(ran.stdout.split()) == set()
