"""How much address space this process may take: enough for Erlang, or a sentence."""

from __future__ import annotations

import resource

__all__ = ["LEAST", "why_too_little"]

#: With 2,000,000 kB Erlang ends by a segmentation fault and without a word; with 2,500,000 kB RabbitMQ runs.
LEAST = 2_300_000_000


def why_too_little() -> str:
    """Return in a sentence why a private node can't run with this limit, ``""`` if it can."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST:
        return ""
    return (
        f"This process may take only {allowed / 1e6:.0f} MB of address space (`ulimit -v` shows it in kB), and Erlang "
        f"takes {LEAST / 1e6:.0f} MB as it starts. Raise the limit, for example with `ulimit -v unlimited` in a new "
        "terminal, or ask the machine's administrator to."
    )
