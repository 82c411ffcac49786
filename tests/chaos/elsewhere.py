"""`Elsewhere`: a program in a process of its own that works through the lesson's relay, and what it tells of itself."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from pika.spec import Basic

from tests.chaos.books import Books
from tests.chaos.plan import ProgramPlan, QueuePlan
from tests.chaos.wire import Wire

__all__ = ["Elsewhere"]


class Elsewhere:
    """Starts the program of a plan, and enters into the books what it says.

    Args:
        plan: What it does.
        queue: The queue it does it with.
        address: Where it connects.
        books: The run's.
    """

    def __init__(self, plan: ProgramPlan, queue: QueuePlan, address: str, books: Books) -> None:
        self._queue, self._books = queue, books
        self._tasks: dict[int, bytes] = {}  # that it has not acknowledged, by their tags on this connection
        #: Its channels, one after another.
        self.wires: list[Wire] = []
        #: Whether it has sent all that it was to send.
        self.sent_all = threading.Event()
        told = dataclasses.asdict(plan) | {"auto_ack": queue.auto_ack, "persistent": queue.persistent}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.program", json.dumps(told | {"confirm": queue.confirm})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            cwd=Path(__file__).parents[2], env=os.environ | {"CHAOS_ADDRESS": address},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="elsewhere")
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether it runs, frozen or not."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; return whether it was there."""
        was_alive = self.alive
        self._process.send_signal(number)
        return was_alive

    def leave(self, timeout: float) -> None:
        """Ask it to leave, and wait until it has left and all is read that it said."""
        assert self._process.stdin is not None
        self.signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # it has left of itself
            self._process.stdin.write("leave\n")
            self._process.stdin.flush()
        self._process.wait(timeout)
        self.close()

    def close(self) -> None:
        """End it, if it has not ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    # -- what it says

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("}\n"):  # else it died in the middle of a word, before the deed
                self._enter(json.loads(line))
        self.sent_all.set()

    def _enter(self, said: dict[str, Any]) -> None:
        match said:
            case {"opened": confirms, "prefetch_count": prefetch_count}:
                self.wires.append(Wire())
                self.wires[-1].confirms, self.wires[-1].prefetch_count = confirms, prefetch_count
                self._tasks.clear()
            case {"sends": task}:
                next(self._books.sending(self._queue.name, [task]))
                self.wires[-1].publishes((self._queue.name, task.encode()))
            case {"confirmed": number}:
                self.wires[-1].hears(Basic.Ack(number))
            case {"got": task, "tag": None}:
                self._books.note(self._books.begun, self._queue.name, [task.encode()])
                self._books.note(self._books.begun_elsewhere, self._queue.name, [task.encode()])
            case {"got": task, "tag": tag}:
                self._books.note(self._books.begun, self._queue.name, [task.encode()])
                self.wires[-1].gets(tag, (self._queue.name, task.encode()))
                self._tasks[tag] = task.encode()
            case {"acks": tag}:
                self._books.note(self._books.acked, self._queue.name, self._tasks.values())
                self._tasks.clear()
                self.wires[-1].settles(tag, multiple=True, for_good=True)
            case {"closed": _}:
                self.wires[-1].said_goodbye = True
            case {"sent_all": _}:
                self.sent_all.set()
