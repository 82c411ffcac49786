from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.support import need
from workq_helpers.broker import member
from workq_helpers.broker import node as node_module
from workq_helpers.broker.doctor import try_node
from workq_helpers.broker.installations import Installation, find_installations, first_supported, installation_in
from workq_helpers.broker.node import NodeServer
from workq_helpers.broker.packages import PROGRAMS, find_unpacked, unpacked_installation
from workq_helpers.broker.ports import hold, is_refused
from workq_helpers.broker.processes import at_home_in
from workq_helpers.broker.server import silent
from workq_helpers.errors import BrokerStartError, PortTakenError
from workq_helpers.private_folders import Obstacle
from workq_helpers.rabbitmq.connecting import accepts, open_connection, probe

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def installation() -> Installation:
    """Return a server: the installed one, or else the system's packages unpacked into the user's cache."""
    if found := first_supported(os.environ):
        return found
    cache = Path.home() / ".cache" / "workq"
    possible = all(shutil.which(program) for program in PROGRAMS) or find_unpacked(cache)
    need(possible, "there is no RabbitMQ server and no way to unpack one")
    return unpacked_installation(cache, os.environ, silent)


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="wq-"))
    yield folder
    shutil.rmtree(folder)


def start(installation: Installation, home: Path) -> NodeServer:
    server = NodeServer(installation, home / "node", os.environ)
    server.start()
    return server


def test_restart_and_crash_keep_data_ports_and_login(installation: Installation, home: Path) -> None:
    server = NodeServer(installation, home / "node", os.environ)
    endpoint = server.start()
    try:
        assert probe(endpoint) == installation.version
        with open_connection(endpoint) as connection:
            connection.channel().queue_declare("kept", durable=True)
        for deed in (server.restart, server.crash):
            before = set(at_home_in(home / "node"))
            deed()
            assert set(at_home_in(home / "node")) != before
            with open_connection(endpoint) as connection:
                connection.channel().queue_declare("kept", passive=True)
        left = at_home_in(home / "node")
        left += [child for process in left for child in process.children(recursive=True)]
        server.kill()  # what is down keeps its ports
        assert all(map(is_refused, server._ports[:3]))
        for port in server._ports if sys.platform == "linux" else ():
            with pytest.raises(PortTakenError):
                hold([port])
    finally:
        server.stop()
    assert not server.is_running()
    assert not accepts(endpoint)
    psutil.wait_procs(left, timeout=10)
    assert not [process for process in left if process.is_running()]
    assert not (home / "node").exists()
    server.stop()  # once more is no error


#: What shells, units and other courses set: RabbitMQ takes `X` where `RABBITMQ_X` is not set, Erlang has its own.
_OF_ANOTHER_PROGRAM = {
    "DEFAULT_USER": "ada",
    "DEFAULT_PASS": "lovelace",
    "DEFAULT_VHOST": "engine",
    "PLUGINS_DIR": "/no/such/plugins",
    "FEATURE_FLAGS": "-all",
    "USE_LONGNAME": "true",
    "SERVER_ERL_ARGS": "+no_such_flag",
    "CTL_ERL_ARGS": "+no_such_flag",
    "LOAD_DEFINITIONS": "/no/such/definitions.json",
    "NODE_ONLY": "1",
    "SYS_PREFIX": "/no/such/prefix",
    "RABBITMQ_NODE_ONLY": "1",
    "ERL_AFLAGS": "+no_such_flag",
    "ERL_LIBS": "/no/such/library",
    "ESCRIPT_EMULATOR": "/no/such/erl",
    "ROOTDIR": "/no/such/erlang",
    "BINDIR": "/no/such/erlang/bin",
    "NOTIFY_SOCKET": "/no/such/socket",
    "LC_ALL": "xx_XX.NOSUCH",
    "HOME": "/no/such/home",
}


@pytest.fixture
def brewed(installation: Installation, home: Path) -> Installation:
    """The server as Homebrew would have put it there, below a folder whose name no shell reads as one word."""
    home = home / "Ada's own $HOME ü"
    cellar = home / "Cellar" / "rabbitmq" / str(installation.version)
    cellar.parent.mkdir(parents=True)
    cellar.symlink_to(installation.home)
    for link in (home / "opt" / "rabbitmq", home / "sbin" / "rabbitmq-server", home / "bin" / "erl"):
        link.parent.mkdir()
    (home / "opt" / "rabbitmq").symlink_to(cellar)
    (home / "sbin" / "rabbitmq-server").symlink_to(cellar / "sbin" / "rabbitmq-server")
    for program in ("erl", "epmd", "escript"):
        (home / "bin" / program).symlink_to(installation.erlang / program)
    found = installation_in(home / "opt" / "rabbitmq", home / "bin", "installed")
    assert found is not None
    return found


def test_homebrews_layout_is_found(brewed: Installation) -> None:
    prefix = brewed.erlang.parent
    found = find_installations({"PATH": f"{prefix}/bin:{prefix}/sbin"})
    assert found[0].version == brewed.version


