from __future__ import annotations

import datetime
import queue
import select
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from workq_helpers.teaching import pauses
from workq_helpers.teaching.pauses import with_short_pauses

SHORT = pauses._LONGEST_SECONDS


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long anybody slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def cell(text: str) -> Callable[..., Any]:
    """Return the function ``answer`` of a cell, whose names are its own."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)  # noqa: S102 - our own text
    answer: Callable[..., Any] = names["answer"]
    return answer


def test_pauses_are_short_and_the_clocks_tell_nothing_of_it(slept: list[float]) -> None:
    def answer() -> None:
        clocks = time.time, time.monotonic, time.perf_counter
        began = [clock() for clock in clocks]
        time.sleep(600)
        time.sleep(0.001)
        assert all(clock() - before >= 599 for clock, before in zip(clocks, began, strict=True))

    own = time.sleep, time.time, time.monotonic, time.perf_counter, threading.Event.wait
    with_short_pauses(answer)()
    assert slept == [SHORT, 0.001]
    assert (time.sleep, time.time, time.monotonic, time.perf_counter, threading.Event.wait) == own


@pytest.mark.parametrize(
    "text",
    [
        "from time import sleep\ndef answer(): sleep(600)",
        "from time import sleep as nap\nclass Calm:\n    def rest(self): nap(600)\nanswer = Calm().rest",
        "import time\nanswer = lambda: time.sleep(600)",
    ],
    ids=["by its name", "by another name", "in its module"],
)
def test_a_pause_is_short_by_whichever_name(text: str, slept: list[float]) -> None:
    answer = cell(text)
    with_short_pauses(answer)()
    assert slept == [SHORT]
    answer()
    assert slept == [SHORT, 600]


def test_who_waits_for_what_nobody_sets_only_pauses() -> None:
    text = """
import threading
from time import monotonic
def answer():
    began = monotonic()
    threading.Event().wait(600)
    return monotonic() - began
"""
    began = time.monotonic()
    assert with_short_pauses(cell(text))() >= 600
    assert time.monotonic() - began < 100


@pytest.mark.parametrize(
    "pause",
    [
        "import select, time\ndef pause(): select.select([], [], [], 600)",
        "from select import select as wait\ndef pause(): wait((), (), (), 600)",
        "import asyncio\ndef pause(): asyncio.run(asyncio.sleep(600))",
        "import asyncio\nfrom asyncio import sleep\nasync def nap(): await sleep(600)\ndef pause(): asyncio.run(nap())",
        "import threading\ndef pause():\n    with (c := threading.Condition()): c.wait(600)",
        "import threading\ndef pause():\n    with (c := threading.Condition()): c.wait_for(lambda: False, 600)",
        "import threading\ndef pause(): threading.Semaphore(0).acquire(timeout=600)",
        "import queue\ndef pause():\n    try: queue.Queue().get(timeout=600)\n    except queue.Empty: pass",
    ],
)
@pytest.mark.parametrize(
    "clock",
    [
        "time.time()",
        "time.monotonic_ns() / 1e9",
        "datetime.datetime.now().timestamp()",
        "now(datetime.UTC).timestamp()",
    ],
)
def test_a_pause_is_short_however_it_is_taken(pause: str, clock: str) -> None:
    text = f"""
import datetime, time
from datetime import datetime as dt
now = lambda zone: dt.now(zone)
{pause}
def answer():
    began = {clock}
    pause()
    return {clock} - began
"""
    own = time.time, datetime.datetime, select.select, threading.Condition.wait, selectors.DefaultSelector.select
    began = time.monotonic()
    assert 599 <= with_short_pauses(cell(text))() < 700
    assert time.monotonic() - began < 100
    now = time.time, datetime.datetime, select.select, threading.Condition.wait, selectors.DefaultSelector.select
    assert own == now


def test_who_waits_for_a_thread_waits_as_long_as_it_says() -> None:
    text = """
import threading
def answer(gate):
    baked = threading.Event()
    threading.Thread(target=lambda: (gate.wait(), baked.set())).start()
    threading.Timer(0.05, gate.set).start()
    return baked.wait(100)
"""
    assert with_short_pauses(cell(text))(threading.Event())


def test_others_wait_as_long_as_they_say(slept: list[float]) -> None:
    ours: queue.Queue[str] = queue.Queue()

    def answer() -> str:
        other = threading.Thread(target=lambda: (time.sleep(7), ours.put("tea")))
        other.start()
        other.join()
        return ours.get(timeout=60)

    assert with_short_pauses(answer)() == "tea"
    assert slept == [7]


def test_what_is_no_number_of_seconds_is_told_as_ever() -> None:
    with pytest.raises(TypeError):
        with_short_pauses(lambda: time.sleep("1"))()  # type: ignore[arg-type]
