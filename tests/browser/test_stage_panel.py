"""The stage beside the notebook: one panel a lesson, which stays, and the way back where it was closed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import Stage, lesson_cells, open_stage
from tests.browser.test_notebooks import NOTEBOOKS
from tests.browser.test_stage_access import TWO_WORKERS
from tests.browser.test_stage_life import works
from workq_helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("calm")

PANEL = "#workq-stage-panel"


def closes(stage: Stage) -> None:
    """Close the panel as a person does."""
    stage.page.get_by_title("Close Stage", exact=True).click()
    expect(stage.page.locator(PANEL)).to_have_count(0)


def test_it_stands_beside_the_notebook_stays_while_one_scrolls_and_leaves_jupyterlab_with_the_notebook(
    lab: Lab,
) -> None:
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
    stage.field("task").click()
    stage.page.locator(PANEL).click(position={"x": 3, "y": 3})
    assert stage.page.evaluate("() => jupyterapp.shell.currentWidget.context?.path") == stage.notebook.path


def test_a_cell_run_again_keeps_the_panel_and_one_that_was_closed_leaves_the_stage_in_its_cell_with_a_way_back(
    lab: Lab,
) -> None:
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
    closes(stage)
    stage.notebook.show(1)
    expect(stage.page.locator(".jp-NotebookPanel .workq-stage")).to_be_visible()
    stage.expect_alive()
    stage.screenshot("panel-closed")
    stage.notebook.run(1)
    expect(stage.page.locator(".jp-NotebookPanel .workq-stage")).to_be_visible()
    stage.page.get_by_role("button", name="Show the stage beside the notebook").click()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    works(stage, "It works beside it again.")


def test_the_list_of_files_makes_room_for_it_where_the_window_is_a_laptop_s(lab: Lab) -> None:
    stage = open_stage(lab, beside=False)
    stage.notebook.show(1)
    try:
        for width, makes_room in ((1600, False), (1280, True)):
            stage.notebook.resize(width, 900)
            stage.notebook.script("() => jupyterapp.shell.expandLeft()")
            stage.page.get_by_role("button", name="Show the stage beside the notebook").click()
            expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
            assert stage.page.evaluate("() => jupyterapp.shell.leftCollapsed") == makes_room
            closes(stage)
    finally:
        stage.notebook.script("() => jupyterapp.shell.collapseLeft()")


@pytest.mark.nightly
def test_a_reloaded_page_has_the_stage_beside_the_notebook_again(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.save()
    stage.notebook.load()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    stage.expect_alive()
    works(stage)


def test_a_panel_that_is_closed_after_a_reload_without_saving_has_a_way_back(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.load()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    closes(stage)
    stage.screenshot("panel-closed-after-reload")
    stage.page.get_by_role("button", name="Show the stage beside the notebook").click()
    expect(stage.page.locator(f"{PANEL} .workq-stage")).to_have_count(1)
    expect(stage.page.get_by_role("button", name="Show the stage beside the notebook")).to_have_count(0)
    works(stage)


def test_before_anything_ran_the_panel_says_what_to_do(lab: Lab) -> None:
    notebook = lab.open(lab.write(lesson_cells(lab.name)))
    panel = notebook.page.locator(PANEL)
    expect(panel).to_contain_text("press Shift+Enter")
    notebook.screenshot("panel-invites")
    notebook.run_all()
    expect(panel.locator(".workq-stage")).to_have_count(1)


def saved(stage: Stage) -> str:
    """The notebook's file."""
    return (stage.notebook.server.root / stage.notebook.path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "beside", [pytest.param(True, id="beside"), pytest.param(False, id="below", marks=pytest.mark.nightly)]
)
def test_ctrl_s_on_the_stage_saves_the_notebook(lab: Lab, beside: bool) -> None:
    stage = open_stage(lab, beside=beside)
    stage.notebook.set_source(2, "# to be kept")
    stage.field("task").click()
    stage.page.keyboard.press("ControlOrMeta+s")
    assert wait_until(lambda: "# to be kept" in saved(stage), 30)
    expect(stage.field("task")).to_be_focused()


