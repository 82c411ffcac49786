"""The JupyterLab of the browser tests: what `workq lab` opens, in folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import poll_for
from tests.support import command_of

__all__ = ["Server", "serving"]

#: JupyterLab imports for seconds, on a cold machine for many of them.
_START_SECONDS = 90.0
_END_SECONDS = 30.0


class Server:
    """A running JupyterLab.

    Args:
        process: Its process.
        root: The folder that it shows.
        address: Where it listens, such as ``http://127.0.0.1:8888``.
        token: Lets whoever knows it in.
    """

    def __init__(self, process: subprocess.Popen[bytes], root: Path, address: str, token: str) -> None:
        self.root = root
        self.address = address
        self._token = token
        self._process = psutil.Process(process.pid)

    def url(self, path: str) -> str:
        """Return the address of a page, which lets its reader in."""
        return f"{self.address}/{path}?token={self._token}"

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Call Jupyter's REST API and return its answer; no connection is left open."""
        headers = {"Authorization": f"token {self._token}"}
        response = httpx.request(method, f"{self.address}/api/{path}", headers=headers, timeout=60, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def write(self, path: str, text: str) -> None:
        """Write a file below the root."""
        (self.root / path).write_text(text, encoding="utf-8")

    def kernel_of(self, notebook: str) -> str:
        """Return the id of the kernel that runs a notebook, named by its path below the root."""
        (kernel,) = {each["kernel"]["id"] for each in self.ask("GET", "sessions") if each["path"] == notebook}
        return str(kernel)

    def process_of(self, kernel: str) -> psutil.Process:
        """Return a kernel's process."""
        (process,) = (
            each for each in self._process.children() if f"kernel-{kernel}.json" in " ".join(command_of(each))
        )
        return process

    def end_kernels(self) -> None:
        """Shut every kernel down, with the session that belongs to it."""
        for session in self.ask("GET", "sessions"):
            with contextlib.suppress(httpx.HTTPStatusError):  # two sessions may share a kernel
                self.ask("DELETE", f"sessions/{session['id']}")
        for kernel in self.ask("GET", "kernels"):
            with contextlib.suppress(httpx.HTTPStatusError):
                self.ask("DELETE", f"kernels/{kernel['id']}")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run a JupyterLab on what lies in a folder's ``root``, and end it with its kernels.

    Args:
        folder: Where everything that it writes goes.
    """
    root, runtime, token = folder / "root", folder / "runtime", secrets.token_hex(16)
    root.mkdir(exist_ok=True)
    environ = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_TOKEN": token,
        # A lesson's second worker is to be there before the first has done eight tasks, on a busy machine too.
        "WORKQ_SECONDS_PER_DOT": "0.05",
    }
    said = folder / "jupyterlab.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("workq")),
                *("lab", "--end-with-process", str(os.getpid()), "--", "--no-browser", "--port=0"),
                *(f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"),
            ],
            env=environ,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        poll_for(lambda: process.poll() is not None or _port(runtime), _START_SECONDS)
        assert process.poll() is None, f"JupyterLab ended with {process.returncode}:\n{said.read_text()}"
        yield Server(process, root, f"http://127.0.0.1:{_port(runtime)}", token)
    finally:
        _end(process)


def _port(runtime: Path) -> int | None:
    """Return the port that a server wrote down, once it has done so."""
    for file in runtime.glob("jpserver-*.json"):
        with contextlib.suppress(json.JSONDecodeError):  # it is about to be written
            return int(json.loads(file.read_text())["port"])
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, which ends its kernels, and make sure of both."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=5)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