def test_what_the_users_shell_sets_does_not_reach_the_node_not_even_homebrews(
    installation: Installation, brewed: Installation, home: Path
) -> None:
    server = NodeServer(brewed, home / "node", os.environ | _OF_ANOTHER_PROGRAM)
    endpoint = server.start()
    try:
        assert probe(endpoint) == installation.version
        told = server.rabbitmqctl(["eval", "{file:native_name_encoding(), inet:gethostbyname(localhost)}."])
        assert "utf8" in told
        assert "{127,0,0,1}" in told
        environs = [process.environ() for process in at_home_in(home / "node")]
    finally:
        server.stop()
    ours = ("HOME", "LC_ALL", "BINDIR", "ROOTDIR", "SYS_PREFIX")  # set by us, or by the scripts for themselves
    for name in _OF_ANOTHER_PROGRAM.keys() - set(ours):
        assert not [environ[name] for environ in environs if environ.get(name) == _OF_ANOTHER_PROGRAM[name]]


@pytest.mark.root
def test_a_machine_without_the_name_localhost_has_a_node_all_the_same(installation: Installation, home: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can give a program another /etc/hosts, and on Linux alone")
    empty = home / "hosts"
    empty.write_text("")
    code = (
        "import os, sys; from pathlib import Path; from workq_helpers.broker.node import NodeServer;"
        "from workq_helpers.broker.installations import installation_in;"
        f"found = installation_in(Path({str(installation.home)!r}), Path({str(installation.erlang)!r}), 'here');"
        f"server = NodeServer(found, Path({str(home / 'node')!r}), os.environ); server.start();"
        "print(server.rabbitmqctl(['eval', 'node().'])); server.stop()"
    )
    inside = f'mount --bind "{empty}" /etc/hosts && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "@localhost" in done.stdout


def test_too_few_open_files_are_told_before_a_node_hangs(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 64))
    with pytest.raises(BrokerStartError, match=r"only 64 files .* needs 256\. .*ulimit -n"):
        start(installation, home)
    assert not (home / "node").exists()


def test_doctor_starts_a_node_and_ends_it(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(home))
    finding = try_node(os.environ)
    assert finding.verdict == "ok"
    assert re.search(r"up in [\d.]+ s, ended in [\d.]+ s", finding.found)
    assert "the broker's own counts: yes" in finding.found
    assert not list(home.iterdir())


#: Where a port is in what `free_ports` offers for a node.
EPMD, AMQP, MANAGEMENT, DISTRIBUTION = range(4)


@pytest.mark.parametrize(
    "port",
    [
        pytest.param(MANAGEMENT, id="management"),
        pytest.param(DISTRIBUTION, id="distribution", marks=pytest.mark.nightly),
        pytest.param(EPMD, id="epmd", marks=pytest.mark.nightly),
    ],
)
def test_one_clash_of_ports_is_survived(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # as a connection of another program has one: nobody listens there
        offers = [list(member.free_ports(4)), list(member.free_ports(4))]
        offers[0][port] = other.getsockname()[1]
        monkeypatch.setattr(member, "free_ports", lambda _count: tuple(offers.pop(0)))
        server = start(installation, home)
        try:
            assert server.is_running()
        finally:
            server.stop()
    assert not offers


@pytest.mark.nightly
def test_a_port_that_is_free_again_when_the_node_has_ended_counts_as_a_clash(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "hold", lambda _ports: contextlib.ExitStack())  # as where nothing can be held
    monkeypatch.setattr(node_module, "taken", lambda _ports: [])
    test_one_clash_of_ports_is_survived(installation, home, monkeypatch, DISTRIBUTION)


@pytest.mark.nightly
def test_a_lasting_clash_of_ports_has_its_own_error(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        offered = list(member.free_ports(4))
        offered[AMQP] = port
        monkeypatch.setattr(member, "free_ports", lambda _count: tuple(offered))
        with pytest.raises(PortTakenError, match=f"another program has port {port} "):
            start(installation, home)
    assert not (home / "node").exists()


def test_a_node_that_does_not_come_up_shows_the_errors_of_its_log(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "_CONFIG", f"{node_module._CONFIG}no_such_setting = 1\n")
    with pytest.raises(BrokerStartError, match="no_such_setting") as caught:
        start(installation, home)
    assert max(map(len, str(caught.value).splitlines())) < 400


def test_a_node_that_finds_no_room_says_so_first(
    installation: Installation, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = NodeServer(installation, home / "node", os.environ)
    monkeypatch.setattr(
        node_module, "obstacle_in", lambda _folder: Obstacle("No space left on device", "Free some room")
    )
    text = str(server._failure("ended with status 1"))
    assert f"its data in {home}/node, where nothing can be written (No space left on device). Free some room." in text


def test_a_node_that_does_not_come_up_shows_its_log(installation: Installation, home: Path) -> None:
    broken = home / "server"
    (broken / "sbin").mkdir(parents=True)
    script = broken / "sbin" / "rabbitmq-server"
    script.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(BrokerStartError, match=r"(?s)ended with status 3 .*workq doctor.*no such thing"):
        start(replace(installation, home=broken), home)
    assert not (home / "node").exists()
