from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from workq_helpers.broker import ports
from workq_helpers.broker.ports import free_ports, hold, is_refused, taken
from workq_helpers.errors import PortTakenError


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one range, which is not asked for")
def test_no_connection_of_another_program_would_get_them() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    offered = free_ports(50)
    assert len(set(offered)) == 50
    assert not [port for port in offered if first <= port <= last]


def test_where_every_port_is_for_connections_the_system_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "range"
    whole.write_text("1024\t65535\n")
    monkeypatch.setattr(ports, "_DYNAMIC_RANGE", whole)
    offered = free_ports(3)
    assert len(set(offered)) == 3
    assert taken(offered) == []


def test_a_port_is_taken_by_who_listens_and_by_who_is_connected() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        server_port, connection_port = server.getsockname()[1], connection.getsockname()[1]
        (free,) = free_ports(1)
        assert taken([free, connection_port, server_port]) == [connection_port, server_port]


def test_a_port_is_not_taken_by_what_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()):
            accepted, _address = server.accept()
            accepted.close()  # first, so that this end waits a minute for what may still be on its way
        port = server.getsockname()[1]
    assert taken([port]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody could listen beside who holds a port")
def test_a_port_that_is_held_is_refused_and_nobodys_but_his_who_listens_there_again_and_again() -> None:
    (port,) = free_ports(1)
    with hold([port]):
        for _ in range(3):
            assert is_refused(port)
            with pytest.raises(PortTakenError, match=f"another program has port {port} of 127"):
                hold([port])
            with (
                socket.create_server(("127.0.0.1", port)),  # which reuses addresses, as Erlang does
                socket.create_connection(("127.0.0.1", port)),
            ):
                assert taken([port]) == [port]
    hold([port]).close()


def test_elsewhere_than_on_linux_no_port_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    (port,) = free_ports(1)
    with hold([port]), socket.socket() as server:
        server.bind(("127.0.0.1", port))  # as who does not reuse addresses


def test_a_port_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        assert not is_refused(server.getsockname()[1])  # nobody is let in any more
    assert is_refused(*free_ports(1))
