from __future__ import annotations

from pathlib import Path

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
