"""Where the kernel handles what a widget's view sends: the one place that knows a private name of ipykernel."""

from __future__ import annotations

from typing import Any

__all__ = ["take_where_sent"]


def take_where_sent(comm: Any) -> None:
    """Have messages of a comm handled in the subshell that the page sent them to, whatever cell runs.

    ipykernel 7.4 sends them to where the kernel's last message of that comm came from instead. That is a guess meant
    for widgets that talk from a cell; for one that a thread writes to all the time it names the shell of the cell that
    runs, where a command waits, or a subshell that a reloaded page has given up, where it is lost.

    Args:
        comm: The widget's; ``None`` where there is no kernel.
    """
    if comm is not None:
        comm._reply_subshell_for = _as_sent


def _as_sent(_data: object, subshell_id: object) -> object:
    return subshell_id
