"""The browser of the browser tests: the system's Chromium, else Playwright's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.support import command_of, need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

__all__ = ["is_helper", "launch"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")

_ARGUMENTS = (
    "--no-sandbox",  # root, as in a container, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page may ask for, no name but this machine's is looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def launch(playwright: Playwright, **options: Any) -> Browser:
    """Start a Chromium, or skip the test where there is none, or fail it in CI."""
    system = next((found for name in _NAMES if (found := shutil.which(name))), None)
    path = system or playwright.chromium.executable_path
    need(
        Path(path).exists(),
        "no Chromium to test with: install one (apt-get install chromium), or run `playwright install chromium`",
    )
    return playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS), **options)


def is_helper(process: psutil.Process) -> bool:
    """Say whether a process is one that a Chromium began for itself, such as the one that draws a page."""
    command = command_of(process)
    return bool(command) and "chrom" in command[0] and any(part.startswith("--type=") for part in command)
