"""The stage tells the story: sentences, marks on the time line, what came back from whom, a replay from the text."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.lab import Lab
from tests.browser.stage import Stage, lesson_cells, open_stage

ONE_WORKER = 'worker = lesson.start_worker(callback, queue="hello", prefetch_count=3)\n'

_PREDICT = """\
from workq_helpers.lessons.round_robin import compare, predict
predict(lesson, "five orders")"""

_EXPERIMENT = """\
workers = lesson.start_workers(2, callback, queue="hello")
lesson.start_publisher(["Roast....", "Tea.", "Toast..", "Juice.", "Soup..."], queue="hello").wait(30)
lesson.wait_until_idle(timeout=60)"""


def test_a_kill_is_told_marked_and_shown_again(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=1.0, before_stage=ONE_WORKER)
    stage.send("Stew" + 60 * ".")
    stage.send("Soup" + 60 * ".")
    expect(stage.worker("worker-1").locator("[data-place='dispatched']")).to_contain_text("Soup")
    card = stage.worker("worker-1")
    height = card.evaluate("card => card.offsetHeight")
    card.evaluate(
        """card => new MutationObserver(() => { window.workqKept = card.offsetHeight; })
            .observe(card, {attributes: true, attributeFilter: ["data-ending"]})"""
    )
    stage.press("kill", "worker-1")
    told = "worker-1 was killed: Stew and Soup went back to hello"
    expect(stage.root.locator(".workq-story-line[data-mark='kill']")).to_contain_text(told)
    expect(stage.root.locator(".workq-summary")).to_contain_text(told)
    expect(stage.message("Stew", "waiting")).to_contain_text("back from worker-1")
    assert stage.page.evaluate("() => window.workqKept") >= height
    stage.screenshot("stage-killed")
    mark = stage.root.locator(".workq-scrubber-mark")
    expect(mark).to_have_count(1)
    expect(mark).to_have_attribute("aria-label", re.compile(rf"^\d+\.\d s: {told}$"))
    mark.focus()
    stage.page.keyboard.press("Enter")
    expect(stage.root).to_have_attribute("data-mode", "paused")
    stage.expect_worker("worker-1", "killed")
    expect(stage.message("Soup", "waiting")).to_be_visible()
    stage.screenshot("stage-marked")
    assert violations(stage.page, ".workq-stage") == []


def test_a_comparison_has_its_experiment_replayed_and_a_sentence_points_to_a_moment(lab: Lab) -> None:
    cells = [*lesson_cells(lab.name)[:2], _PREDICT, _EXPERIMENT, 'compare(lesson, "five orders")', ""]
    notebook = lab.open(lab.write(cells))
    notebook.run_all()
    assert notebook.errors() == []
    stage = Stage(notebook)
    stage.field("speed").select_option("4")
    notebook.page.get_by_role("link", name="Replay this experiment on the stage").click()
    expect(stage.root).to_have_attribute("data-mode", "replaying")
    expect(stage.root).to_have_attribute("data-mode", "paused")
    stage.expect_end_count("done", 5)
    notebook.set_source(5, "print(lesson.stage.at(0))")
    notebook.run(5)
    expect(stage.root).to_have_attribute("data-mode", "paused")
    stage.expect_end_count("done", 0)
    assert "nothing had happened yet" in str(notebook.outputs(5))
    stage.press("live")
    expect(stage.root).to_have_attribute("data-mode", "live")


def test_widgets_keep_nobody_out(lab: Lab) -> None:
    cells = [*lesson_cells(lab.name)[:1], _PREDICT, _EXPERIMENT, 'compare(lesson, "five orders")', "lesson.timeline()"]
    notebook = lab.open(lab.write(cells))
    notebook.run_all()
    assert notebook.errors() == []
    for theme in ("light", "dark"):
        notebook.set_theme(theme)
        assert violations(notebook.page, ".jp-Notebook .jp-Cell-outputArea") == []
        notebook.screenshot(f"widgets-{theme}")
