"""The stage through a notebook's life: restarts, reloads, second tabs, re-runs, and where no widget can live."""

from __future__ import annotations

import re

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import Stage, open_stage

pytestmark = pytest.mark.usefixtures("calm")

ONE_WORKER = 'worker = lesson.start_worker(callback, queue="hello", prefetch_count=1)\n'

#: What a picture of the stage says to who can't see it.
ALTERNATIVE_TEXT = re.compile(r"RabbitMQ.*hello.*5 ready.*worker-1.*stopped.*3 done", re.DOTALL)

PICTURE = ".jp-OutputArea-output img"


@pytest.fixture
def busy(lab: Lab) -> Stage:
    return busy_stage(lab)


def busy_stage(lab: Lab) -> Stage:
    """A stage that one worker has done three tasks on, and where two more wait."""
    stage = open_stage(lab, before_stage=ONE_WORKER)
    stage.field("task").fill("Task.")
    for number in range(1, 4):
        stage.press("send")
        stage.expect_end_count("done", number)
    stage.press("stop", "worker-1")
    stage.expect_worker("worker-1", "stopped")
    stage.press("five")
    stage.expect_counts(ready=5, unacknowledged=0)
    return stage


def expect_busy(stage: Stage) -> None:
    """The picture that `busy` left."""
    stage.expect_alive()
    stage.expect_end_count("done", 3)
    stage.expect_worker("worker-1", "stopped")
    stage.expect_counts(ready=5, unacknowledged=0)
    expect(stage.message(place="waiting")).to_have_count(5)


def works(stage: Stage, task: str = "It works.") -> None:
    """A task that is sent now is seen to its end."""
    stage.press("add_worker")
    stage.send(task)
    expect(stage.message(task, "done")).to_be_visible()


def test_a_restarted_kernel_leaves_a_view_that_says_so(lab: Lab, busy: Stage) -> None:
    lab.tolerate("Canceled future|Kernel.*(restart|dead|connection)")
    busy.notebook.restart_kernel()
    busy.expect_dead()
    busy.screenshot("stage-kernel-restarted")
    busy.notebook.run_all()
    assert busy.notebook.errors() == []
    busy.expect_alive()
    works(busy)


@pytest.mark.nightly
def test_a_killed_kernel_leaves_a_view_that_says_so(lab: Lab, busy: Stage) -> None:
    lab.tolerate("Canceled future|Kernel.*(restart|dead|connection)")
    busy.notebook.kernel_process().kill()
    busy.expect_dead()
    busy.notebook.dismiss()
    busy.screenshot("stage-kernel-killed")
    busy.notebook.wait_for_kernel()
    busy.notebook.run_all()
    assert busy.notebook.errors() == []
    busy.expect_alive()
    works(busy)


def test_a_kernel_that_is_busy_or_stopped_for_a_while_comes_back(lab: Lab, busy: Stage) -> None:
    process = busy.notebook.kernel_process()
    process.suspend()
    try:
        busy.expect_dead()
    finally:
        process.resume()
    expect_busy(busy)
    works(busy)


@pytest.mark.nightly
def test_a_reloaded_page_shows_the_same(busy: Stage) -> None:
    busy.notebook.save()
    busy.notebook.load()
    busy.notebook.show(1)
    expect_busy(busy)
    works(busy)


def test_a_page_that_is_reloaded_before_the_notebook_was_saved_shows_the_same(busy: Stage) -> None:
    busy.notebook.load()
    expect_busy(busy)
    works(busy)


def test_a_notebook_closed_and_reopened_shows_the_same(busy: Stage) -> None:
    busy.notebook.close()
    busy.notebook.reopen()
    busy.notebook.show(1)
    expect_busy(busy)
    works(busy)


@pytest.mark.nightly
def test_two_tabs_stay_in_step(lab: Lab, busy: Stage) -> None:
    busy.notebook.save()
    other_notebook = lab.open(busy.notebook.path)
    other_notebook.show(1)
    other = Stage(other_notebook)
    expect_busy(other)
    works(other)
    expect(busy.message("It works.", "done")).to_be_visible()
    busy.press("pause")
    for stage in (busy, other):
        expect(stage.root).to_have_attribute("data-mode", "paused")
    other.press("live")
    for stage in (busy, other):
        expect(stage.root).to_have_attribute("data-mode", "live")
        stage.expect_end_count("done", 9)


@pytest.mark.nightly
def test_two_views_in_one_notebook_stay_in_step(busy: Stage) -> None:
    busy.notebook.set_source(2, "lesson.stage")
    busy.notebook.run(2)
    busy.page.get_by_role("button", name="Show it here").last.click()
    expect(busy.root).to_have_count(2)
    busy.root.first.locator("[data-do='pause']").click()
    for view in busy.root.all():
        expect(view).to_have_attribute("data-mode", "paused")


