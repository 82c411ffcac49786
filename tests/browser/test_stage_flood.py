"""The stage while messages come faster than anybody can read."""

from __future__ import annotations

import re

import pytest
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


@pytest.mark.alone
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
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "flood.txt").write_text(f"{frames_a_second:.1f} frames a second at {RATE} messages a second\n")
    assert frames_a_second >= FEWEST_FRAMES_A_SECOND
    stage.screenshot("stage-flooded")


@pytest.mark.nightly  # the gate draws fifty workers, and what a flood leaves, without the messages
@pytest.mark.timeout(300)
def test_a_backlog_of_100_000_and_fifty_workers_stay_readable(lab: Lab) -> None:
    backlog, workers, prefetch_count = 100_000, 50, 3
    stage = open_stage(
        lab,
        seconds_per_dot=3600.0,
        before_stage=f'lesson.start_publisher("Drop.", queue="hello", count={backlog}).wait(None)\n'
        f'workers = lesson.start_workers({workers}, callback, queue="hello", prefetch_count={prefetch_count})\n',
    )
    held = workers * prefetch_count
    stage.expect_counts(ready=backlog - held, unacknowledged=held)
    expect(stage.root.locator(".workq-worker[data-state='busy']")).to_have_count(workers)
    expect(stage.message(place="working")).to_have_count(workers)
    # What is not drawn is counted: in the queue, and in each worker's slots.
    waiting = stage.message(place="waiting").count()
    assert waiting <= 12
    expect(stage.queue()).to_contain_text(f"+ {backlog - held - waiting:,} more")
    expect(stage.worker("worker-50").locator(".workq-message")).to_have_count(1)
    expect(stage.worker("worker-50")).to_contain_text("+ 2 more")
    stage.worker("worker-50").locator(".workq-console-box > summary").click()
    expect(stage.console("worker-50")).to_contain_text("[x] Received Drop.")
    # What can be done to a worker lies over its line only where one points or tabs to it.
    stage.page.mouse.move(0, 0)
    stage.page.evaluate("document.activeElement.blur()")
    # A million bytes a second are what Jupyter lets pass.
    assert 10 * stage.notebook.evaluate("len(__import__('json').dumps(lesson.stage._widget.frame))") < 900_000
    for width in (740, 1280, 2_100):
        stage.notebook.resize(width, 1300)
        assert stage.root.evaluate("root => root.scrollWidth <= root.clientWidth + 1")
        assert stage.root.evaluate(OVERLAPPING) == []
        stage.notebook.show(1)
        stage.screenshot(f"stage-crowd-{width}")
    assert stage.root.locator(".workq-ends").evaluate("ends => getComputedStyle(ends, '::before').display") == "none"
    # What a kill throws back is seen at the head of the hundred thousand.
    stage.worker("worker-50").hover()
    stage.press("kill", "worker-50")
    stage.expect_worker("worker-50", "killed")
    stage.expect_counts(ready=backlog - held + prefetch_count, unacknowledged=held - prefetch_count)
    expect(stage.message(place="waiting").first).to_have_attribute("title", re.compile("delivered 1"))


#: What of the workers' cards, and of what each holds, lies over something else or outside.
OVERLAPPING = """root => {
    const seen = found => [...found].filter(one => one.checkVisibility({opacityProperty: true}));
    const cut = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
    const faults = [];
    const apart = (all, what) => all.forEach((one, index) => all.slice(index + 1).forEach(other => {
        if (cut(one.getBoundingClientRect(), other.getBoundingClientRect()))
            faults.push(`${what}: ${one.className} and ${other.className}`);
    }));
    apart(seen(root.querySelectorAll(".workq-worker")), "cards");
    for (const card of root.querySelectorAll(".workq-worker")) {
        const name = card.dataset.worker;
        const inside = seen(card.querySelectorAll(".workq-name, .workq-state, .workq-done, .workq-room,"
            + " .workq-settings, .workq-message, .workq-slots-more, button, summary"));
        apart(inside, name);
        const box = card.getBoundingClientRect();
        for (const one of inside) {
            const {right, bottom} = one.getBoundingClientRect();
            if (right > box.right + 1 || bottom > box.bottom + 1) faults.push(`${name}: ${one.className} outside`);
        }
    }
    return faults;
}"""


def _number(text: str) -> int:
    return int(text.replace(",", ""))
