"""Ports on this machine's loopback address: free ones, and how they stay ours."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from workq_helpers.errors import PortTakenError

__all__ = ["LOOPBACK", "free_ports", "hold", "is_refused", "port_taken", "taken"]

LOOPBACK = "127.0.0.1"

#: Ports that no system hands to outgoing connections by itself: Linux gives those from 32768 on, macOS and the IANA's
#: dynamic ports begin at 49152. RabbitMQ takes seconds to get to its last listener; a port that any program's next
#: connection may get would be gone by then now and again.
_RANGE = range(20_000, 32_768)
#: Where Linux keeps the range that it really uses (ip(7)).
_DYNAMIC_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: How long this machine may take to refuse a connection to itself, in seconds; a firewall may drop it without a word.
_ANSWER_SECONDS = 2.0
#: How many ports are tried before the system chooses one.
_TRIES = 100


def free_ports(count: int) -> tuple[int, ...]:
    """Return that many different ports of which no program has one at this moment.

    They are none that an outgoing connection would get, as long as there are such.
    """
    with contextlib.ExitStack() as stack:
        return tuple(_free_port(stack.enter_context(socket.socket())) for _ in range(count))


def hold(ports: Iterable[int]) -> contextlib.ExitStack:
    """Keep ports for a program of ours until what is returned is closed, also while it is down.

    They are held by sockets that never listen: nobody else is given such a port, and whoever connects is refused. Linux
    lets a program listen beside one if both reuse addresses, as Erlang does; other systems don't, and nothing is held.

    Raises:
        PortTakenError: Another program has one.
    """
    with contextlib.ExitStack() as held:
        for port in ports if sys.platform == "linux" else ():
            sock = held.enter_context(socket.socket())
            try:
                sock.bind((LOOPBACK, port))
            except OSError as error:
                raise port_taken("can't be started", f"port {port}") from error
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from now on: nobody else had it
        return held.pop_all()


def port_taken(what: str, held: str) -> PortTakenError:
    """Return the error for a RabbitMQ that `what`, since another program has what it needs."""
    return PortTakenError(
        f"RabbitMQ {what}, because another program has {held} of {LOOPBACK}. "
        "Try again: a new course broker looks for other ports."
    )


def taken(ports: Iterable[int]) -> list[int]:
    """Return those of the ports that a program has: to listen on, or for a connection of its own."""
    return [port for port in ports if _is_taken(port)]


def is_refused(port: int) -> bool:
    """Return whether nobody listens there."""
    with socket.socket() as attempt:
        attempt.settimeout(_ANSWER_SECONDS)
        return attempt.connect_ex((LOOPBACK, port)) == errno.ECONNREFUSED


def _free_port(held: socket.socket) -> int:
    """Return the port that the socket has been bound to."""
    dynamic = _dynamic_range()
    for port in random.SystemRandom().sample(_RANGE, _TRIES):
        if port in dynamic:
            continue
        with contextlib.suppress(OSError):
            held.bind((LOOPBACK, port))
            return port
    held.bind((LOOPBACK, 0))
    return int(held.getsockname()[1])


def _dynamic_range() -> range:
    try:
        first, last = map(int, _DYNAMIC_RANGE.read_text().split())
    except (OSError, ValueError):
        return range(0)
    return range(first, last + 1)


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Erlang does: what is closed holds nothing
        try:
            attempt.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
