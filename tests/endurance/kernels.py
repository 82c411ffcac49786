"""`Kernel`: a Jupyter kernel as JupyterLab starts one, which runs cells and may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty
from typing import Any, Self

from jupyter_core.utils import ensure_event_loop

from tests.kernels import manager_in

__all__ = ["CellFailedError", "Kernel"]

#: How long a kernel may take to start and a cell to run, in seconds; the machine may be busy with others.
_START_SECONDS = 120.0
_CELL_SECONDS = 300.0


class CellFailedError(Exception):
    """A cell raised; the text is its traceback."""


class Kernel:
    """An ipykernel in a process of its own.

    Args:
        environ: Its environment variables.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._manager = manager_in(Path(self._folder.name))
        self._manager.start_kernel(env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._printed: dict[str, list[str]] = {}
        self._idles: dict[str, threading.Event] = {}
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="iopub", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        pid = self._manager.provisioner.pid
        assert pid is not None
        return int(pid)

    def wait_until_ready(self) -> Self:
        """Wait until it answers."""
        self._client.kernel_info(reply=True, timeout=_START_SECONDS)
        return self

    def run(self, cell: str) -> str:
        """Run a cell and return what it printed.

        Raises:
            CellFailedError: It raised.
        """
        number = self.begin(cell)
        while True:
            reply = self._client.get_shell_msg(timeout=_CELL_SECONDS)
            if reply["parent_header"].get("msg_id") == number:
                break
        if reply["content"]["status"] != "ok":
            raise CellFailedError("\n".join(reply["content"].get("traceback", [])))
        # Output comes on another channel than the reply, the end of it as "idle".
        assert self._idle(number).wait(_CELL_SECONDS)
        return "".join(self._printed.pop(number, []))

    def ask(self, expression: str) -> Any:
        """Return the value of an expression, as far as JSON has it."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))").splitlines()[-1])

    def begin(self, cell: str) -> str:
        """Let it run a cell, and return without waiting for it."""
        number: str = self._client.execute(cell, allow_stdin=False)
        return number

    def printed(self, number: str) -> str:
        """Return what a cell has printed so far.

        Args:
            number: What `begin` returned.
        """
        return "".join(self._printed.get(number, []))

    def kill(self) -> None:
        """SIGKILL it, as the system does where memory runs out."""
        os.kill(self.pid, signal.SIGKILL)
        self._close()

    def end(self) -> None:
        """Shut it down as JupyterLab does."""
        self._manager.shutdown_kernel()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended.is_set():
            self.end()

    def _close(self) -> None:
        self._ended.set()
        self._reader.join()
        self._client.stop_channels()
        with contextlib.suppress(Exception):
            self._manager.shutdown_kernel(now=True)  # takes its connection file away, and its zombie
        self._manager.cleanup_resources()
        self._manager.context.destroy(linger=0)
        self._folder.cleanup()
        ensure_event_loop().close()

    # -- what it says

    def _read(self) -> None:
        try:
            self._read_all()
        finally:
            ensure_event_loop().close()  # jupyter_client gives each thread one, and closes none

    def _read_all(self) -> None:
        for message in self._messages():
            number = message["parent_header"].get("msg_id", "")
            content = message["content"]
            if message["msg_type"] == "stream":
                self._printed.setdefault(number, []).append(content["text"])
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                self._idle(number).set()

    def _messages(self) -> Iterator[dict[str, Any]]:
        while not self._ended.is_set():
            with contextlib.suppress(Empty):
                yield self._client.get_iopub_msg(timeout=0.2)

    def _idle(self, number: str) -> threading.Event:
        return self._idles.setdefault(number, threading.Event())