def test_a_second_cell_offers_a_view_of_its_own_and_a_notebook_that_is_closed_takes_the_panel_along(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.set_source(2, "lesson.stage")
    stage.notebook.run(2)
    expect(stage.page.locator(".workq-elsewhere").get_by_role("button", name="Show it here")).to_have_count(2)
    expect(stage.root).to_have_count(1)
    stage.page.get_by_role("button", name="Show it here").last.click()
    expect(stage.root).to_have_count(2)
    stage.notebook.close()
    expect(stage.page.locator(PANEL)).to_have_count(0)


#: A window in which the panel is a little less than 600 pixels wide and 900 high.
WINDOW = (1280, 985)


#: Whether workers stand beside their queue, and what sticks out of its column.
_BESIDE_AND_WHOLE = """root => {
    const box = element => element.getBoundingClientRect();
    const columns = [...root.querySelectorAll(".workq-column")];
    const [queue, workers] = [".workq-queue-column", ".workq-worker-column"].map(name => box(root.querySelector(name)));
    const out = columns.flatMap(column => [...column.querySelectorAll("*")]
        .filter(each => box(each).width > 0 && box(each).right > box(column).right + 1).map(each => each.outerHTML));
    const cut = [...root.querySelectorAll(".workq-worker .workq-name")]
        .filter(name => name.scrollWidth > name.clientWidth).map(name => name.outerHTML);
    return [queue.right < workers.left, [...out, ...cut]];
}"""


def start(workers: int, waiting: int) -> str:
    """Busy workers, and a queue with so many more tasks."""
    return (
        f"lesson.start_workers({workers}, callback, queue='hello', prefetch_count=1)\n"
        f"orders = [f'Order {{n}}' + 60 * '.' for n in range({workers + waiting})]\n"
        "lesson.start_publisher(orders, queue='hello').wait()"
    )


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_two_busy_workers_and_a_queue_of_ten_fit_without_scrolling(lab: Lab, theme: str) -> None:
    stage = open_stage(lab, seconds_per_dot=60, before_stage=start(2, 10))
    stage.notebook.resize(*WINDOW)
    stage.notebook.set_theme(theme)
    expect(stage.message(place="waiting")).to_have_count(10)
    expect(stage.message(place="working")).to_have_count(2)
    panel = stage.page.locator(PANEL)
    size = panel.bounding_box()
    assert size is not None
    assert size["width"] <= 600
    assert size["height"] <= 900
    assert panel.evaluate(
        "panel => [panel.scrollHeight - panel.clientHeight, panel.scrollWidth - panel.clientWidth]"
    ) == [0, 0]
    tops = stage.root.locator(".workq-player > *").evaluate_all(
        "all => all.map(one => { const box = one.getBoundingClientRect(); return (box.top + box.bottom) / 2; })"
    )
    assert max(tops) - min(tops) < 6  # in one row
    expect(stage.root.locator(".workq-console:visible")).to_have_count(0)
    stage.screenshot(f"panel-two-workers-{theme}")
    stage.notebook.script("() => jupyterapp.shell.expandLeft()")  # the files, as a first visit has them
    try:
        stage.notebook.resize(1280, 800)
        expect(stage.root).to_be_visible()
        assert stage.root.evaluate("root => root.clientWidth") < 480
        assert stage.root.evaluate(_BESIDE_AND_WHOLE) == [True, []]
        stage.screenshot(f"panel-laptop-{theme}")
    finally:
        stage.notebook.script("() => jupyterapp.shell.collapseLeft()")


def test_what_grows_beyond_the_panel_moves_nothing_aside(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.notebook.resize(*WINDOW)
    panel = stage.page.locator(PANEL)
    before = panel.evaluate("panel => [panel.clientWidth, panel.scrollHeight - panel.clientHeight]")
    assert before[1] == 0
    for number in range(1, 9):
        stage.press("add_worker")
        stage.expect_worker(f"worker-{number}", "idle")
    assert wait_until(lambda: panel.evaluate("panel => panel.scrollHeight > panel.clientHeight"), 30)
    assert panel.evaluate("panel => panel.clientWidth") == before[0]


def test_a_queue_s_button_does_not_shorten_its_name(lab: Lab) -> None:
    declare = "with lesson.connect() as connection:\n    connection.channel().queue_declare(queue='task_queue')\n"
    stage = open_stage(lab, before_stage=declare)
    stage.notebook.script("() => jupyterapp.shell.expandLeft()")  # the files, as a first visit has them
    try:
        stage.notebook.resize(1280, 900)
        assert wait_until(lambda: stage.root.evaluate("root => root.clientWidth") < 480, 30)
        name = stage.queue("task_queue").locator(".workq-name")
        assert name.evaluate("name => name.scrollWidth - name.clientWidth") == 0
        boxes = [each.bounding_box() for each in (name, stage.queue("task_queue").locator("[data-do='purge']"))]
        words, button = (box for box in boxes if box is not None)
        assert words["x"] + words["width"] <= button["x"] or words["y"] + words["height"] <= button["y"]
    finally:
        stage.notebook.script("() => jupyterapp.shell.collapseLeft()")


@pytest.mark.parametrize("workers", [pytest.param(9, marks=pytest.mark.nightly), 50])
def test_many_workers_and_their_queue_are_seen_together(lab: Lab, workers: int) -> None:
    stage = open_stage(lab, seconds_per_dot=60, before_stage=start(workers, 10))
    stage.notebook.resize(*WINDOW)
    expect(stage.root.locator(".workq-worker")).to_have_count(workers)
    expect(stage.message(place="waiting")).to_have_count(10)
    for seen in (stage.worker("worker-1"), stage.worker(f"worker-{workers}"), stage.message(place="waiting").last):
        expect(seen).to_be_in_viewport(ratio=1)
    kill = stage.worker(f"worker-{workers}").locator("[data-do='kill']")
    kill.focus()
    expect(kill).to_be_in_viewport(ratio=1)
    stage.screenshot(f"panel-{workers}-workers")
    stage.page.keyboard.press("Enter")
    stage.expect_worker(f"worker-{workers}", "killed")


def test_a_worker_that_ended_is_a_line_that_says_what_it_dropped(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=60, before_stage=start(2, 0))
    expect(stage.message(place="working")).to_have_count(2)
    stage.press("kill", "worker-1")
    expect(stage.worker("worker-1").locator(".workq-dropped")).to_contain_text("gave back Order 0")
    # It has its room for a while.
    assert wait_until(lambda: (stage.worker("worker-1").bounding_box() or {"height": 999})["height"] < 40, 30)


def test_a_long_name_and_much_that_was_dropped_are_not_cut_off(lab: Lab) -> None:
    name = "the-cook-of-the-night-shift-in-the-kitchen-of-the-harbor"
    start = f"lesson.start_worker(callback, queue='hello', name={name!r})\n"
    orders = "lesson.start_publisher([f'Order number {n}' + 60 * '.' for n in range(4)], queue='hello').wait()"
    stage = open_stage(lab, seconds_per_dot=60, before_stage=start + orders)
    stage.notebook.resize(*WINDOW)
    expect(stage.message(place="dispatched")).to_have_count(3)
    card = stage.worker(name)
    expect(card.locator(".workq-state")).to_be_in_viewport(ratio=1)
    stage.press("kill", name)
    dropped = card.locator(".workq-dropped")
    expect(dropped).to_contain_text("gave back Order number 0, Order number 1, Order number 2, Order number 3")
    assert dropped.evaluate("text => [text.scrollWidth - text.clientWidth, text.scrollHeight - text.clientHeight]") == [
        0,
        0,
    ]
    expect(card.locator(".workq-state")).to_be_in_viewport(ratio=1)
    whole = stage.root.locator(".workq-worker .workq-name, .workq-back")
    expect(whole).to_have_count(5)
    assert not whole.evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.outerHTML)"
    )
    stage.screenshot("panel-long-name")


