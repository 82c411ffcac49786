"""The browser of the browser tests: the system's Chromium, else Playwright's own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.support import command_of, need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

__all__ = ["is_helper", "launch", "why_not", "why_not_driven"]

#: Chromium without a window, as Playwright brings it: the same tests take a fifth less of the processor.
_SHELL = "chromium-headless-shell"
#: The browsers that people have.
_WHOLE = ("chromium", "chromium-browser", "google-chrome")

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


def launch(playwright: Playwright, *, whole: bool = False, **options: Any) -> Browser:
    """Start a Chromium, or skip the test where there is none, or fail it in CI.

    Args:
        playwright: What drives it.
        whole: Whether a browser as a learner has it is asked for first, not the quicker one for tests.
        options: Playwright's own.
    """
    names = (*_WHOLE, _SHELL) if whole else (_SHELL, *_WHOLE)
    system = next((found for name in names if (found := shutil.which(name))), None)
    path = system or playwright.chromium.executable_path
    need(
        Path(path).exists(),
        "no Chromium to test with: install one (apt-get install chromium), or run `playwright install chromium`",
    )
    from playwright.sync_api import Error, TimeoutError

    try:
        return playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS), **options)
    except TimeoutError:
        raise  # it started, and is slow
    except Error as error:
        need(False, why_not(str(path), error.message))
        raise


def why_not_driven(node: Path) -> str:
    """Return why Playwright's own program does not start, and the command that mends it; ``""`` where it does.

    Args:
        node: The Node that it brings along.
    """
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", done.stderr)
    reason = f"it lacks {library[1]}" if library else done.stderr.strip()
    return f"{node} does not start ({reason}): on Debian and Ubuntu `sudo apt-get install libatomic1` mends that"


def why_not(path: str, message: str) -> str:
    """Return why a Chromium does not start, and the command that mends it.

    Args:
        path: The browser.
        message: What Playwright said of it.
    """
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", message)
    lines = [line.strip(" ║") for line in message.splitlines() if line.strip(" ═╔╗╚╝║")]
    reason = f"it lacks {library[1]}" if library else (lines[1:] or lines or ["it said nothing"])[0]
    mend = f"sudo {Path(sys.executable).with_name('playwright')} install-deps chromium"
    return f"the Chromium in {path} does not start ({reason}): `{mend}`, or `sudo apt-get install chromium`, mends that"


def is_helper(process: psutil.Process) -> bool:
    """Say whether a process is one that a Chromium began for itself, such as the one that draws a page."""
    command = command_of(process)
    return bool(command) and "chrom" in command[0] and any(part.startswith("--type=") for part in command)
