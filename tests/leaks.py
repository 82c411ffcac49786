"""What a test or a run of the campaign may leave behind: threads, sockets, processes, virtual hosts."""

from __future__ import annotations

import contextlib
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
    pooled = _sockets_of_the_watch() | {
        connection.fd
        for connection in psutil.Process().net_connections("inet")
        if connection.raddr and connection.raddr.port in ignored_ports
    }
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return {str(known.fd) for known in psutil.Process().net_connections("all") if known.fd not in pooled}
    links = set()
    for descriptor in folder.iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # the one that lists the folder is gone by now
        if target.startswith("socket:") and int(descriptor.name) not in pooled:
            links.add(target)
    return links


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
    found = set()
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
