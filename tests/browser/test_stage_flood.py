"""The stage while messages come faster than anybody can read."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import SCREENSHOTS, Lab
from tests.browser.stage import open_stage

RATE = 5_000
SECONDS = 5

#: The goal is 8; a machine that also runs other tests may fall behind it.
FEWEST_FRAMES_A_SECOND = 4

WORKERS = """
def ack(ch, method, properties, body):
    ch.basic_ack(delivery_tag=method.delivery_tag)

workers = lesson.start_workers(4, ack, queue="hello", prefetch_count=100)
"""


def test_a_flood_is_drawn_all_along_and_ends_right(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=WORKERS)
    stage.record()
    stage.notebook.set_source(
        2, f'flood = lesson.start_publisher("Drop", queue="hello", rate={RATE}, count={RATE * SECONDS})'
    )
    stage.notebook.run(2)
    stage.expect_end_count("done", RATE * SECONDS)
    stage.expect_counts(ready=0, unacknowledged=0)
    stage.expect_alive()
    assert stage.notebook.evaluate("flood.published") == RATE * SECONDS
    assert stage.notebook.evaluate("list(lesson.queue_counts()['hello'][:2])") == [0, 0]
    assert stage.notebook.evaluate("list(lesson.ledger().queues()['hello'])") == [0, 0]
    done = sum(
        int(text.replace(",", "")) for text in stage.root.locator(".workq-worker [data-count='done']").all_inner_texts()
    )
    assert done == RATE * SECONDS
    flooded = [frame["milliseconds"] for frame in stage.frames() if 0 < _number(frame["published"]) < RATE * SECONDS]
    frames_a_second = (len(flooded) - 1) / (flooded[-1] - flooded[0]) * 1000
    (SCREENSHOTS / "flood.txt").write_text(f"{frames_a_second:.1f} frames a second at {RATE} messages a second\n")
    assert frames_a_second >= FEWEST_FRAMES_A_SECOND
    stage.screenshot("stage-flooded")


def test_a_large_backlog_and_many_workers_stay_readable(lab: Lab) -> None:
    backlog, workers, prefetch_count = 20_000, 20, 3
    stage = open_stage(
        lab,
        seconds_per_dot=60.0,
        before_stage=f'lesson.start_publisher("Drop.", queue="hello", count={backlog}).wait()\n'
        f'workers = lesson.start_workers({workers}, callback, queue="hello", prefetch_count={prefetch_count})\n',
    )
    held = workers * prefetch_count
    stage.expect_counts(ready=backlog - held, unacknowledged=held)
    expect(stage.root.locator(".workq-worker[data-state='busy']")).to_have_count(workers)
    expect(stage.message(place="working")).to_have_count(workers)
    assert stage.message(place="waiting").count() <= 12
    assert stage.root.evaluate("root => root.scrollWidth <= root.clientWidth + 1")
    stage.screenshot("stage-crowd")


def _number(text: str) -> int:
    return int(text.replace(",", ""))
