"""A real JupyterLab, a real Chromium and a real RabbitMQ for the browser tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
import pytest

import tests.leaks
from tests.browser import chromium
from tests.browser.lab import Lab, Tab
from tests.browser.server import Server, serving
from tests.support import need
from workq_helpers import Broker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_FAILED = pytest.StashKey[bool]()


def _as_long_as_it_can(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:
    """Return how long a browser with JupyterLab lives: for the whole run, where that is of browser tests alone.

    An asyncio loop of this thread belongs to Playwright, which tests of other kinds do not stand. Loading JupyterLab
    takes as much of the processor as a test.
    """
    folder = Path(__file__).parent
    paths = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    return "session" if all(path.resolve().is_relative_to(folder) for path in paths) else "module"


@pytest.fixture(scope="session")
def server(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One JupyterLab for the whole run."""
    with serving(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope=_as_long_as_it_can)
def playwright() -> Iterator[Playwright]:
    """Playwright's own process."""
    sync_api = pytest.importorskip("playwright.sync_api")
    reason = chromium.why_not_driven(Path(sync_api.__file__).parents[1] / "driver" / "node")
    need(not reason, reason)
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope=_as_long_as_it_can)
def browser(playwright: Playwright, server: Server) -> Iterator[Browser]:
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(scope="module")
def reader(playwright: Playwright) -> Iterator[Browser]:
    """A browser without JupyterLab, for pages that need none."""
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(scope=_as_long_as_it_can)
def tabs(browser: Browser) -> Iterator[list[Tab]]:
    """The tab that tests share in a browser, once one of them has had it."""
    shared: list[Tab] = []
    yield shared
    for each in shared:
        each.close()


@pytest.fixture
def tab(request: pytest.FixtureRequest, tabs: list[Tab], browser: Browser, server: Server) -> Iterator[Tab]:
    """A tab with JupyterLab, for many tests: loading it takes longer than most of them.

    Who knows what a test that failed has left there: the next one gets another.
    """
    if not tabs:
        tabs.append(Tab(browser, server, "tests"))
        try:
            tabs[0].goto()
        except BaseException:
            tabs.pop().close()
            raise
    yield tabs[0]
    if request.node.stash.get(_FAILED, False):
        tabs.pop().close()


@pytest.fixture
def calm(tab: Tab) -> None:
    """For tests of something else: on the stage nothing moves, which takes a processor."""
    tab.page.emulate_media(reduced_motion="reduce")


@pytest.fixture
def lab(request: pytest.FixtureRequest, server: Server, browser: Browser, tab: Tab) -> Iterator[Lab]:
    """JupyterLab for one test, which fails if a page asks anything but the server, or raises an error."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    opened = Lab(server, browser, tab, name[:60])
    try:
        yield opened
        if not request.node.stash.get(_FAILED, False) and (faults := opened.faults()):
            opened.keep_evidence()
            pytest.fail("\n".join(faults))
    finally:
        opened.close()


@pytest.fixture
def _chromium_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chromium begins and ends processes when it likes; they end with it, at the latest."""
    counted = tests.leaks._children

    def without_helpers() -> set[tuple[int, float]]:
        return {(pid, created) for pid, created in counted() if not _is_helper(pid)}

    monkeypatch.setattr(tests.leaks, "_children", without_helpers)


def _is_helper(pid: int) -> bool:
    try:
        return chromium.is_helper(psutil.Process(pid))
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return True  # it is gone


@pytest.fixture(autouse=True)
def no_leaks(_chromium_may_fork: None, no_leaks: None) -> None:
    """As for all tests, but for what Chromium begins by itself."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.failed and report.when != "teardown":
        item.stash[_FAILED] = True
        lab = item.funcargs.get("lab") if isinstance(item, pytest.Function) else None
        if isinstance(lab, Lab):
            lab.keep_evidence()
    return report
