"""`Peer`: what the helpers are measured beside, each run as its users run it, in processes of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.job import Job
from workq_helpers.waiting import wait_until

__all__ = ["PEERS", "Peer", "PeerError", "doing"]

#: One process of its default pool; what is left out are queues between several workers.
CELERY_OPTIONS = ("--concurrency", "1", "--loglevel", "WARNING", "--without-gossip", "--without-mingle")

ROOT = Path(__file__).resolve().parents[2]

#: How long a process may take for what takes seconds.
PATIENCE_SECONDS = 120.0


class PeerError(Exception):
    """A peer's process ended early or took too long; the message holds what it printed."""


class Peer(NamedTuple):
    """How one of them is run.

    Attributes:
        name: As its users write it.
        consume: The command line of a consumer, without the interpreter.
        publish: That of a publisher.
        is_task_queue: Whether its workers take only its own messages, and know no auto ack.
    """

    name: str
    consume: tuple[str, ...]
    publish: tuple[str, ...]
    is_task_queue: bool = False


def _module(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    module = f"benchmarks.peers.{name}"
    return ("-m", module, "consume"), ("-m", module, "publish")


def _call_of_publish(name: str) -> tuple[str, ...]:
    # Imported by its name, not run as a program: that is how its worker knows its task.
    return "-c", f"from benchmarks.peers import {name}; {name}.publish()"


PEERS = {
    peer.name: peer
    for peer in (
        Peer("helpers", *_module("helpers")),
        Peer("plain pika", *_module("plain_pika")),
        Peer("aio-pika", *_module("aio_pika")),
        Peer("kombu", *_module("kombu")),
        Peer(
            "dramatiq",
            ("-m", "dramatiq", "benchmarks.peers.dramatiq", "--processes", "1", "--threads", "1"),
            _call_of_publish("dramatiq"),
            is_task_queue=True,
        ),
        Peer(
            "Celery",
            ("-m", "celery", "--app", "benchmarks.peers.celery", "worker", *CELERY_OPTIONS),
            _call_of_publish("celery"),
            is_task_queue=True,
        ),
    )
}


class Doing:
    """A peer's process at work.

    Args:
        process: The process.
        report: Where it will report its two moments.
        output: What it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], report: Path, output: Path) -> None:
        self._process = process
        self._report = report
        self._output = output

    def moments(self) -> tuple[float, float]:
        """Wait for the two moments.

        Raises:
            PeerError: It has ended without a report, or it is late.
        """

        def is_over() -> bool:
            return self._process.poll() is not None or self._report.exists()

        if not wait_until(is_over, PATIENCE_SECONDS, interval_seconds=0.005):
            raise PeerError(f"took more than {PATIENCE_SECONDS} seconds: {self._output.read_text()[-2000:]}")
        if not self._report.exists():
            raise PeerError(f"ended with {self._process.returncode}: {self._output.read_text()[-2000:]}")
        began, ended = json.loads(self._report.read_text())
        return began, ended


@contextlib.contextmanager
def doing(command: tuple[str, ...], job: Job) -> Iterator[Doing]:
    """Run a process that does a job, and end it when the block ends."""
    with tempfile.TemporaryDirectory(prefix="wq-") as name:
        folder = Path(name)
        report, output = folder / "moments.json", folder / "output"
        with (
            output.open("wb") as file,
            subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=job._replace(report=str(report)).environ() | {"dramatiq_queue_prefetch": str(job.prefetch_count)},
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield Doing(process, report, output)
                _let_end(process)
            finally:
                if process.poll() is None:
                    process.kill()


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that ends by itself; ask one that goes on to end."""
    for seconds, ask in ((0.3, process.terminate), (30.0, process.kill)):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            ask()
        else:
            return
