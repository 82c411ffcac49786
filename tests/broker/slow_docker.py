"""A Docker that takes long to make a container, or to say anything: whoever asked may die in between, or ask on."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SlowDocker", "slow_docker"]

_CREATE = re.compile(rb"^POST \S*/containers/create\?", re.MULTILINE)
_LOOK = re.compile(rb"^GET \S*/containers/workq-rabbitmq-\w+/json ", re.MULTILINE)
_SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class SlowDocker:
    """The machine's Docker behind a socket of its own, where what is asked can be held back.

    Attributes:
        host: For ``DOCKER_HOST``.
        asked: Set once a container was asked for, which then waits.
        looked: Set once somebody then looked for it.
        made: Set once Docker, told to go on, has answered.
    """

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.asked, self.looked, self.made = threading.Event(), threading.Event(), threading.Event()
        self._may_go_on, self._talks = threading.Event(), threading.Event()
        self._talks.set()
        self._connected: list[tuple[threading.Thread, socket.socket]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listening = threading.Thread(target=self._listen, name="slow Docker")
        self._listening.start()

    def go_on(self) -> None:
        """Hand on what was held back, to the Docker that does it."""
        self._may_go_on.set()

    def hush(self) -> None:
        """Take every question from now on and answer none, until `talk`."""
        self._talks.clear()

    def talk(self) -> None:
        """Answer again."""
        self._talks.set()

    def close(self) -> None:
        """End every connection."""
        self.go_on()
        self.talk()
        _shut_down(self._listener)
        self._listening.join()
        self._listener.close()
        for thread, client in self._connected:
            _shut_down(client)
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._attend, args=(client,), name="slow Docker's client")
            self._connected.append((thread, client))
            thread.start()

    def _attend(self, client: socket.socket) -> None:
        creating = threading.Event()
        with client, socket.socket(socket.AF_UNIX) as docker:
            docker.connect(_SOCKET)
            answering = threading.Thread(target=self._answer, args=(docker, client, creating))
            answering.start()
            while data := _received(client):
                if _LOOK.search(data) and self.asked.is_set():
                    self.looked.set()
                if _CREATE.search(data):
                    creating.set()
                    self.asked.set()
                    self._may_go_on.wait()
                self._talks.wait()
                docker.sendall(data)
            if creating.is_set():
                self.made.wait()  # Docker may forget what it has not begun when its client hangs up
            _shut_down(docker)
            answering.join()

    def _answer(self, docker: socket.socket, client: socket.socket, creating: threading.Event) -> None:
        while data := _received(docker):
            if creating.is_set():
                self.made.set()
            try:
                client.sendall(data)
            except OSError:
                return  # it is dead


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end was quicker
        sock.shutdown(socket.SHUT_RDWR)


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65_536)
    except OSError:
        return b""


@contextlib.contextmanager
def slow_docker(folder: Path) -> Iterator[SlowDocker]:
    """Give one whose socket is in `folder`."""
    docker = SlowDocker(folder / "docker.sock")
    try:
        yield docker
    finally:
        docker.close()
