"""Starts the kernel that `make lab` would, and imports in it what a lesson imports, for `workq doctor`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.manager import KernelManager

from workq_helpers.cli.kernels import LessonKernels

__all__ = ["main"]

#: What the first cells of the lessons import, themselves and through the helpers.
CELL = "import pika, pandas, matplotlib.pyplot, ipywidgets, anywidget; from workq_helpers import Lesson, work"
#: How long the kernel and that cell may take, each, in seconds.
START_SECONDS = 60.0


def main() -> None:
    """Try it in the folder that is given, and print what came of it as JSON."""
    print(json.dumps(_trial(Path(sys.argv[1]))))  # noqa: T201 - for `workq doctor` to read


def _trial(folder: Path) -> dict[str, Any]:
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        try:
            with _kernel(folder, said) as client:
                up = time.monotonic()
                failure = _run(client)
        except (RuntimeError, OSError) as error:
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
            return {"failure": f"the kernel does not start ({words[-1] if words else error})"}
    return {"failure": failure, "start": up - started, "import": time.monotonic() - up}


@contextmanager
def _kernel(folder: Path, said: Any) -> Iterator[Any]:
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=LessonKernels())
    manager.start_kernel(cwd=str(folder), stdout=said, stderr=said)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=START_SECONDS)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client: Any) -> str:
    """Run the cell, and return how it failed, ``""`` if it did not."""
    try:
        content = client.execute_interactive(CELL, timeout=START_SECONDS, output_hook=lambda _message: None)["content"]
    except (TimeoutError, Empty):
        return f"`{CELL}` did not end within {START_SECONDS:.0f} s in the kernel"
    return f"{content['ename']}: {content['evalue']}" if content["status"] == "error" else ""


if __name__ == "__main__":
    main()
