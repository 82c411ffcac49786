"""A JupyterLab that runs in a container, for the browser tests' tabs and notebooks."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import httpx
import psutil

from tests.browser.server import Server
from tests.conftest import poll_for

__all__ = ["ContainedServer"]

_START_SECONDS = 90.0


class ContainedServer(Server):
    """A running JupyterLab, known by its address alone.

    Args:
        address: Where it answers, such as ``http://127.0.0.1:8888/user/someone``.
        token: Lets whoever knows it in.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._token = token

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        poll_for(self._answers, _START_SECONDS)

    def write(self, path: str, text: str) -> None:
        """Write a file below the root, through Jupyter's REST API."""
        assert not PurePosixPath(path).is_absolute()
        self.ask("PUT", f"contents/{path}", json={"type": "file", "format": "text", "content": text})

    def read(self, path: str) -> dict[str, Any]:
        """Return what Jupyter says about a file, with its content."""
        found: dict[str, Any] = self.ask("GET", f"contents/{path}")
        return found

    def process_of(self, kernel: str) -> psutil.Process:
        """Refuse: its kernels run elsewhere."""
        raise NotImplementedError(f"kernel {kernel} runs in a container")

    def _answers(self) -> bool:
        try:
            return "started" in self.ask("GET", "status")
        except httpx.HTTPError:
            return False  # its port is open before it listens
