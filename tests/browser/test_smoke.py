"""The few that run with other versions of Jupyter too: in one module, for JupyterLab is loaded once for each."""

from __future__ import annotations

import re

import nbconvert
import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import SCREENSHOTS, Lab
from tests.browser.stage import open_stage
from tests.browser.test_notebooks import NOTEBOOKS, SMOKE, run_lesson
from tests.browser.test_stage_life import ALTERNATIVE_TEXT, PICTURE, busy_stage
from tests.browser.test_stage_tasks import TWO_WORKERS

pytestmark = pytest.mark.smoke


@pytest.mark.timeout(700)
def test_a_lesson_runs_from_top_to_bottom(lab: Lab) -> None:
    run_lesson(lab, next(source for source in NOTEBOOKS if source.stem == SMOKE))


def test_the_task_of_a_killed_worker_is_redelivered_to_the_other(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=0.25, before_stage=TWO_WORKERS)
    stage.record()
    stage.send("Long task" + 20 * ".")
    expect(stage.worker("worker-1").locator(".workq-message[data-place='working']")).to_contain_text("Long task")
    stage.press("kill", "worker-1")
    stage.expect_worker("worker-1", "killed")
    redelivered = stage.worker("worker-2").locator(".workq-message[data-place='working']", has_text="Long task")
    expect(redelivered.get_by_text("redelivered")).to_be_visible()
    stage.screenshot("stage-redelivered-light")
    stage.notebook.set_theme("dark")
    stage.screenshot("stage-redelivered-dark")
    done = stage.message("Long task", "done")
    expect(done).to_be_visible()
    expect(done.get_by_text(re.compile("worked on 2\\W"))).to_be_visible()
    assert [stay for stay in stage.journey("Long task") if stay.endswith("working")] == [
        "worker-1 working",
        "worker-2 working",
    ]
    assert stage.notebook.evaluate("lesson.deliveries()['worker'].tolist()") == ["worker-1", "worker-2"]
    stage.expect_counts(ready=0, unacknowledged=0)


def test_a_saved_notebook_turned_into_html_shows_a_picture(lab: Lab) -> None:
    busy = busy_stage(lab)
    expect(busy.page.locator(PICTURE)).to_have_attribute("alt", ALTERNATIVE_TEXT)
    busy.notebook.save()
    saved = lab.server.root / busy.notebook.path
    assert "widgets" not in nbformat.read(saved, 4).metadata
    html, _ = nbconvert.HTMLExporter(embed_images=True).from_filename(saved)
    context = busy.page.context.browser.new_context(java_script_enabled=False, viewport={"width": 1100, "height": 1400})
    page = context.new_page()
    page.set_content(html)
    picture = page.locator(PICTURE)
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute("alt", ALTERNATIVE_TEXT)
    assert (picture.get_attribute("src") or "").startswith("data:image/png;base64,")
    (SCREENSHOTS / "stage-nbconvert.png").write_bytes(page.screenshot())
    context.close()
