from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import EventLog
from workq_helpers.pictures.queue_depth import queue_depth


def log_of(*kinds: str) -> EventLog:
    log = EventLog()
    log.record("connected", "worker-1", "hello", detail=ConsumeOptions())
    for number in (1, 2):
        log.record("published", "notebook", "hello", f"id-{number}", f"Tea {number}.")
    for number in (1, 2):
        for kind in kinds:
            log.record(kind, "worker-1", "hello", f"id-{number}", f"Tea {number}.", number)
    return log


def test_it_says_what_it_shows() -> None:
    assert queue_depth(log_of("delivered", "started", "finished")).alternative_text == (
        "Queue hello over time: at most 2 messages kept, 2 of them unacknowledged; in the end 0 ready and "
        "2 unacknowledged."
    )
    assert "in the end 0 ready and 0 unacknowledged" in repr(queue_depth(log_of("delivered", "acked")))
    assert "0 of them unacknowledged; in the end 2 ready" in repr(queue_depth(log_of()))


def test_a_queue_in_which_nothing_happened_is_drawn_empty() -> None:
    picture = queue_depth(log_of(), queue="other")
    assert picture.alternative_text == "Queue other: nothing happened."
    assert picture.png()
    assert queue_depth(EventLog()).png()


def test_it_is_a_picture_with_both_bands(tmp_path: Path) -> None:
    picture = queue_depth(log_of("delivered"))
    picture.save(tmp_path / "depth.png")
    with Image.open(tmp_path / "depth.png") as image:
        assert image.width > image.height
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert labels == ["unacknowledged", "ready"]


def test_time_runs_from_the_first_message_to_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 90.0, 90.0, 100.0])  # it was opened, declared, read about for long, and used for ten seconds
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    log = EventLog()
    log.record("declared", "notebook", "hello")
    log.record("published", "notebook", "hello", "id-1", "Tea.")
    log.record("delivered", "worker-1", "hello", "id-1", "Tea.", 1)
    log.record("finished", "worker-1", "hello", "id-1", "Tea.", 1)
    monkeypatch.undo()
    (axes,) = queue_depth(log).figure.axes
    assert axes.get_xlim() == pytest.approx((0, 10.4))
