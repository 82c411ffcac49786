"""The stage beside the notebook: one panel a lesson, which stays, and the way back where it was closed."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import Stage, lesson_cells, open_stage
from tests.browser.test_stage_access import TWO_WORKERS
from tests.browser.test_stage_life import works

PANEL = "#workq-stage-panel"


def closes(stage: Stage) -> None:
    """Close the panel as a person does."""
    stage.page.get_by_title("Close Stage", exact=True).click()
    expect(stage.page.locator(PANEL)).to_have_count(0)


def test_it_stands_beside_the_notebook_and_stays_while_one_scrolls(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    notebook, panel = (stage.page.locator(where).bounding_box() for where in (".jp-NotebookPanel", PANEL))
    assert notebook is not None
    assert panel is not None
    assert panel["x"] >= notebook["x"] + notebook["width"] - 1
    assert abs(panel["width"] - notebook["width"]) < 60
    root = stage.root.bounding_box()
    assert root is not None
    assert root["width"] > panel["width"] - 40
    stage.notebook.show(2)
    expect(stage.root).to_be_in_viewport()
    works(stage)
    stage.screenshot("panel-beside")


def test_a_cell_run_again_and_a_lesson_opened_again_keep_the_panel(lab: Lab) -> None:
    stage = open_stage(lab)
    panel = stage.page.locator(PANEL)
    panel.evaluate("panel => { panel.isTheFirst = true; }")
    stage.notebook.run(1)
    stage.notebook.run_all()
    assert stage.notebook.errors() == []
    stage.expect_alive()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    assert panel.evaluate("panel => panel.isTheFirst")
    works(stage)


def test_a_panel_that_was_closed_leaves_the_stage_in_its_cell_with_a_way_back(lab: Lab) -> None:
    stage = open_stage(lab)
    closes(stage)
    stage.notebook.show(1)
    expect(stage.page.locator(".jp-NotebookPanel .workq-stage")).to_be_visible()
    stage.expect_alive()
    stage.screenshot("panel-closed")
    stage.notebook.run(1)
    expect(stage.page.locator(".jp-NotebookPanel .workq-stage")).to_be_visible()
    stage.page.get_by_role("button", name="Show the stage beside the notebook").click()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    works(stage)


def test_a_reloaded_page_has_the_stage_beside_the_notebook_again(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.save()
    stage.notebook.load()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    stage.expect_alive()
    works(stage)


def test_a_notebook_that_is_closed_takes_the_panel_along(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.close()
    expect(stage.page.locator(PANEL)).to_have_count(0)


def test_before_anything_ran_the_panel_says_what_to_do(lab: Lab) -> None:
    notebook = lab.open(lab.write(lesson_cells(lab.name)))
    panel = notebook.page.locator(PANEL)
    expect(panel).to_contain_text("press Shift+Enter")
    notebook.screenshot("panel-invites")
    notebook.run_all()
    expect(panel.locator(".workq-stage")).to_have_count(1)


def test_a_second_cell_that_shows_the_stage_offers_a_view_of_its_own(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.set_source(2, "lesson.stage")
    stage.notebook.run(2)
    expect(stage.page.locator(".workq-elsewhere").get_by_role("button", name="Show it here")).to_have_count(2)
    expect(stage.root).to_have_count(1)
    stage.page.get_by_role("button", name="Show it here").last.click()
    expect(stage.root).to_have_count(2)
