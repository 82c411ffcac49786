"""A Chromium that is there and does not start: skipped on a laptop with the reason, failed in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import chromium

sync_api = pytest.importorskip("playwright.sync_api")


class Without:
    """A Playwright whose Chromium lacks a library."""

    def __init__(self, path: Path, message: str) -> None:
        self.chromium = self
        self.executable_path = str(path)
        self._message = message

    def launch(self, **_options: object) -> None:
        raise sync_api.Error(self._message)


MISSING_LIBRARY = (
    "BrowserType.launch: Target page, context or browser has been closed\n"
    "[pid=1][err] chrome: error while loading shared libraries: libnss3.so: cannot open shared object file"
)
MISSING_DEPENDENCIES = (
    "BrowserType.launch: \n╔═════╗\n"
    "║ Host system is missing dependencies to run browsers. ║\n║ Please install them ║\n╚═══╝"
)


@pytest.mark.parametrize(
    ("message", "reason"),
    [(MISSING_LIBRARY, "it lacks libnss3.so"), (MISSING_DEPENDENCIES, "Host system is missing dependencies")],
)
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_browser_that_lacks_libraries_is_a_reason_to_skip_and_in_ci_to_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, message: str, reason: str, ci: str, outcome: type[BaseException]
) -> None:
    path = tmp_path / "chrome"
    path.touch()
    monkeypatch.setattr(chromium.shutil, "which", lambda _name: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome) as caught:
        chromium.launch(Without(path, message))
    assert reason in str(caught.value)
    assert "install-deps chromium`" in str(caught.value)
    assert "apt-get install chromium" in str(caught.value)


def test_a_playwright_that_lacks_a_library_is_told_with_what_mends_it(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho 'libatomic.so.1: cannot open shared object file: No such file' >&2; exit 127\n")
    node.chmod(0o755)
    reason = chromium.why_not_driven(node)
    assert "it lacks libatomic.so.1" in reason
    assert "`sudo apt-get install libatomic1`" in reason
    node.write_text("#!/bin/sh\n")
    assert chromium.why_not_driven(node) == ""


def test_a_slow_browser_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def slow(**_options: object) -> None:
        raise sync_api.TimeoutError("Timeout 30000ms exceeded.")

    playwright = Without(tmp_path, "")
    monkeypatch.setattr(playwright, "launch", slow)
    monkeypatch.setattr(chromium.shutil, "which", lambda _name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(sync_api.TimeoutError):
        chromium.launch(playwright)
