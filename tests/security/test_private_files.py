"""Credentials, cookie and log are readable by their user alone, and not guessable."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.course import course, node_is_possible
from tests.support import need
from workq_helpers.broker import commands, find_broker
from workq_helpers.broker.container import ContainerServer
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.locking import locked
from workq_helpers.broker.packages import find_unpacked
from workq_helpers.broker.protocol import connect
from workq_helpers.broker.sweep import sweep
from workq_helpers.classroom.teachers_file import Access, TeachersFile
from workq_helpers.errors import BrokerStartError
from workq_helpers.private_folders import make_private

ROOT = Path(__file__).parents[2]
SOMEBODY_ELSE = 65_534


@contextlib.contextmanager
def careless() -> Iterator[None]:
    """Let new files be open to everybody, as far as nobody says otherwise."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def for_others(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode) & 0o077


def give_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make a file of somebody else's")
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE, follow_symlinks=False)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "run", tmp_path / "cache")
    made.make_runtime()
    return made


# -- what a broker leaves on the disk while it runs


@pytest.mark.once
def test_a_node_started_with_no_umask_at_all() -> None:
    need(node_is_possible(), "there is no RabbitMQ server and no way to unpack one")
    with course() as environ:
        home = Path(environ["WORKQ_RUNTIME_DIR"]).parent
        environ["WORKQ_RUNTIME_DIR"] = str(home / "new" / "run")
        with careless(), find_broker(lambda _: None, environ) as broker:
            runtime = Path(environ["WORKQ_RUNTIME_DIR"])
            (node,) = runtime.glob("broker-*")
            assert broker.endpoint.password in (node / "rabbitmq.conf").read_text()
            cookie = (node / ".erlang.cookie").read_text()
            assert len(set(cookie)) > 8
            assert len(cookie) >= 40
            names = ("rabbitmq.conf", ".erlang.cookie")
            ours = [runtime / f"workq.{kind}" for kind in ("log", "sock", "lock")]
            for path in (*(node / name for name in names), *ours, node, runtime, runtime.parent):
                assert for_others(path) == 0, path
            left_open = [path for path in node.rglob("*") if for_others(path) and not path.is_symlink()]
            assert left_open == []
        commands.stop(environ)


# -- folders


def test_folders_made_on_the_way_are_private_too(tmp_path: Path) -> None:
    with careless():
        make_private(tmp_path / "one" / "two" / "three")
    for path in (tmp_path / "one", tmp_path / "one" / "two", tmp_path / "one" / "two" / "three"):
        assert for_others(path) == 0, path


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "a file").write_text("mine")
    folder.chmod(0o777)
    make_private(folder)
    assert for_others(folder) == 0


def test_what_somebody_put_into_an_open_folder_is_not_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "lock").symlink_to(tmp_path / "precious")
    give_away(folder / "lock")
    for _ in range(2):  # it is no better the second time, when the folder is closed
        with pytest.raises(BrokerStartError, match="was open to other users: 'lock' in it is not yours"):
            make_private(folder)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    folders = Folders(tmp_path / "run", tmp_path / "cache")
    folders.runtime.symlink_to(tmp_path / "theirs")
    for deed in (folders.make_runtime, lambda: connect(folders)):
        with pytest.raises(BrokerStartError, match="is not a folder of yours"):
            deed()


def test_a_supervisor_of_somebody_elses_is_not_asked(folders: Folders) -> None:
    # In /tmp anybody could make the folder first, with a socket and a broker of their own.
    folders.socket.touch()
    give_away(folders.runtime)
    with pytest.raises(BrokerStartError, match=f"belongs to user {SOMEBODY_ELSE}"):
        connect(folders)
    for ask in (commands.status, commands.url, commands.logs):
        with pytest.raises(BrokerStartError):
            ask(environ_of(folders))


def test_a_folder_below_one_of_somebody_elses_is_not_used(folders: Folders) -> None:
    give_away(folders.runtime.parent)
    below = Folders(folders.runtime / "deeper" / "run", folders.cache)
    for deed in (below.make_runtime, lambda: connect(below)):
        with pytest.raises(BrokerStartError, match=f"below {folders.runtime.parent}, which belongs to user"):
            deed()
    assert not below.runtime.parent.exists()


def environ_of(folders: Folders) -> dict[str, str]:
    return {"WORKQ_RUNTIME_DIR": str(folders.runtime), "WORKQ_CACHE_DIR": str(folders.cache)}


@pytest.fixture
def existing(tmp_path: Path) -> Folders:
    """Folders of a user who named one that is there already."""
    (tmp_path / "mine").mkdir()
    return Folders(tmp_path / "mine", tmp_path / "cache")


