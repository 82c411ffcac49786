"""The stage lives while a cell runs: its controls act at once, and nothing pressed lands where it was not meant."""

from __future__ import annotations

import textwrap
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import SECONDS, Stage, open_stage
from tests.browser.test_stage_access import TWO_WORKERS

#: How long a control may take to act, in seconds.
ACTS_SECONDS = 0.3

#: Milliseconds from a click on an element to the first frame in which another one is as it should be.
_CLICK_AND_MEASURE = """(element, [selector, state]) => new Promise(resolve => {
    const root = element.closest(".workq-stage");
    const clicked = performance.now();
    new MutationObserver((_, observer) => {
        if (root.querySelector(selector)?.dataset.state !== state) return;
        observer.disconnect();
        resolve(performance.now() - clicked);
    }).observe(root, {subtree: true, attributes: true});
    element.click();
})"""


def milliseconds_until(stage: Stage, do: str, worker: str, state: str) -> float:
    button = stage.worker(worker).locator(f"[data-do='{do}']")
    found = button.evaluate(_CLICK_AND_MEASURE, [f".workq-worker[data-worker='{worker}']", state])
    return float(found)


def release_of(lab: Lab) -> Path:
    """A file that what runs in the kernel waits for."""
    return lab.server.root / f"{lab.name}.release"


def waits_for(file: Path) -> str:
    return f"import time\nfrom pathlib import Path\nwhile not Path({str(file)!r}).exists():\n    time.sleep(0.05)"


def begin_a_cell_that_waits(lab: Lab, stage: Stage) -> Path:
    """Return the file that it waits for."""
    release = release_of(lab)
    stage.notebook.set_source(2, waits_for(release))
    stage.notebook.begin(2)
    expect(stage.root).to_have_attribute("data-during", "true")
    return release


def test_a_worker_killed_while_a_cell_waits_has_its_task_redelivered_before_the_cell_ends(lab: Lab) -> None:
    release = release_of(lab)
    patient = "def patient(ch, method, properties, body):\n" + textwrap.indent(waits_for(release), "    ")
    start = 'lesson.start_workers(2, patient, queue="hello", prefetch_count=1)\n'
    ack = "    ch.basic_ack(delivery_tag=method.delivery_tag)\n"
    stage = open_stage(lab, before_stage=f"{patient}\n{ack}{start}")
    notebook = stage.notebook
    stage.send("Stew.")
    expect(stage.worker("worker-1").locator("[data-place='working']")).to_contain_text("Stew")
    notebook.set_source(2, "lesson.wait_until_idle(timeout=300)")
    notebook.begin(2)
    expect(stage.root).to_have_attribute("data-during", "true")
    stage.press("kill", "worker-1")
    stage.expect_worker("worker-1", "killed")
    expect(stage.worker("worker-2").locator("[data-place='working']")).to_contain_text("Stew")
    assert notebook.runs(2)
    stage.screenshot("stage-killed-while-a-cell-runs")
    release.touch()
    notebook.wait_until_done()
    assert notebook.errors() == []
    expect(stage.message("Stew", "done")).to_contain_text("redelivered")


def test_controls_act_within_their_time_while_a_cell_runs(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    notebook = stage.notebook
    release = begin_a_cell_that_waits(lab, stage)
    took = []
    for _ in range(5):
        took += [milliseconds_until(stage, "freeze", "worker-1", "frozen")]
        took += [milliseconds_until(stage, "thaw", "worker-1", "idle")]
    expect(stage.root.locator("[data-waiting]")).to_have_count(0)
    assert notebook.runs(2)
    assert sorted(took)[len(took) // 2] < 1000 * ACTS_SECONDS, took
    release.touch()
    notebook.wait_until_done()


def test_each_control_acts_while_a_cell_runs(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    notebook = stage.notebook
    release = begin_a_cell_that_waits(lab, stage)
    for worker in ("worker-1", "worker-2"):
        stage.press("freeze", worker)
        stage.expect_worker(worker, "frozen")
    stage.press("five")
    stage.expect_count("ready-log", 3)
    stage.press("purge")
    stage.expect_count("ready-log", 0)
    stage.press("thaw", "worker-1")
    stage.expect_worker("worker-1", "idle", "busy")
    stage.press("kill", "worker-2")
    stage.expect_worker("worker-2", "killed")
    stage.press("add_worker")
    stage.expect_worker("worker-3", "idle", "busy")
    stage.press("stop", "worker-3")
    stage.expect_worker("worker-3", "stopped")
    stage.send("Soup.")
    expect(stage.message("Soup.", "done")).to_be_visible()
    stage.press("pause")
    expect(stage.root).to_have_attribute("data-mode", "paused")
    stage.press("live")
    expect(stage.root).to_have_attribute("data-mode", "live")
    stage.press("start_over")
    stage.press("start_over")
    expect(stage.root.locator(".workq-worker")).to_have_count(0)
    assert notebook.runs(2)
    release.touch()
    notebook.wait_until_done()


def test_where_the_page_uses_no_subshell_a_button_says_at_once_that_it_waits(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    notebook = stage.notebook
    notebook.script("() => { session().session.kernel.commsOverSubshells = 'disabled'; }")
    release = begin_a_cell_that_waits(lab, stage)
    kill = stage.worker("worker-1").locator("[data-do='kill']")
    kill.click()
    expect(kill).to_have_attribute("data-waiting", "")
    expect(stage.root.locator(".workq-notice")).to_contain_text("waits for the cell that runs")
    stage.expect_alive()
    stage.screenshot("stage-waits-for-the-cell")
    release.touch()
    notebook.wait_until_done()
    stage.expect_worker("worker-1", "killed")
    expect(kill).not_to_have_attribute("data-waiting", "", timeout=SECONDS * 1000)


def test_what_waited_longer_than_its_experiment_is_dropped(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    notebook = stage.notebook
    notebook.script("() => { session().session.kernel.commsOverSubshells = 'disabled'; }")
    release = begin_a_cell_that_waits(lab, stage)
    notebook.queue("later = lesson.worker('worker-1').state")
    stage.press("kill", "worker-1")
    release.touch()
    notebook.wait_until_done()
    expect(stage.root.locator(".workq-notice").first).to_contain_text("another experiment has begun since")
    stage.expect_worker("worker-1", "idle")
