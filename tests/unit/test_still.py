"""The picture that stands in for the stage where no widget can live."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pytest
from PIL import Image

from tests.unit.test_scene import consume, lesson_log, picture_of, publish
from workq_helpers.log.details import ConsumeOptions
from workq_helpers.log.events import EventLog
from workq_helpers.stage import still as still_module
from workq_helpers.stage.frame import Frame
from workq_helpers.stage.still import Still, alternative_text, draw


def frame_of(log: EventLog) -> Frame:
    picture = picture_of(log)
    broker = {"name": "RabbitMQ 4.3.6", "found": "Docker", "state": picture.pop("broker_state")}
    return {"lesson": "round-robin", "broker": broker, **picture}


def busy() -> EventLog:
    log = lesson_log(ConsumeOptions(auto_ack=True))
    publish(log, "First.", "Second..", "Third...", "<img src=x onerror=alert(1)>")
    consume(log, "delivered started", "First.", 1)
    consume(log, "delivered", "Second..", 2)
    log.record("killed", "w", "hello")
    consume(log, "lost", "First.", 1)
    consume(log, "lost", "Second..", 2)
    log.record("connected", "v", "hello", detail=ConsumeOptions(prefetch_count=1))
    consume(log, "delivered started", "Third...", worker="v")
    return log


def test_the_text_says_what_the_picture_shows() -> None:
    assert alternative_text(frame_of(busy())) == (
        "The stage of the lesson round-robin: RabbitMQ 4.3.6, up. "
        "Queue hello (durable classic) with 1 ready and 1 unacknowledged messages: <img src=x onerror=alert(1)>. "
        "w, auto ack, is killed; 0 done. v, manual ack, prefetch 1, is busy with Third...; 0 done. "
        "2 lost: Second.., First.."
    )


def test_an_empty_lesson_has_a_picture_too() -> None:
    frame = frame_of(EventLog())
    assert alternative_text(frame) == "The stage of the lesson round-robin: RabbitMQ 4.3.6, up."
    assert Image.open(io.BytesIO(draw(frame))).format == "PNG"


def test_the_picture_is_small_and_not_blank() -> None:
    png = draw(frame_of(busy()))
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert image.width == 1920
    assert len(png) < 60_000
    assert len(image.getcolors(1 << 16) or []) > 10


def test_a_crowd_and_a_backlog_fit() -> None:
    log = lesson_log()
    publish(log, *(f"Task {number}......" for number in range(2000)))
    for number in range(60):
        log.record("connected", f"w{number}", "hello", detail=ConsumeOptions(prefetch_count=1))
    frame = frame_of(log)
    assert "53 more workers" in alternative_text(frame)
    assert len(alternative_text(frame)) < 1500
    assert Image.open(io.BytesIO(draw(frame))).height < 2000


def test_what_a_notebook_keeps_has_the_text_and_no_markup_of_a_task() -> None:
    bundle = still_module._bundle(frame_of(busy()))
    alternatives = re.findall(r'alt="([^"]*)"', bundle["text/html"])
    assert [html.unescape(text) for text in alternatives] == [bundle["text/plain"]]
    assert bundle["text/html"].count("<img") == 1
    assert "data:image/png;base64," in bundle["text/html"]
    assert "Restart Kernel" in bundle["text/html"]


def test_it_is_drawn_again_only_where_it_was_shown_and_looks_different(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **how: shown.append(how["display_id"]))
    monkeypatch.setattr("IPython.display.update_display", lambda bundle, **how: shown.append(how["display_id"]))
    log = busy()
    still = Still()
    still.update(frame_of(log))
    assert shown == []
    still.display(frame_of(log))
    still.update({**frame_of(log), "number": 7, "playback": {"seconds": 3}})
    assert len(shown) == 1
    consume(log, "finished acked", "Third...", worker="v")
    still.update(frame_of(log))
    assert len(shown) == 2
    assert len(set(shown)) == 1
