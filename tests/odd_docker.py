"""`OddDocker`: what listens where Docker would, and answers as a test says."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["HANG_UP", "SAY_NOTHING", "OddDocker", "answer", "odd_docker"]

#: In the place of an answer.
HANG_UP, SAY_NOTHING = b"", None

_VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}


def answer(body: object, status: int = 200) -> bytes:
    """Return an answer as HTTP has it, of JSON unless it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return (head + text).encode()


_NOTHING = answer({"message": "page not found"}, 404)


class OddDocker:
    """A socket that answers who asks as `answers` has it; what nothing is said of, Docker would say.

    Args:
        path: Of the socket.
        answers: By a pattern of the question's method and path.
    """

    def __init__(self, path: Path, answers: Mapping[str, bytes | None]) -> None:
        self.asked: list[str] = []
        self._answers = {"/version ": answer(_VERSION), **answers}
        self._kept: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._listen, name="odd Docker")
        self._thread.start()

    def close(self) -> None:
        """End it, and every connection that waits for an answer."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listener, *self._kept):
            each.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._attend(self._listener.accept()[0])

    def _attend(self, client: socket.socket) -> None:
        question = client.recv(65_536).decode(errors="replace").partition("\r\n")[0]
        if question:
            self.asked.append(question)
        said = next((said for what, said in self._answers.items() if re.search(what, question)), _NOTHING)
        if said is SAY_NOTHING:
            self._kept.append(client)
            return
        with client, contextlib.suppress(OSError):
            client.sendall(said)


@contextlib.contextmanager
def odd_docker(path: Path, answers: Mapping[str, bytes | None]) -> Iterator[OddDocker]:
    """Give one, for as long as it is needed."""
    docker = OddDocker(path, answers)
    try:
        yield docker
    finally:
        docker.close()
