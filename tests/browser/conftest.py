"""A real JupyterLab, a real Chromium and a real RabbitMQ for the browser tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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


@pytest.fixture(scope="session")
def server(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One JupyterLab for the whole run."""
    with serving(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright's own process; not for the whole run, as an asyncio loop of this thread belongs to it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    reason = chromium.why_not_driven(Path(sync_api.__file__).parents[1] / "driver" / "node")
    need(not reason, reason)
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright, server: Server) -> Iterator[Browser]:
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(scope="module")
def reader(playwright: Playwright) -> Iterator[Browser]:
    """A browser without JupyterLab, for pages that need none."""
    with chromium.launch(playwright) as launched:
        yield launched


@pytest.fixture(scope="module")
def tab(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A tab with JupyterLab, for every test of a module: loading it takes longer than most of them."""
    opened = Tab(browser, server, request.module.__name__.rpartition(".")[2])
    opened.goto()
    yield opened
    opened.close()


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
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = True
        lab = item.funcargs.get("lab") if isinstance(item, pytest.Function) else None
        if isinstance(lab, Lab):
            lab.keep_evidence()
    return report
