"""Prepares the JupyterLab that `make lab` would open, starts its kernel and imports a lesson, for `workq doctor`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME

from workq_helpers.broker import open_files
from workq_helpers.cli.jupyter_folders import put_stand_ins
from workq_helpers.cli.lab import FIRST_LESSON, jupyterlab, lab_arguments

__all__ = ["main"]

#: What the first cells of the lessons import, themselves and through the helpers.
CELL = "from workq_helpers import Lesson, work; import pika, pandas, matplotlib.pyplot, ipywidgets, anywidget"
#: How long the kernel and that cell may take, each, in seconds.
START_SECONDS = 60.0


def main() -> None:
    """Try it for the folder that is given; print what came of it as JSON, after what settings may have printed."""
    open_files.allow_enough()  # as `make lab` does
    put_stand_ins(os.environ)
    folder = Path(sys.argv[1])
    lab, failure = _prepared(folder)
    told = {"lab": failure, "kernel": ""} | (_kernel(lab, folder) if not failure else {})
    print(f"\n{json.dumps(told)}")  # noqa: T201 - for `workq doctor` to read


def _prepared(folder: Path) -> tuple[Any, str]:
    """Return the server, up to its port, and how that failed."""
    try:
        return jupyterlab().initialize_server(argv=lab_arguments([], folder, os.geteuid() == 0)), ""
    except OSError as error:
        return None, error.strerror or type(error).__name__
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of any kind; its words may quote a secret of the user's
        return None, type(error).__name__


def _kernel(lab: Any, folder: Path) -> dict[str, Any]:
    """Have the server start a lesson's kernel, as it does for a notebook, and use that."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        try:
            with _started(lab, folder, said) as client:
                up = time.monotonic()
                failure = _run(client)
        except Exception as error:  # noqa: BLE001 - settings of the user's name classes
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
            return {"kernel": f"the kernel does not start ({words[-1] if words else error})"}
    return {"kernel": failure, "start": up - started, "import": time.monotonic() - up}


@contextmanager
def _started(lab: Any, folder: Path, said: Any) -> Iterator[Any]:
    manager, loop = lab.kernel_manager, lab.io_loop
    lessons = Path(FIRST_LESSON).parent
    path = str(lessons) if (folder / lessons).is_dir() else ""
    with ExitStack() as until_the_end:  # each step of which may fail, where no thread can be started, say
        wanted = {"path": path, "kernel_name": NATIVE_KERNEL_NAME, "stdout": said, "stderr": said}
        kernel = manager.get_kernel(loop.run_sync(lambda: manager.start_kernel(**wanted)))
        until_the_end.callback(loop.run_sync, lambda: kernel.shutdown_kernel(now=True))
        client = kernel.blocking_client()
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
