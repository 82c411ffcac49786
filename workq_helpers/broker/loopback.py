"""Whether programs of this machine reach each other at its loopback address, or a sentence."""

from __future__ import annotations

import errno
import socket

from workq_helpers.broker.ports import LOOPBACK

__all__ = ["why_unreachable"]

#: How long a connection of this process to itself may take, in seconds: it is made at once, or a firewall drops it.
_SECONDS = 2.0
#: What says nothing of the address.
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


def why_unreachable() -> str:
    """Return in a sentence why neither RabbitMQ nor a kernel of Jupyter's would be reached, ``""`` if both would."""
    try:
        with socket.create_server((LOOPBACK, 0)) as listener:
            socket.create_connection(listener.getsockname(), timeout=_SECONDS).close()
    except OSError as error:
        if error.errno in _OUT_OF_FILES:
            return (
                f"No connection can be opened here ({_reason(error)}): `ulimit -n` shows how many files and "
                "connections a process may have open. If it is this one that has too many, end it, or restart the "
                "notebook's kernel."
            )
        return (
            f"{LOOPBACK} can't be reached ({_reason(error)}), where the course's RabbitMQ, JupyterLab and its kernels "
            "listen. `ip address show lo` shows whether the loopback interface is up and has that address; if not, as "
            f"root: `ip link set lo up`, `ip address add {LOOPBACK}/8 dev lo`. If it has, let the machine's firewall "
            f"pass connections to {LOOPBACK}."
        )
    return ""


def _reason(error: OSError) -> str:
    # What Python adds in brackets, where it binds, says the address once more.
    return (error.strerror or str(error)).partition(" (")[0]
