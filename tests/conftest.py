"""Fixtures of all tests: a runtime folder of their own, a pace that suits tests, and no leaks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tenacity

from tests.leaks import Leaks
from tests.support import need

if TYPE_CHECKING:
    from workq_helpers import Broker

# Before anything of the course is imported, and for the kernels and programs that tests start. A broker of
# the person who runs the tests is left alone.
_runtime = tempfile.mkdtemp(prefix="workq-")
os.environ["WORKQ_RUNTIME_DIR"] = _runtime
os.environ["WORKQ_DATA_DIR"] = str(Path(_runtime) / "data")  # what they have done stays as it is too
os.environ.pop("PYTEST_ADDOPTS", None)  # it was for this pytest, not for those that tests start
os.environ.setdefault("WORKQ_SECONDS_PER_DOT", "0.02")


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


@pytest.fixture(scope="session", autouse=True)
def _versions(record_testsuite_property: Callable[[str, object], None]) -> None:
    """Let the report say with what these tests ran."""
    record_testsuite_property("Python", platform.python_version())
    record_testsuite_property("ipykernel", importlib.metadata.version("ipykernel"))
    record_testsuite_property("dependencies", os.environ.get("WORKQ_VERSIONS", "pinned"))


@pytest.fixture(scope="session")
def broker(record_testsuite_property: Callable[[str, object], None]) -> Iterator[Broker]:
    """One broker for the whole run: the one that `find_broker` finds."""
    from workq_helpers import WorkqError, find_broker

    try:
        found = find_broker()
    except WorkqError as error:
        need(False, f"no RabbitMQ to test with: {error}")
        raise
    with found:
        record_testsuite_property("RabbitMQ", found.version)
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


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a socket, a process or a virtual host behind."""
    leaks = Leaks(request.getfixturevalue("broker") if "broker" in request.fixturenames else None)
    yield
    if request.node.stash.get(_FAILED, False):
        return
    for kind, left in leaks.found().items():
        text = "\n".join(left)
        pytest.fail(f"this test left {kind} behind:\n{text}")


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.when == "call" and report.failed:
        # A failed test may well leave things behind; its own failure is the one to read.
        item.stash[_FAILED] = True
    return report
