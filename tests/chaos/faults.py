"""What the campaign does to a broker that the course's own API has no word for."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import tenacity

from workq_helpers import Broker
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.state import read_state

__all__ = ["close_connections", "course_containers", "memory_alarm"]

_COMMAND_SECONDS = 20.0
#: The broker lists a connection some moments after it was opened.
_LISTED_SECONDS = 2.0


def close_connections(broker: Broker, virtual_host: str, which: int | None = None) -> int:
    """Have the broker close the connections of a virtual host, or one of them; return how many it closed."""
    endpoint = broker.endpoint
    with httpx.Client(
        base_url=endpoint.management_url or "", auth=(endpoint.username, endpoint.password), trust_env=False
    ) as client:
        listed = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda names: not names),
            stop=tenacity.stop_after_delay(_LISTED_SECONDS),
            wait=tenacity.wait_fixed(0.05),
            retry_error_callback=lambda _: [],
        )
        names = listed(_names, client, virtual_host)
        if which is not None and names:
            names = [names[which % len(names)]]
        for name in names:
            # 404: it had gone by itself.
            client.delete(f"/api/connections/{quote(name, safe='')}", headers={"X-Reason": "chaos"})
        return len(names)


def _names(client: httpx.Client, virtual_host: str) -> list[str]:
    answer = client.get(f"/api/vhosts/{quote(virtual_host, safe='')}/connections")
    rows = answer.raise_for_status().json()
    return sorted(row["name"] for row in rows if "name" in row)


def course_containers() -> tuple[str, ...]:
    """Return the names of the containers in which the course broker runs."""
    state = read_state(Folders.from_environ(os.environ).state)
    return state.remains.containers if state else ()


@contextlib.contextmanager
def memory_alarm() -> Iterator[bool]:
    """Have the broker block publishers in this block; gives whether that is possible, which it is in a container."""
    containers = course_containers()
    if not containers:
        yield False
        return
    before = _evaluate(containers[0], "vm_memory_monitor:get_vm_memory_high_watermark().")
    try:
        _evaluate(containers[0], "vm_memory_monitor:set_vm_memory_high_watermark(0.00001).")
        yield True
    finally:
        _evaluate(containers[0], f"vm_memory_monitor:set_vm_memory_high_watermark({before}).")


def _evaluate(container: str, expression: str) -> str:
    command = ["docker", "exec", container, "rabbitmqctl", "eval", expression]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_COMMAND_SECONDS).stdout.strip()
