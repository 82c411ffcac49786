"""The half of the stage that is JavaScript has tests of its own, run by Node's test runner."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.chromium import why_not_driven
from tests.support import need

pytestmark = pytest.mark.text

ROOT = Path(__file__).parents[2]


def find_node() -> str | None:
    """Return Node from PATH, else the one that Playwright carries, where that runs."""
    found = shutil.which("node")
    if found:
        return found
    playwright = find_spec("playwright")
    if playwright is None or playwright.origin is None:
        return None
    carried = Path(playwright.origin).parent / "driver" / "node"
    return str(carried) if carried.is_file() and not why_not_driven(carried) else None


@pytest.mark.once
@pytest.mark.timeout(400)  # a page is made for each test
def test_tests_of_the_stage_in_javascript_pass() -> None:
    node = find_node()
    need(node, "Node, from PATH or from the package playwright, runs the tests in tests/js")
    assert node is not None
    need((ROOT / "node_modules" / "jsdom").is_dir(), "the tests in tests/js need jsdom: run `make lint` or `npm ci`")
    files = sorted((ROOT / "tests" / "js").glob("*.test.mjs"))
    assert files
    # In one process: with --test each file has its own, which loads jsdom anew.
    imports = "\n".join(f"import {json.dumps(file.as_uri())};" for file in files)
    command = [node, "--input-type=module", "--eval", imports]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
