"""`free_bytes`: how much memory a program may still have, on this machine and in its control group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["free_bytes"]

_GROUPS = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def free_bytes(groups: Path = _GROUPS, mine: Path = _MINE) -> int:
    """Return how much memory this process and those that it starts may still have.

    Args:
        groups: Where the control groups are, if anywhere (cgroups(7)).
        mine: The file that names the group of this process.
    """
    return min(psutil.virtual_memory().available, *_left_in_groups(groups, mine), 1 << 62)


def _left_in_groups(groups: Path, mine: Path) -> Iterator[int]:
    """Yield what is left in each group with a limit that this process is in, of version 2 or 1."""
    for folder in _folders(groups, mine):
        with contextlib.suppress(OSError, ValueError):  # without a limit the file says "max", or is not there
            limit = int((folder / "memory.max").read_text())
            yield max(0, limit - int((folder / "memory.current").read_text()) + _reclaimable(folder))
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / "memory.limit_in_bytes").read_text())
            yield max(0, limit - int((folder / "memory.usage_in_bytes").read_text()) + _reclaimable(folder))


def _folders(groups: Path, mine: Path) -> Iterator[Path]:
    yield groups
    yield groups / "memory"
    with contextlib.suppress(OSError):
        for line in mine.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                own = (groups / controllers).joinpath(path.lstrip("/"))
                yield from (each for each in (own, *own.parents) if groups / controllers in each.parents)


def _reclaimable(folder: Path) -> int:
    """Return how much of what a group has is a copy of files, which gives way."""
    for line in (folder / "memory.stat").read_text().splitlines():
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0
