"""What the campaign does to a broker and to the machine that the course's own API has no word for."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil

from workq_helpers import Broker
from workq_helpers.broker.folders import Folders
from workq_helpers.broker.processes import at_home_in
from workq_helpers.waiting import wait_until

__all__ = ["ALARM_SECONDS", "Clock", "close_connections", "course_containers", "full_disk", "raise_alarm", "small_disk"]

#: How long an alarm lasts; the broker itself ends it.
ALARM_SECONDS = 0.5
_COMMAND_SECONDS = 60.0
#: The broker lists a connection some moments after it was opened.
_LISTED_SECONDS = 2.0

# The settings of the broker's configuration, not those of this moment: another alarm may not be over yet.
_ALARMS = {
    "memory alarm": (
        "{ok, Usual} = application:get_env(rabbit, vm_memory_high_watermark), "
        "Set = fun vm_memory_monitor:set_vm_memory_high_watermark/1, Least = 0.00001"
    ),
    "disk alarm": (
        "{ok, Usual} = application:get_env(rabbit, disk_free_limit), "
        "Set = fun rabbit_disk_monitor:set_disk_free_limit/1, Least = 1000000000000000"
    ),
}

#: Names the file that sets the clock of a run's processes: `clock/sitecustomize.py` adds its seconds to the time.
CLOCK_FILE = "CHAOS_CLOCK_FILE"
#: Set where the runtime folder is a small file system of the campaign's own, which may be filled.
SMALL_DISK = "CHAOS_SMALL_DISK"


def close_connections(broker: Broker, virtual_host: str, which: int | None = None) -> int:
    """Have the broker close the connections of a virtual host, or one of them; return how many it closed."""
    endpoint = broker.endpoint
    with httpx.Client(
        base_url=endpoint.management_url or "", auth=(endpoint.username, endpoint.password), trust_env=False
    ) as client:
        names = wait_until(lambda: _names(client, virtual_host), _LISTED_SECONDS, interval_seconds=0.05)
        if which is not None and names:
            names = [names[which % len(names)]]
        # 404: it had gone by itself.
        return sum(
            client.delete(f"/api/connections/{quote(name, safe='')}", headers={"X-Reason": "chaos"}).is_success
            for name in names
        )


def _names(client: httpx.Client, virtual_host: str) -> list[str]:
    answer = client.get(f"/api/vhosts/{quote(virtual_host, safe='')}/connections")
    rows = answer.raise_for_status().json()
    return sorted(row["name"] for row in rows if "name" in row)


def course_containers() -> tuple[str, ...]:
    """Return the names of the containers in which the course broker runs."""
    return tuple(path.name for path in Folders.from_environ(os.environ).containers)


# -- alarms


def raise_alarm(kind: str) -> bool:
    """Have a broker of ours block publishers for `ALARM_SECONDS`; return whether it can be told to."""
    expression = (
        f"{_ALARMS[kind]}, Set(Least), spawn(fun () -> timer:sleep({ALARM_SECONDS * 1000:.0f}), Set(Usual) end), ok."
    )
    for container in course_containers():
        _run(["docker", "exec", container, "rabbitmqctl", "eval", expression])
        return True
    for environ in _node_environs():
        # Its own cookie, ports and folder, in which it finds the scripts.
        command = [f"{environ['RABBITMQ_HOME']}/sbin/rabbitmqctl", "-n", environ["RABBITMQ_NODENAME"]]
        _run([*command, "eval", expression], environ, environ["HOME"])
        return True
    return False


def _run(command: list[str], environ: Mapping[str, str] | None = None, folder: str | None = None) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise OSError(f"{command[:4]} failed: {done.stdout} {done.stderr}")


def _node_environs() -> Iterator[dict[str, str]]:
    for process in (each for node in Folders.from_environ(os.environ).nodes for each in at_home_in(node)):
        with contextlib.suppress(psutil.Error):
            environ = process.environ()
            if "RABBITMQ_NODENAME" in environ:
                yield environ


# -- the clock


class Clock:
    """The wall clock, which somebody sets while a run goes on; the monotonic one can't be set.

    In a campaign it is set for all its Python processes, the supervisor included; elsewhere for this one alone.
    RabbitMQ itself keeps the machine's clock.
    """

    def __init__(self) -> None:
        self._usual = time.time
        self._file = Path(os.environ[CLOCK_FILE]) if CLOCK_FILE in os.environ else None

    def set(self, seconds: float) -> bool:
        """Set it by so many seconds from the real time; return whether Python sees that."""
        before = time.time() - time.monotonic()
        if self._file:
            staged = self._file.with_suffix(".new")
            staged.write_text(str(seconds))
            staged.replace(self._file)
        else:
            usual = self._usual
            time.time = lambda: usual() + seconds
        return abs(time.time() - time.monotonic() - before) > 1

    def put_right(self) -> None:
        """Set it to the real time again."""
        if self._file:
            self.set(0)
        time.time = self._usual


# -- the disk


def small_disk() -> Path | None:
    """Return the folder of the campaign's own small file system, if there is one."""
    return Folders.from_environ(os.environ).runtime if os.environ.get(SMALL_DISK) else None


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Fill the file system of `folder` to its last byte in this block."""
    ballast = folder / "ballast"
    try:
        with ballast.open("ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free)
            file.seek(0, os.SEEK_END)
            for size in (1 << 20, 1 << 12, 1):
                block = b"\0" * size
                with contextlib.suppress(OSError):
                    while True:
                        file.write(block)
        yield
    finally:
        ballast.unlink(missing_ok=True)
