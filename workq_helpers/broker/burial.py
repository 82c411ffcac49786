"""`bury`: put away what a dead keeper left behind."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable

from workq_helpers.broker.server import ProcessMark, Remains
from workq_helpers.errors import DockerUnavailableError

__all__ = ["bury"]


def bury(remains: Remains) -> None:
    """Kill the processes, remove the containers, delete the folders; no error if they are gone already.

    Raises:
        BrokerStartError: Docker could not remove a container.
    """
    if remains.processes:
        _kill(remains.processes)
    if remains.containers or remains.coming:
        _remove_containers(remains)
    for folder in remains.folders:
        shutil.rmtree(folder, ignore_errors=True)


def _kill(marks: Iterable[ProcessMark]) -> None:
    from workq_helpers.broker import processes  # psutil, which whoever only attaches has no use for

    processes.kill(marks)


def _remove_containers(remains: Remains) -> None:
    from workq_helpers.broker import container  # slow to import, and needed only where one was ours

    for name in (*remains.containers, *remains.coming):
        with contextlib.suppress(DockerUnavailableError):  # no Docker that answers, no container that runs
            container.bury(name, coming=name in remains.coming)
