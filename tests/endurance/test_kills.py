"""Five kernels killed, at each moment one at least; `make endurance KERNELS=100` kills more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.broker.course import course
from tests.endurance.kills import broker_settings, kill_kernels, left

pytestmark = pytest.mark.once


@pytest.mark.timeout(300)
def test_nothing_is_left_of_five_killed_kernels(poll_for: Callable[..., None]) -> None:
    with course(**broker_settings()) as environ:
        kill_kernels(5, environ, 10, poll_for, print)
        poll_for(lambda: not left(environ), 60)
