"""Starts the kernel that `make lab` would, and imports in it what a lesson imports, for `workq doctor`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from IPython.paths import get_ipython_dir
from jupyter_client.manager import KernelManager

from workq_helpers.broker import open_files
from workq_helpers.cli import kernels
from workq_helpers.cli.jupyter_folders import put_stand_ins

__all__ = ["main"]

#: What the first cells of the lessons import, themselves and through the helpers.
CELL = "import pika, pandas, matplotlib.pyplot, ipywidgets, anywidget; from workq_helpers import Lesson, work"
#: How long the kernel and that cell may take, each, in seconds.
START_SECONDS = 60.0


def main() -> None:
    """Try it in the folder that is given, and print what came of it as JSON."""
    open_files.allow_enough()  # as `make lab` does
    put_stand_ins(os.environ)
    folder = Path(sys.argv[1])
    told = _trial(folder, os.environ)
    if told["failure"]:
        with tempfile.TemporaryDirectory() as empty:
            if not _trial(folder, {**os.environ, "IPYTHONDIR": empty})["failure"]:
                told["failure"] += f"; without the settings and startup files in {get_ipython_dir()} it does not fail"
    print(json.dumps(told))  # noqa: T201 - for `workq doctor` to read


def _trial(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        try:
            with _kernel(folder, environ, said) as client:
                up = time.monotonic()
                failure = _run(client)
        except (RuntimeError, OSError) as error:
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
            return {"failure": f"the kernel does not start ({words[-1] if words else error})"}
    return {"failure": failure, "start": up - started, "import": time.monotonic() - up}


@contextmanager
def _kernel(folder: Path, environ: Mapping[str, str], said: Any) -> Iterator[Any]:
    settings = kernels.of_the_manager()
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=kernels.LessonKernels(), **settings)
    with ExitStack() as until_the_end:  # each step of which may fail, where no thread can be started, say
        until_the_end.callback(manager.shutdown_kernel, now=True)
        manager.start_kernel(cwd=str(folder), env=dict(environ), stdout=said, stderr=said)
        client = manager.blocking_client()
        until_the_end.callback(client.stop_channels)
        client.start_channels()
        client.wait_for_ready(timeout=START_SECONDS)
        yield client


def _run(client: Any) -> str:
    """Run the cell, and return how it failed, ``""`` if it did not."""
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        said.extend(message["content"].get("text", "").split("\n"))

    try:
        content = client.execute_interactive(CELL, timeout=START_SECONDS, output_hook=hear)["content"]
    except (TimeoutError, Empty):
        return f"`{CELL}` did not end within {START_SECONDS:.0f} s in the kernel"
    if content["status"] != "error":
        return ""
    # What a library logs of its trouble names the file that its exception may not name.
    return "; ".join([f"{content['ename']}: {content['evalue']}", *list(filter(None, said))[-1:]])


if __name__ == "__main__":
    main()
