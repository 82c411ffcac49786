"""A course broker of a test's own, and what it leaves behind: for tests of its whole life."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from workq_helpers.broker import Broker, commands

__all__ = ["Holder", "admin", "course", "node_is_possible", "processes_in"]

_HOLD = """
import json, sys
from workq_helpers.broker import find_broker, status
broker = find_broker(lambda text: print(json.dumps({"progress": text}), flush=True))
host = broker.create_virtual_host("held")
print(json.dumps({"port": broker.endpoint.port, "supervisor": status().supervisor, "host": host}), flush=True)
sys.stdin.read()
"""


@contextmanager
def course(**settings: str) -> Iterator[dict[str, str]]:
    """Give the environment of a course broker in a folder of its own, and stop it in the end.

    RabbitMQ's packages are in the user's cache: unpacking them takes more of a processor than two starts of RabbitMQ.
    """
    home = Path(tempfile.mkdtemp(prefix="wq-"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WORKQ_")}
    environ |= {
        "WORKQ_BROKER": "node",
        "WORKQ_RUNTIME_DIR": str(home / "run"),
        "WORKQ_LINGER_SECONDS": "0.5",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    } | settings
    try:
        yield environ
    finally:
        commands.stop(environ)
        shutil.rmtree(home)


class Holder:
    """Another process that has a share until its stdin ends, as a kernel does."""

    def __init__(self, environ: dict[str, str], code: str = _HOLD, **options: Any) -> None:
        self.progress: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self) -> dict[str, Any]:
        """Return the next thing it says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the holder ended with {self._process.wait()}"
        said: dict[str, Any] = json.loads(line)
        if "progress" in said:
            self.progress.append(said["progress"])
        return said

    def ready(self) -> dict[str, Any]:
        """Wait until it has its share, and return what it found."""
        while "port" not in (said := self.read()):
            pass
        return said

    def interrupt(self) -> None:
        """Press Ctrl-C in its terminal."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL it."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """Let it end, and wait for it."""
        self._process.communicate()


def processes_in(environ: dict[str, str]) -> list[psutil.Process]:
    """Return every process of the course broker: all whose environment names its folder, but for this one's."""
    folder = environ["WORKQ_RUNTIME_DIR"]
    found = []
    for process in psutil.process_iter():
        try:
            if any(value.startswith(folder) for value in process.environ().values()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [process for process in found if process.pid != os.getpid()]


def node_is_possible() -> bool:
    """Say whether this machine has what a private node is started from."""
    from workq_helpers.broker.installations import find_installations
    from workq_helpers.broker.packages import PROGRAMS

    return bool(find_installations(os.environ)) or all(shutil.which(program) for program in PROGRAMS)


def admin(broker: Broker, method: str, path: str, **body: object) -> None:
    """Ask a broker's management API for something as its administrator."""
    login = (broker.endpoint.username, broker.endpoint.password)
    url = f"{broker.endpoint.management_url}/api/{path}"
    httpx.request(method, url, auth=login, json=body, trust_env=False).raise_for_status()
