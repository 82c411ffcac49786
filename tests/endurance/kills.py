"""`kill_kernels`: notebooks in the middle of everything, whose kernels are killed, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.broker.course import processes_in
from tests.endurance.kernels import Kernel
from tests.support import command_of
from workq_helpers.broker import docker_engine, docker_socket, find_broker, removal

__all__ = ["broker_settings", "kill_kernels", "left"]

#: What goes on in each notebook; it prints how far it is.
_CELL = """
import itertools
from IPython.display import display
from workq_helpers import Lesson, work
print("imported", flush=True)

def callback(ch, method, properties, body):
    work(body)
    ch.basic_ack(delivery_tag=method.delivery_tag)

lesson = Lesson({name!r})
print("opened", flush=True)
with lesson.connect() as connection:
    connection.channel().queue_declare(queue="task_queue", durable=True)
lesson.start_publisher(itertools.repeat("Task."), "task_queue", rate=50, persistent=True, confirm=True)
lesson.start_workers(2, callback, queue="task_queue", prefetch_count=1)
program = lesson.start_program({program!r})
display(lesson.stage)
print("working", flush=True)
"""

_MOMENTS = ("imported", "opened", "working")
_PROGRAM = Path(__file__).parents[2] / "notebooks" / "programs" / "worker.py"

#: How many notebooks are open at once.
_TOGETHER = 5


def broker_settings() -> dict[str, str]:
    """Return the environment variables that say which broker the tests are run with."""
    wanted = ("WORKQ_BROKER", "WORKQ_RABBITMQ_IMAGE")
    return {name: os.environ[name] for name in wanted if name in os.environ}


def kill_kernels(
    count: int, environ: Mapping[str, str], seed: int, poll_for: Callable[..., None], tell: Callable[[str], None]
) -> None:
    """Open notebooks, some at a time, kill their kernels at some moment, and see that their virtual hosts go.

    Args:
        count: How many.
        environ: The environment variables of a course broker of our own.
        seed: Decides the moments.
        poll_for: Waits for a condition, or fails.
        tell: Told of each batch.
    """
    moments = random.Random(seed)  # noqa: S311 - not for secrets
    with find_broker(lambda _: None, environ) as broker:
        hosts = set(broker.virtual_hosts())
        for first in range(0, count, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, count))
            chosen = [moments.choice(_MOMENTS) for _ in numbers]
            kernels = [Kernel(environ) for _ in numbers]
            try:
                for number, moment, kernel in zip(numbers, chosen, kernels, strict=True):
                    kernel.wait_until_ready()
                    cell = kernel.begin(_CELL.format(name=f"lesson-{number}", program=str(_PROGRAM)))
                    poll_for(lambda: moment in kernel.printed(cell), 120)  # noqa: B023 - called here and now
            finally:
                for kernel in kernels:
                    kernel.kill()
            poll_for(lambda: set(broker.virtual_hosts()) == hosts, 60)
            tell(f"kernels {numbers.start}-{numbers.stop - 1}: killed when {', '.join(chosen)}")


def left(environ: Mapping[str, str]) -> list[str]:
    """Say what there is of a course broker and its users: processes, containers, folders; empty if nothing is."""
    runtime = Path(environ["WORKQ_RUNTIME_DIR"])
    left = {process.pid: " ".join(command_of(process))[:120] for process in processes_in(dict(environ))}
    found = [f"process {process_id} {command or '(gone)'}" for process_id, command in left.items()]
    found += [f"container {name}" for name in _containers(runtime)]
    if runtime.exists():
        found.append(f"folder {runtime}")
        with contextlib.suppress(FileNotFoundError):  # it may go while it is read
            found += [f"file {path}" for path in runtime.rglob("*")]
    return found


def _containers(runtime: Path) -> Iterator[str]:
    if docker_socket.why_unavailable(os.environ) or os.environ.get("WORKQ_BROKER", "docker") != "docker":
        return
    with docker_engine.client() as client:
        label = f"{removal.FOLDER_LABEL}={removal.owner(runtime)}"
        yield from (
            each.name for each in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        )
