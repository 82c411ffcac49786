"""How many processes and threads this user may have, where so few are allowed that what is needed may not start."""

from __future__ import annotations

import os
import resource

__all__ = ["is_meant_by", "sentence", "why_too_few"]

#: A lesson with RabbitMQ and JupyterLab has about 120 on a machine with two processors, on a larger one more.
ENOUGH = 256
#: What is to be done where this user may have enough, or what they may have is counted elsewhere, as in a container.
_OTHER_LIMITS = (
    "End what you don't need, or have more allowed: `ulimit -u` shows how many a user may have, and in a container "
    "`cat /sys/fs/cgroup/pids.max` how many that may."
)


def why_too_few() -> str:
    """Return in a sentence why a process or thread may not be started, ``""`` where so many may be."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or allowed == resource.RLIM_INFINITY or allowed >= ENOUGH:
        return ""
    return (
        f"This user may have only {allowed} processes and threads in all (`ulimit -u` shows it), and the course needs "
        f"up to {ENOUGH} beside those that run. Raise the limit, for example with `ulimit -u 1024` in a new terminal, "
        "or ask the machine's administrator to."
    )


def sentence(error: BaseException) -> str:
    """Return what is to be said of an error that says that no process or thread could be started."""
    reason = error.strerror if isinstance(error, OSError) else error
    return f"No process or thread can be started here ({reason}). {why_too_few() or _OTHER_LIMITS}"


def is_meant_by(error: BaseException) -> bool:
    """Return whether an error says that no process or thread could be started."""
    return isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "new thread" in str(error))
