"""Fixtures of all tests: a runtime folder of their own, a pace that suits tests, and no leaks.

With pytest-xdist each worker is a process with everything of its own: the runtime folder, and so the broker.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pytest
from _pytest.junitxml import xml_key

from tests import leaks
from tests.leaks import Leaks
from tests.support import need
from workq_helpers.waiting import wait_until

if TYPE_CHECKING:
    from workq_helpers import Broker

# Before anything of the course is imported, and for the kernels and programs that tests start. A broker of
# the person who runs the tests is left alone.
_runtime = tempfile.mkdtemp(prefix="workq-")
os.environ["WORKQ_RUNTIME_DIR"] = _runtime
os.environ["WORKQ_DATA_DIR"] = str(Path(_runtime) / "data")  # what they have done stays as it is too
os.environ.pop("PYTEST_ADDOPTS", None)  # it was for this pytest, not for those that tests start
os.environ.setdefault("WORKQ_SECONDS_PER_DOT", "0.02")

if importlib.util.find_spec("hypothesis"):  # the lessons' cells are run where it is not installed, too
    from tests.properties import load_profile

    load_profile()

_TESTS = Path(__file__).parent
_VERSIONS = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--again",
        action="store_true",
        help="run only what failed the last time; of a lesson everything, as its cells build on one another",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_VERSIONS] = {}


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if mark := _depends_on(item):
            item.add_marker(mark)
    if config.getoption("again"):
        failed = {_unit(nodeid) for nodeid in config.cache.get("cache/lastfailed", {})} if config.cache else set()
        config.hook.pytest_deselected(items=[item for item in items if _unit(item.nodeid) not in failed])
        items[:] = [item for item in items if _unit(item.nodeid) in failed]


def _unit(nodeid: str) -> str:
    """Return what can be run by itself: a test, or the notebook of a cell."""
    file = nodeid.partition("::")[0]
    return file if file.endswith(".ipynb") else nodeid


def _depends_on(item: pytest.Item) -> str | None:
    """Return the mark that follows from a test's folder and fixtures, where it says nothing else of itself."""
    if any(item.get_closest_marker(name) for name in ("text", "once", "machine")):
        return None
    if item.path.suffix == ".ipynb":
        return "lessons"
    folder = item.path.relative_to(_TESTS).parts[0]
    if folder == "unit":
        return "dependencies"
    asks = "broker" in getattr(item, "fixturenames", ())
    return "rabbitmq" if asks and folder in ("broker", "security") else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    from workq_helpers import broker

    broker.stop()  # now, not when it has lingered: nothing of a test run is left when it ends
    shutil.rmtree(_runtime, ignore_errors=True)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["versions"] = session.config.stash[_VERSIONS]


@pytest.hookimpl(optionalhook=True)  # it is pytest-xdist's
def pytest_testnodedown(node: Any) -> None:
    _report(node.config, getattr(node, "workeroutput", {}).get("versions", {}))


def _report(config: pytest.Config, versions: dict[str, str]) -> None:
    """Let the report say with what these tests ran: this process's, or those of the process that a worker works for."""
    for name, version in versions.items():
        if config.stash[_VERSIONS].get(name) != version:
            config.stash[_VERSIONS][name] = version
            if report := config.stash.get(xml_key, None):
                report.add_global_property(name, version)


def poll_for(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Wait until a condition holds, or fail."""
    if not wait_until(condition, timeout):
        pytest.fail(f"the awaited condition did not hold within {timeout} s")


@pytest.fixture(name="poll_for")
def poll_for_fixture() -> Callable[..., None]:
    return poll_for


@pytest.fixture(scope="session", autouse=True)
def _versions(pytestconfig: pytest.Config) -> None:
    found = {"Python": platform.python_version(), "ipykernel": importlib.metadata.version("ipykernel")}
    _report(pytestconfig, found | {"dependencies": os.environ.get("WORKQ_VERSIONS", "pinned")})


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """One broker for the whole run, or for each worker of it: the one that `find_broker` finds."""
    from workq_helpers import WorkqError, find_broker

    try:
        found = find_broker()
    except WorkqError as error:
        need(False, f"no RabbitMQ to test with: {error}")
        raise
    with found:
        leaks.watch(found)
        _report(pytestconfig, {"RabbitMQ": str(found.version)})
        yield found


@pytest.fixture(scope="session")
def lesson_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the lessons, made of the outputs that the tests keep: once, whichever worker asks first."""
    folder = tmp_path_factory.getbasetemp()
    if "CI_WORK" in os.environ:  # two parts of the gate look at it
        folder = Path(os.environ["CI_WORK"], f"site-{os.environ.get('WORKQ_VERSIONS', 'pinned')}")
        folder.mkdir(exist_ok=True)
    elif "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker's own folder is in that of them all
    site = folder / "lessons" / "site"
    with filelock.FileLock(folder / "lessons.lock"):
        if not site.exists():
            _make_site(site)
    return site


def _make_site(site: Path) -> None:
    script = Path(__file__).parents[1] / "scripts" / "lesson_site.py"
    with tempfile.TemporaryDirectory(dir=site.parents[1]) as begun:  # so that a site which is there is whole
        command = [sys.executable, str(script), "--folder", begun, "--run"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert made.returncode == 0, made.stdout + made.stderr
        site.parent.mkdir(exist_ok=True)
        (Path(begun) / "site").rename(site)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a socket, a process or a virtual host behind."""
    before = _before(request.getfixturevalue("broker") if "broker" in request.fixturenames else None)
    yield
    if request.node.stash.get(_FAILED, False):
        return
    for kind, left in before.found().items():
        text = "\n".join(left)
        pytest.fail(f"this test left {kind} behind:\n{text}")


def _before(broker: Broker | None) -> Leaks:
    """Look at what is there, with a broker that runs again if the test before failed and left it down."""
    from workq_helpers.errors import ManagementUnavailableError

    try:
        return Leaks(broker)
    except ManagementUnavailableError:
        if broker is None or not broker.ours:
            raise
        broker.restart()
        return Leaks(broker)


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.when == "call" and report.failed:
        # A failed test may well leave things behind; its own failure is the one to read.
        item.stash[_FAILED] = True
    return report
