"""What processes take of the machine: memory, threads, descriptors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from workq_helpers import Broker, broker
from workq_helpers.broker import docker_engine, docker_socket, removal

__all__ = ["Reading", "course_processes", "read"]


class Reading(NamedTuple):
    """Of one process.

    Attributes:
        megabytes: Memory that it would give back if it ended now.
        threads: How many it has.
        descriptors: How many files, pipes and sockets it holds open.
    """

    megabytes: float
    threads: int
    descriptors: int


def read(process: psutil.Process) -> Reading:
    """Read what a process takes now."""
    with process.oneshot():
        return Reading(process.memory_full_info().uss / 1e6, process.num_threads(), process.num_fds())


def course_processes(of: Broker) -> dict[str, psutil.Process]:
    """Return the supervisor and RabbitMQ itself, as far as the course started them and this user may look at them."""
    status = broker.status()
    found = {} if status is None else {"supervisor": psutil.Process(status.supervisor)}
    for server in _servers(of.endpoint.port):
        found["RabbitMQ"] = server
    return found


def _servers(port: int) -> Iterator[psutil.Process]:
    """Yield the server that listens on a port: itself, or the one behind Docker's proxy of that port."""
    for process in _in_containers(port) if docker_socket.why_unavailable(os.environ) == "" else ():
        yield process
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "beam.smp" and process.environ().get("RABBITMQ_NODE_PORT") == str(port):
                yield process


def _in_containers(port: int) -> Iterator[psutil.Process]:
    with docker_engine.client() as client:
        for each in client.containers.list(filters={"label": removal.SUPERVISOR_LABEL}, ignore_removed=True):
            bound = each.attrs["NetworkSettings"]["Ports"].get("5672/tcp") or []
            with contextlib.suppress(psutil.Error):
                if any(binding["HostPort"] == str(port) for binding in bound):
                    first = psutil.Process(each.attrs["State"]["Pid"])
                    yield from (
                        process for process in (first, *first.children(recursive=True)) if process.name() == "beam.smp"
                    )