@pytest.mark.timeout(300)  # on a busy machine a run of a cell takes a second
@pytest.mark.parametrize("runs", [15, pytest.param(100, marks=pytest.mark.nightly)])
def test_a_cell_run_many_times_leaves_one_view_and_nothing_else(busy: Stage, runs: int) -> None:
    for _ in range(5):
        busy.notebook.run(1)
    expect_busy(busy)
    page, kernel = held_by_page(busy), busy.notebook.evaluate(HELD_BY_KERNEL)
    for _ in range(runs):
        busy.notebook.run(1)
    expect_busy(busy)
    expect(busy.page.locator(PICTURE)).to_have_count(1)
    assert busy.notebook.evaluate(HELD_BY_KERNEL) == kernel
    after = held_by_page(busy)
    assert after["comms"] == page["comms"]
    assert after["JSEventListeners"] - page["JSEventListeners"] < 10
    # A view has some hundred nodes: as many as were kept would be thousands.
    assert after["Nodes"] - page["Nodes"] < 500
    works(busy)


#: What runs of a cell must not add to.
HELD_BY_KERNEL = """{
    "threads": __import__("threading").active_count(),
    "sockets": len(__import__("psutil").Process().net_connections()),
    "comms": len(__import__("comm").get_comm_manager().comms),
    "widgets": len(__import__("ipywidgets").widgets.widget._instances),
}"""


def held_by_page(stage: Stage) -> dict[str, float]:
    """Return what the page holds, garbage aside."""
    session = stage.page.context.new_cdp_session(stage.page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return metrics | {"comms": stage.notebook.script("() => session().session.kernel._comms.size")}


def test_the_first_cell_run_again_begins_anew_in_the_same_view(busy: Stage) -> None:
    busy.notebook.run(0)
    assert busy.notebook.errors() == []
    busy.expect_alive()
    busy.expect_counts(ready=0, unacknowledged=0)
    busy.expect_worker("worker-1", "idle")
    busy.expect_end_count("done", 0)
    works(busy)


def test_a_closed_lesson_says_so(busy: Stage) -> None:
    busy.notebook.set_source(2, "lesson.close()")
    busy.notebook.run(2)
    busy.expect_dead()
    expect(busy.overlay).to_contain_text("closed")
    busy.notebook.set_source(2, "")
    busy.notebook.run_all()
    assert busy.notebook.errors() == []
    works(busy)


def test_a_notebook_reopened_without_its_kernel_shows_a_picture(lab: Lab, busy: Stage) -> None:
    picture = busy.page.locator(PICTURE)
    expect(picture).to_have_attribute("alt", ALTERNATIVE_TEXT)
    expect(picture).to_be_hidden()  # while the live view is there
    busy.notebook.close()
    lab.server.end_kernels()
    busy.notebook.reopen()
    busy.notebook.show(1)
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute("alt", ALTERNATIVE_TEXT)
    assert picture.evaluate("image => image.naturalWidth") > 300
    # JupyterLab has given up on the widget by now, and what it says of that is no use to a reader.
    expect(busy.page.get_by_text("Loading widget")).to_have_count(0)
    expect(busy.page.get_by_text("Error displaying widget", exact=False)).to_be_attached()
    expect(busy.page.get_by_text("Error displaying widget", exact=False)).to_be_hidden()
    expect(busy.page.locator(".workq-stage[data-alive='true']")).to_have_count(0)
    busy.screenshot("stage-still")


def test_an_untrusted_notebook_shows_a_picture_and_no_view(lab: Lab, busy: Stage) -> None:
    expect(busy.page.locator(PICTURE)).to_have_attribute("alt", ALTERNATIVE_TEXT)
    busy.notebook.close()
    lab.server.end_kernels()
    saved = lab.server.root / busy.notebook.path
    notebook = nbformat.read(saved, 4)
    notebook.cells[2].source = "# written by somebody else"  # its signature is not that of this file any more
    nbformat.write(notebook, saved)
    busy.notebook.reopen()
    busy.notebook.show(1)
    trusted = "() => [...panel().content.model.cells].map(cell => cell.trusted)"
    assert busy.notebook.script(trusted) == [False, False, False]
    picture = busy.page.locator(PICTURE)
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute("alt", ALTERNATIVE_TEXT)
    assert picture.evaluate("image => image.naturalWidth") > 300
    expect(busy.root).to_have_count(0)
    # Elsewhere on the page may be the names of other tests' notebooks.
    expect(busy.page.locator(".jp-NotebookPanel").get_by_text("widget", exact=False)).to_have_count(0)
    busy.screenshot("stage-untrusted")


#: Nothing that a widget says to the kernel leaves the page, until it is mended again.
_LOSE = """() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
        const text = typeof data === "string" ? data : new TextDecoder().decode(data);
        if (!text.includes("comm_msg")) send.call(this, data);
    };
    window.workqMend = () => { WebSocket.prototype.send = send; };
}"""


def test_a_command_that_does_not_reach_the_kernel_is_told(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.page.evaluate(_LOSE)
    try:
        stage.press("add_worker")
        expect(stage.root.locator(".workq-notice")).to_contain_text("The kernel has not taken what was pressed here.")
        stage.expect_alive()
        stage.screenshot("stage-command-lost")
        expect(stage.worker("worker-1")).to_have_count(0)
    finally:
        stage.page.evaluate("() => window.workqMend()")
    works(stage)
