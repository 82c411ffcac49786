"""What the tests of the ways in share: the image that stands in for theirs, and the browser tests' browser."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.anywhere.docker import course_image

# The browser tests' fixtures; each module brings the server that the browser talks to.
from tests.browser.conftest import (  # noqa: F401 - fixtures and a hook are found by their names
    _chromium_may_fork,
    browser,
    lab,
    no_leaks,
    playwright,
    pytest_runtest_makereport,
    tab,
    tabs,
)
from tests.support import need


@pytest.fixture(scope="session")
def image() -> str:
    """Debian with what Binder would install, and no course in it."""
    need(shutil.which("docker"), "no Docker to run the ways in with: .ci/run installs one")
    need(shutil.which("debootstrap") and os.geteuid() == 0, "no debootstrap, or no root to make images with")
    return course_image()
