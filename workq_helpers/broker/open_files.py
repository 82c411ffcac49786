"""How many files and connections this process may have open: enough for RabbitMQ and JupyterLab, or a sentence."""

from __future__ import annotations

import resource

__all__ = ["FEWEST", "allow_enough", "why_too_few"]

#: With fewer RabbitMQ does not start: with 64 it hangs without a word, with 200 it has no room for a lesson.
FEWEST = 256
#: What every usual system allows; a lower limit is raised to it where the system lets its user do so.
USUAL = 1024


def allow_enough() -> None:
    """Raise the limit of this process, and of those it starts, to the usual one; as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = USUAL if hard == resource.RLIM_INFINITY else min(USUAL, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def why_too_few() -> str:
    """Return in a sentence why neither RabbitMQ nor JupyterLab can run with this limit, ``""`` if both can."""
    allowed = _most_that_can_be_had()
    if allowed >= FEWEST:
        return ""
    return (
        f"This process may have only {allowed} files and connections open (`ulimit -Hn` shows it), and RabbitMQ needs "
        f"{FEWEST}. Raise the limit, for example with `ulimit -n {USUAL}` in a new terminal, or ask the machine's "
        "administrator to."
    )


def _most_that_can_be_had() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return USUAL if hard == resource.RLIM_INFINITY else hard
