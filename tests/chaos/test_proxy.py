from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says everything again."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(sock: socket.socket) -> None:
        with sock:
            try:
                while data := sock.recv(100_000):
                    sock.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=answer, args=[sock], daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    made = Proxy("127.0.0.1", echo)
    yield made
    made.close()


def connect(proxy: Proxy) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
    sock.sendall(b"hello")
    assert sock.recv(100) == b"hello"
    return sock


def test_it_passes_everything_on_in_order(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 10_000
    with connect(proxy) as sock:
        writer = threading.Thread(target=sock.sendall, args=[sent])
        writer.start()
        got = b""
        while len(got) < len(sent):
            got += sock.recv(100_000)
        writer.join()
    assert got == sent


def test_a_cut_resets_the_connection(proxy: Proxy) -> None:
    with connect(proxy) as sock:
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            sock.recv(100)
    connect(proxy).close()


def test_a_delay_holds_back_and_loses_nothing(proxy: Proxy) -> None:
    with connect(proxy) as sock:
        proxy.delay(0.2)
        sock.sendall(b"later")
        assert sock.recv(100) == b"later"


def test_half_open_says_nothing_to_one_side(proxy: Proxy) -> None:
    with connect(proxy) as sock:
        proxy.half_open("client")
        sock.sendall(b"is anybody there?")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(100)
        proxy.cut()
    with connect(proxy) as sock:
        proxy.half_open("broker")
        assert sock.recv(100) == b""


def test_the_end_of_a_broker_is_passed_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy("127.0.0.1", listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as sock:
            broker = listener.accept()[0]
            broker.sendall(b"last words")
            broker.close()
            assert sock.recv(100) == b"last words"
            assert sock.recv(100) == b""
        proxy.close()
