"""`Workers`: the workers of a lesson, named, started together and found by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from workq_helpers.clients.consumer import ConsumerOptions
from workq_helpers.clients.publisher import Publisher
from workq_helpers.clients.recording_connection import ACTOR
from workq_helpers.clients.worker import Callback, Worker
from workq_helpers.errors import InvalidArgumentError, UnknownWorkerError
from workq_helpers.text import printable

__all__ = ["Workers", "end_all"]

#: How long workers may take to begin to consume, in seconds.
_START_TIMEOUT_SECONDS = 60.0


class Workers:
    """Every worker that a lesson has started, the ended ones too.

    Args:
        make: Makes a worker of a name.
    """

    def __init__(self, make: Callable[[str, Callback, ConsumerOptions], Worker]) -> None:
        self._make = make
        self._numbers = itertools.count(1)
        #: They, in order.
        self.all: list[Worker] = []

    def start(self, names: Iterable[str | None], callback: Callback, options: ConsumerOptions) -> list[Worker]:
        """Start a worker for each name, all at once; where it is ``None`` the worker gets one."""
        workers = [
            self._make(self._checked(name) if name is not None else self._free_name(), callback, options)
            for name in names
        ]
        _start_together(workers)
        self.all += workers
        return workers

    def named(self, name: str) -> Worker:
        """Return the worker of that name, the latest if there were several.

        Raises:
            UnknownWorkerError: There is none.
        """
        for worker in reversed(self.all):
            if worker.name == name:
                return worker
        known = ", ".join(worker.name for worker in self.all) or "none yet"
        raise UnknownWorkerError(f"There is no worker named {name!r} in this lesson. Its workers: {known}.")

    def forget(self) -> None:
        """Forget all of them, and number those that come from 1."""
        self.all.clear()
        self._numbers = itertools.count(1)

    def _free_name(self) -> str:
        taken = {worker.name for worker in self.all}
        return next(name for number in self._numbers if (name := f"worker-{number}") not in taken)

    def _checked(self, name: str) -> str:
        if not isinstance(name, str) or not name or name in (ACTOR, "lesson") or printable(name) != name:
            raise InvalidArgumentError(f'{name!r} is no name for a worker. Use a short text, such as "worker-1".')
        if any(worker.name == name and worker.alive for worker in self.all):
            raise InvalidArgumentError(
                f"There is a live worker named {name!r} already. Choose another name, or stop that one first."
            )
        return name


def _start_together(workers: Iterable[Worker]) -> None:
    """Open all connections at once.

    They consume one after another, so that RabbitMQ's round robin goes through them in their order.
    """
    try:
        for worker in workers:
            worker.launch()
        for worker in workers:
            worker.wait_until_prepared(_START_TIMEOUT_SECONDS)
        for worker in workers:
            worker.consume()
            worker.wait_until_consuming(_START_TIMEOUT_SECONDS)
    except BaseException:
        end_all(workers)
        raise


def end_all(members: Iterable[Worker | Publisher]) -> None:
    """End workers as a crash would and publishers politely, all of them at once."""
    started = [member for member in members if member.alive]
    for member in started:
        if isinstance(member, Worker):
            member.request_kill()
        else:
            member.request_stop()
    for member in started:
        member.join(5.0)
