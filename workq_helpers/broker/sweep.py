"""`sweep`: put away what a dead supervisor left, all of which is recognized by where it is and what it is called.

The server's processes die with the supervisor where the kernel sees to that (`processes.spawn`). Their folders lie in
the runtime folder, and so does an empty file called like the container, where there is one. The container itself and
the processes of a system that lets orphans live are ended here.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

from workq_helpers.broker.folders import Folders, remove_with_its_target
from workq_helpers.broker.locking import locked
from workq_helpers.broker.protocol import ask
from workq_helpers.errors import BrokerStartError, BrokerUnreachableError, DockerUnavailableError

__all__ = ["sweep", "sweep_under_lock", "vacated"]


def sweep(folders: Folders) -> None:
    """Put everything away and delete the runtime folder, unless a supervisor runs; no error if nothing is left.

    Raises:
        BrokerStartError: The lock can't be had, or Docker could not remove a container.
    """
    if not os.path.lexists(folders.runtime):
        return
    with vacated(folders) as vacant:
        if vacant:
            folders.remove_runtime()


@contextlib.contextmanager
def vacated(folders: Folders, *, wholly: bool = True) -> Iterator[bool]:
    """Hold the lock, and put away what is left unless a supervisor runs; give whether none does.

    Args:
        folders: Where.
        wholly: Whether a container that Docker can't remove is an error; it keeps nobody from another broker.

    Raises:
        As `sweep`.
    """
    with locked(folders):
        vacant = not _answers(folders)
        if vacant:
            with contextlib.nullcontext() if wholly else contextlib.suppress(BrokerStartError):
                sweep_under_lock(folders)
        yield vacant


def _answers(folders: Folders) -> bool:
    """Return whether a supervisor is there, or hangs; one that is dying may accept a moment longer, and say nothing."""
    try:
        return ask(folders, "status", math.inf) is not None
    except BrokerUnreachableError:
        return True


def sweep_under_lock(folders: Folders) -> None:
    """Put everything away, where the lock is held and no supervisor runs.

    Raises:
        BrokerStartError: Docker could not remove a container, which the runtime folder still names.
    """
    for node in folders.nodes:
        _end_processes(node)
        remove_with_its_target(node)
    folders.remove_socket()
    for container in folders.containers:
        _remove_container(container.name)
        container.unlink(missing_ok=True)


def _end_processes(folder: Path) -> None:
    from workq_helpers.broker import processes  # noqa: PLC0415 - psutil, which a start that finds nothing needs not

    processes.kill(processes.at_home_in(folder))


def _remove_container(name: str) -> None:
    with contextlib.suppress(DockerUnavailableError):  # no Docker, no container that runs
        from workq_helpers.broker import removal  # noqa: PLC0415 - Docker's library, needed only where one was ours

        removal.remove(name, coming=True)