def test_an_existing_folder_stays_also_where_it_is_empty(existing: Folders) -> None:
    existing.runtime.chmod(0o700)
    with locked(existing):
        existing.remove_runtime()
    assert list(existing.runtime.iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_an_existing_folder_keeps_its_mode_and_its_files(existing: Folders, mode: int) -> None:
    names = ("lock", "notes.txt", "broker-notes", "workq-rabbitmq-notes")
    for name in names:
        (existing.runtime / name).write_text("mine")
    existing.runtime.chmod(mode)
    existing.make_runtime()
    sweep(existing)
    assert commands.stop(environ_of(existing)) is False
    assert stat.S_IMODE(existing.runtime.stat().st_mode) == mode
    assert {path.name: path.read_text() for path in existing.runtime.iterdir()} == dict.fromkeys(names, "mine")


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_an_existing_folder_that_others_may_write_to_is_refused_and_left_as_it_is(existing: Folders, mode: int) -> None:
    existing.runtime.chmod(mode)
    with pytest.raises(BrokerStartError, match=rf"open to other users \(its mode is {mode:o}\).*chmod go-w"):
        find_broker(lambda _: None, environ_of(existing))
    assert stat.S_IMODE(existing.runtime.stat().st_mode) == mode
    assert list(existing.runtime.iterdir()) == []


# -- what a teacher and Compose get


def test_the_teachers_file(tmp_path: Path) -> None:
    file = TeachersFile(tmp_path / "class-urls.csv")
    file.path.touch(0o666)
    with careless():
        file.write([Access("Ada", "ada", "ada", "amqp://ada:pw@host:5672/ada", "")])
    assert for_others(file.path) == 0


def test_composes_passwords(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "compose_env.py"
    script.write_bytes((ROOT / "scripts" / "compose_env.py").read_bytes())
    with careless():
        first = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    env = tmp_path / ".env"
    assert for_others(env) == 0
    secrets = [line.partition("=")[2] for line in env.read_text().splitlines() if "=" in line and "URL" not in line]
    secrets = [each for each in secrets if len(each) == 40]
    assert len(set(secrets)) == 3
    assert not any(each in first.stdout + first.stderr for each in secrets)
    env.chmod(0o644)
    second = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert "chmod 600 .env" in second.stdout
    env.unlink()
    without_room = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, script]
    third = subprocess.run(without_room, capture_output=True, text=True, check=False)
    assert third.stderr.startswith(
        f"make up: {env} can't be written (File too large), where the passwords are kept; free"
    )
    assert not env.exists()


# -- guessing


def test_logins_come_from_the_systems_randomness() -> None:
    servers = [ContainerServer("image") for _ in range(50)]
    assert len({server._password for server in servers}) == 50
    assert min(len(server._password) for server in servers) >= 32  # of 64 characters: 192 bits


# -- the cache


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A cache with a complete server in it."""
    from workq_helpers.broker import packages

    cache = tmp_path / "cache"
    make_private(cache)
    root = cache / "rabbitmq-4.0.5"
    server = root / "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5/sbin/rabbitmq-server"
    erlang = root / "usr/lib/erlang/bin/erl"
    (server.parents[1] / "plugins" / "rabbit-4.0.5").mkdir(parents=True)
    for program in (server, erlang, erlang.with_name("epmd")):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (root / "manifest.json").write_text(json.dumps(packages._census(root) | packages._made_as(root)))
    assert find_unpacked(cache) is not None
    return cache


def test_a_cache_that_others_could_write_to_is_none(unpacked: Path) -> None:
    for mode in (0o770, 0o702, 0o777):
        unpacked.chmod(mode)
        assert find_unpacked(unpacked) is None, oct(mode)
    unpacked.chmod(0o755)
    assert find_unpacked(unpacked) is not None


@pytest.mark.parametrize("name", ["sbin/rabbitmq-server", "sbin", "."])
def test_a_server_that_others_could_change_is_none(unpacked: Path, name: str) -> None:
    (home,) = unpacked.glob("rabbitmq-*/usr/lib/rabbitmq/lib/*")
    (home / name).chmod((home / name).stat().st_mode | 0o020)
    assert find_unpacked(unpacked) is None


def test_a_server_of_somebody_elses_is_none(unpacked: Path) -> None:
    (program,) = unpacked.glob("rabbitmq-*/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
    give_away(program)
    assert find_unpacked(unpacked) is None


def test_a_server_that_was_changed_is_none(unpacked: Path) -> None:
    (program,) = unpacked.glob("rabbitmq-*/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
    program.write_text("#!/bin/sh\nsomething else\n")
    assert find_unpacked(unpacked) is None


def test_a_link_in_place_of_the_cache_is_none(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(unpacked)
    assert find_unpacked(tmp_path / "link") is None
