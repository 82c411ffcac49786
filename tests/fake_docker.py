"""Sockets where Docker's would be: one that answers as a test says, and one that leads to Docker and takes its time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["HANG_UP", "SAY_NOTHING", "OddDocker", "SlowDocker", "answer", "odd_docker", "slow_docker"]

#: In the place of an answer.
HANG_UP, SAY_NOTHING = b"", None

_VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
_CREATE = re.compile(rb"^POST \S*/containers/create\?", re.MULTILINE)
_LOOK = re.compile(rb"^GET \S*/containers/workq-rabbitmq-\w+/json ", re.MULTILINE)
_SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


def answer(body: object, status: int = 200) -> bytes:
    """Return an answer as HTTP has it, of JSON unless it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return (head + text).encode()


_NOTHING = answer({"message": "page not found"}, 404)


class _Listener:
    """A Unix socket that attends to each who connects in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._attended: list[tuple[threading.Thread, socket.socket]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listening = threading.Thread(target=self._listen, name="fake Docker")
        self._listening.start()

    def close(self) -> None:
        """End it, and every connection."""
        _shut_down(self._listener)
        self._listening.join()
        self._listener.close()
        for thread, client in self._attended:
            _shut_down(client)
            thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), name="fake Docker's client")
                self._attended.append((thread, client))
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            self._attend(client)

    def _attend(self, client: socket.socket) -> None:
        raise NotImplementedError


class OddDocker(_Listener):
    """Answers who asks as `answers` has it; what nothing is said of, Docker would say.

    Args:
        path: Of the socket.
        answers: By a pattern of the question's method and path.
    """

    def __init__(self, path: Path, answers: Mapping[str, bytes | None]) -> None:
        self.asked: list[str] = []
        self._answers = {"/version ": answer(_VERSION), **answers}
        super().__init__(path)

    def _attend(self, client: socket.socket) -> None:
        question = _received(client).decode(errors="replace").partition("\r\n")[0]
        if question:
            self.asked.append(question)
        said = next((said for what, said in self._answers.items() if re.search(what, question)), _NOTHING)
        if said is SAY_NOTHING:
            _received(client)  # until whoever asked goes, or this ends
        else:
            _send(client, said)


class SlowDocker(_Listener):
    """Leads to the machine's Docker, and can hold back what is asked: whoever asked may die meanwhile, or ask on.

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
        super().__init__(path)

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
        """End it, and every connection."""
        self.go_on()
        self.talk()
        super().close()

    def _attend(self, client: socket.socket) -> None:
        creating = threading.Event()
        with socket.socket(socket.AF_UNIX) as docker:
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
            _send(client, data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)  # what a command in a container prints ends so


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end was quicker
        sock.shutdown(socket.SHUT_RDWR)


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65_536)
    except OSError:
        return b""


def _send(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it is dead
        sock.sendall(data)


@contextlib.contextmanager
def odd_docker(path: Path, answers: Mapping[str, bytes | None]) -> Iterator[OddDocker]:
    """Give one that answers like that, for as long as it is needed."""
    with contextlib.closing(OddDocker(path, answers)) as docker:
        yield docker


@contextlib.contextmanager
def slow_docker(folder: Path) -> Iterator[SlowDocker]:
    """Give one whose socket is in `folder`, for as long as it is needed."""
    with contextlib.closing(SlowDocker(folder / "docker.sock")) as docker:
        yield docker