def test_in_the_first_minute_a_task_comes_back_from_a_killed_worker(lab: Lab) -> None:
    notebook = lab.open(lab.copy(NOTEBOOKS[0]))
    stage = Stage(notebook)
    expect(notebook.page.locator(PANEL)).to_contain_text("press Shift+Enter")
    code = notebook.script(
        "() => [...panel().content.model.cells].map((cell, at) => cell.type === 'code' ? at : -1).filter(at => at >= 0)"
    )
    first = notebook.script("index => panel().content.model.cells.get(index).sharedModel.getSource()", code[0])
    notebook.set_source(code[0], 'import os\nos.environ["WORKQ_SECONDS_PER_DOT"] = "1"\n' + first)
    for index in code[:2]:
        notebook.run(index)
    assert notebook.errors() == []
    stage.expect_alive()
    shown = stage.root.locator("[data-do]:visible, input:visible, select:visible")
    assert shown.evaluate_all("all => all.map(one => one.dataset.do ?? one.dataset.field)") == [
        "task",
        "send",
        "add_worker",
    ]
    stage.screenshot("lesson-00-first")
    for _ in range(3):
        stage.press("send")
    stage.press("add_worker")
    expect(stage.message(place="working")).to_have_count(1)
    stage.press("kill", "worker-1")
    expect(stage.message(place="waiting")).not_to_have_count(0)
    stage.screenshot("lesson-00-killed")
    stage.press("add_worker")
    expect(stage.message(place="working")).to_contain_text("redelivered")
    stage.expect_end_count("done", 3)
    stage.page.get_by_role("button", name="All controls").click()
    expect(stage.button("purge")).to_be_visible()
