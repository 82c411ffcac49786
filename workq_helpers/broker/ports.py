"""Free ports on this machine's loopback address."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

__all__ = ["LOOPBACK", "free_ports", "listening"]

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> tuple[int, ...]:
    """Return that many different ports on which nobody listens at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def listening(ports: Iterable[int]) -> list[int]:
    """Return those of the ports on which somebody listens."""
    return [port for port in ports if _listens(port)]


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(1.0)
        return attempt.connect_ex((LOOPBACK, port)) == 0
