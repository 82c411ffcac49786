"""What tests share that is no fixture."""

from __future__ import annotations

import errno
import os
import re
import socket

import httpx
import psutil
import pytest

__all__ = ["LAB_URL", "command_of", "is_refused", "jupyter_client", "need"]

#: What JupyterLab says once it opens the first lesson: its address and its token.
LAB_URL = re.compile(r"(http://127\.0\.0\.1:\d+)/lab/tree/notebooks/00_start_here\.ipynb\?token=(\w+)")


def jupyter_client(token: str) -> httpx.Client:
    """Return a client for a JupyterLab, which tells its address a moment before it listens there."""
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(transport=httpx.HTTPTransport(retries=6), headers=headers, timeout=60)


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command line; none if it has ended, whether somebody has waited for it or not."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def is_refused(port: int) -> bool:
    """Whether nobody listens at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def need(condition: object, reason: str) -> None:
    """Skip the test on a laptop where a prerequisite is missing; fail it in CI, where none may be."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)
