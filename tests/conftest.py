"""Fixtures of all tests: a runtime folder of their own, a pace that suits tests, and no leaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import tenacity

from tests.support import need

if TYPE_CHECKING:
    from workq_helpers import Broker

# Before anything of the course is imported, and for the kernels and programs that tests start. A broker of
# the person who runs the tests is left alone.
_runtime = tempfile.mkdtemp(prefix="workq-")
os.environ["WORKQ_RUNTIME_DIR"] = _runtime
os.environ["WORKQ_DATA_DIR"] = str(Path(_runtime) / "data")  # what they have done stays as it is too
os.environ.setdefault("WORKQ_SECONDS_PER_DOT", "0.02")

#: Leaks must be gone by then: things that end in the background may still be ending.
_SETTLE_SECONDS = 10.0


def pytest_sessionfinish() -> None:
    from workq_helpers import broker

    broker.stop()  # now, not when it has lingered: nothing of a test run is left when it ends
    shutil.rmtree(_runtime, ignore_errors=True)


def poll_for(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Wait until a condition holds, or fail."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        stop=tenacity.stop_after_delay(timeout),
        wait=tenacity.wait_fixed(0.02),
    )
    try:
        retrying(condition)
    except tenacity.RetryError:
        pytest.fail(f"the awaited condition did not hold within {timeout} s")


@pytest.fixture(name="poll_for")
def poll_for_fixture() -> Callable[..., None]:
    return poll_for


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for the whole run: the one that `find_broker` finds."""
    from workq_helpers import WorkqError, find_broker

    try:
        found = find_broker()
    except WorkqError as error:
        need(False, f"no RabbitMQ to test with: {error}")
        raise
    with found:
        yield found


@pytest.fixture(scope="session")
def lesson_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the lessons, made of the outputs that the tests keep."""
    folder = tmp_path_factory.mktemp("site")
    script = Path(__file__).parents[1] / "scripts" / "lesson_site.py"
    command = [sys.executable, str(script), "--folder", str(folder), "--run"]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "site"


def _sockets(ignored_port: int | None) -> set[str]:
    """Return this process's open sockets, but for the pooled connections to a port."""
    pooled = {
        connection.fd
        for connection in psutil.Process().net_connections("inet")
        if connection.raddr and connection.raddr.port == ignored_port
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


def _children() -> set[tuple[int, float]]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add((child.pid, child.create_time()))
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a socket, a process or a virtual host behind."""
    broker = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    # The management API's client keeps connections open between calls, for as long as the broker's handle.
    port = urlsplit(broker.endpoint.management_url or "").port if broker else None
    threads, sockets, children = set(threading.enumerate()), _sockets(port), _children()
    hosts = set(broker.virtual_hosts()) if broker else set()
    yield
    if request.node.stash.get(_FAILED, False):
        return
    leaks: dict[str, object] = {}

    def clean() -> bool:
        leaks.clear()
        left = [thread for thread in threading.enumerate() if thread not in threads]
        leaks["threads"] = [f"{thread.name}:\n{_stack_of(thread)}" for thread in left]
        leaks["sockets"] = sorted(_sockets(port) - sockets)
        leaks["processes"] = sorted(_children() - children)
        leaks["virtual hosts"] = sorted(set(broker.virtual_hosts()) - hosts) if broker else []
        return not any(leaks.values())

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        stop=tenacity.stop_after_delay(_SETTLE_SECONDS),
        wait=tenacity.wait_fixed(0.05),
        retry_error_callback=lambda _: None,
    )
    retrying(clean)
    for kind, left in leaks.items():
        if left:
            text = "\n".join(map(str, left if isinstance(left, list) else [left]))
            pytest.fail(f"this test left {kind} behind:\n{text}")


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.when == "call" and report.failed:
        # A failed test may well leave things behind; its own failure is the one to read.
        item.stash[_FAILED] = True
    return report


def _stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(no stack)"
