from __future__ import annotations

import threading
import time

import pytest

from workq_helpers.teaching import pauses
from workq_helpers.teaching.pauses import short_pauses


def test_pauses_are_short_and_the_clocks_tell_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    own = time.sleep, time.time, time.monotonic
    with short_pauses():
        began, day = time.monotonic(), time.time()
        time.sleep(600)
        time.sleep(0.001)
        assert time.monotonic() - began >= 600 - pauses._LONGEST_SECONDS
        assert time.time() - day >= 600 - pauses._LONGEST_SECONDS - 1
    assert slept == [pauses._LONGEST_SECONDS, 0.001]
    assert (time.sleep, time.time, time.monotonic) == own


def test_other_threads_sleep_as_long_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with short_pauses():
        other = threading.Thread(target=lambda: time.sleep(7))
        other.start()
        other.join()
    assert slept == [7]


def test_what_is_no_number_of_seconds_is_told_as_ever() -> None:
    with short_pauses(), pytest.raises(TypeError):
        time.sleep("1")  # type: ignore[arg-type]
