"""Kernels that tests beside each other can start at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

__all__ = ["manager_in"]


def manager_in(folder: Path, **options: Any) -> KernelManager:
    """Return what starts a kernel that listens at files in a folder.

    Of TCP, Jupyter picks ports that nobody has, and a second or more later the kernel listens there. Where many kernels
    start, one in a hundred and fifty finds a port taken meanwhile: it ends, or, if it is the port of its output, hangs.

    Args:
        folder: A short path; systems allow a socket's about a hundred characters.
        **options: Of the `KernelManager`.
    """
    return KernelManager(transport="ipc", connection_file=str(folder / "kernel.json"), **options)
