"""What a test or a run of the campaign may leave behind: threads, sockets, processes, virtual hosts."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers import Broker

__all__ = ["Leaks", "watch"]

#: The broker of the whole run: what its handle has open, and opens anew after an outage, is no test's.
_watched: list[Broker] = []

#: Leaks must be gone by then: things that end in the background may still be ending.
_SETTLE_SECONDS = 10.0


def watch(broker: Broker) -> None:
    """Take a broker for that of the whole run."""
    _watched.append(broker)


class Leaks:
    """Remembers what is there now, to tell later what came and stayed.

    Args:
        broker: Whose virtual hosts to look at too, if any.
    """

    def __init__(self, broker: Broker | None = None) -> None:
        self._broker = broker
        # The management API's client keeps connections open between calls, for as long as the broker's handle.
        brokers = [broker] if broker else _watched
        self._ports = {urlsplit(each.endpoint.management_url or "").port for each in brokers}
        self._threads = set(threading.enumerate())
        self._sockets = _sockets(self._ports)
        self._children = _children()
        self._hosts = self._virtual_hosts()

    def found(self) -> dict[str, list[str]]:
        """Return what stays, by its kind, after things that are ending had time to end; empty if nothing does."""
        return wait_until(self._look, _SETTLE_SECONDS, accept=lambda leaks: not leaks, interval_seconds=0.05)

    def _look(self) -> dict[str, list[str]]:
        left = [thread for thread in threading.enumerate() if thread not in self._threads]
        leaks = {
            "threads": [f"{thread.name}:\n{_stack_of(thread)}" for thread in left],
            "sockets": sorted(_sockets(self._ports) - self._sockets),
            "processes": [str(child) for child in sorted(_children() - self._children)],
            "virtual hosts": sorted(self._virtual_hosts() - self._hosts),
        }
        return {kind: members for kind, members in leaks.items() if members}

    def _virtual_hosts(self) -> set[str]:
        return set(self._broker.virtual_hosts()) if self._broker else set()


def _sockets(ignored_ports: set[int | None]) -> set[str]:
    """Return this process's open sockets, but for the pooled connections to these ports and those of the watch."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        known = psutil.Process().net_connections("all")
        return {str(each.fd) for each in known if not (each.raddr and each.raddr.port in ignored_ports)} - {
            str(each) for each in _sockets_of_the_watch()
        }
    links = {}
    for descriptor in folder.iterdir():
        with contextlib.suppress(OSError):  # the one that lists the folder is gone by now
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                links[int(descriptor.name)] = target
    ours = _sockets_of_the_watch()
    return {links[each] for each in links if each not in ours and _peer(each) not in ignored_ports}


def _peer(descriptor: int) -> int | None:
    """Return the port that a socket is connected to; -1 for none."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family in (socket.AF_INET, socket.AF_INET6):
            return int(copy.getpeername()[1])
    return -1


def _sockets_of_the_watch() -> set[int]:
    """Return the descriptors of what notices that the broker of the whole run goes and comes; none while it knocks."""
    found = set()
    for broker in _watched:
        with contextlib.suppress(AttributeError):
            connection: Any = broker._restart_watch._connection  # type: ignore[union-attr]
            poller = connection._impl.ioloop._poller
            sockets = (connection._impl._transport._sock, poller._r_interrupt, poller._w_interrupt)
            found |= {each.fileno() for each in sockets}
    return found


def _children() -> set[tuple[int, float]]:
    found: set[tuple[int, float]] = set()
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return found  # psutil would read the state of each process of the machine to say the same
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add((child.pid, child.create_time()))
        except psutil.NoSuchProcess:
            continue
    return found


def _stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(no stack)"
