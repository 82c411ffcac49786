"""The stage lives while a cell runs: its controls act at once, and nothing pressed lands where it was not meant."""

from __future__ import annotations

import itertools
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import SECONDS, Stage, open_stage
from tests.browser.test_stage_access import TWO_WORKERS
from tests.support import need
from workq_helpers import Broker

if TYPE_CHECKING:
    from playwright.sync_api import Locator

#: How long a control may take to act, in seconds.
ACTS_SECONDS = 0.3

#: Milliseconds from a click on a button, or what else one does to a control, to the first frame that shows something
#: else than before it.
_ACT_AND_MEASURE = """control => new Promise(resolve => {
    const root = control.closest(".workq-stage");
    const shown = () => %s;
    const before = shown();
    const clicked = performance.now();
    new MutationObserver((_, observer) => {
        if (shown() === before) return;
        observer.disconnect();
        resolve(performance.now() - clicked);
    }).observe(root, {subtree: true, childList: true, attributes: true, characterData: true});
    setTimeout(resolve, 60000, Infinity); // nothing was shown
    %s;
})"""
_CLICK = "control.click()"
_CLICK_TWICE = "control.click(), control.click()"
_DRAG_TO_THE_BEGINNING = "control.value = 0, control.dispatchEvent(new Event('input', {bubbles: true}))"

#: The same from the moment at which RabbitMQ is up.
_WHEN_UP = """async control => {
    const root = control.closest(".workq-stage");
    await new Promise(resolve => {
        const look = () => %s === "up" && resolve();
        new MutationObserver(look).observe(root, {subtree: true, attributes: true});
        look();
    });
    return (%s)(control);
}"""

#: What shows that a control has acted.
_STATE = "root.querySelector(\".workq-worker[data-worker='{worker}']\")?.dataset.state"
_WORKERS = "root.querySelectorAll('.workq-worker').length"
_PUBLISHED = "root.querySelector(\"[data-count='published']\").textContent"
_READY = "root.querySelector(\"[data-count='ready-log']\").textContent"
_MODE = "root.dataset.mode"
_BROKER = "root.querySelector('.workq-broker').dataset.state"
_QUESTION = "root.querySelector(\"[data-do='start_over']\").textContent"
_FORMS = "root.querySelectorAll('.workq-declare-form').length"


#: So that a queue can be declared again.
_DELETES_THE_QUEUE = """
if Path({asked!r}).exists():
    Path({asked!r}).unlink()
    with lesson.connect() as connection:
        connection.channel().queue_delete(queue="hello")"""


class Measured:
    """Presses the controls of a stage, and keeps how long each took to act, in milliseconds."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.took: dict[str, list[float]] = defaultdict(list)

    def press(self, do: str, shows: str, worker: str = "") -> None:
        where = self._stage.worker(worker) if worker else self._stage.root
        self._act(do, where.locator(f"[data-do='{do}']").first, shows.format(worker=worker), _CLICK)

    def seek(self) -> None:
        self._act("seek", self._stage.field("seconds"), _MODE, _DRAG_TO_THE_BEGINNING)

    def take_down(self, do: str) -> None:
        """Restart or crash RabbitMQ as soon as it is up, and wait until it is seen to go."""
        act = _CLICK_TWICE if do == "crash" else _CLICK  # it asks first
        self._evaluate(do, self._stage.button(do), _WHEN_UP % (_BROKER, _ACT_AND_MEASURE % (_BROKER, act)))
        expect(self._stage.broker).to_have_attribute("data-state", "down")

    def _act(self, do: str, control: Locator, shows: str, act: str) -> None:
        self._evaluate(do, control, _ACT_AND_MEASURE % (shows, act))

    def _evaluate(self, do: str, control: Locator, script: str) -> None:
        self.took[do].append(float(control.evaluate(script)))

    def slow(self) -> dict[str, list[float]]:
        """What took too long, each time: what waits for a cell waits each time, a busy machine does not."""
        return {do: took for do, took in self.took.items() if min(took) > 1000 * ACTS_SECONDS}


def release_of(lab: Lab) -> Path:
    """A file that what runs in the kernel waits for."""
    return lab.server.root / f"{lab.name}.release"


def waits_for(file: Path) -> str:
    return f"import time\nfrom pathlib import Path\nwhile not Path({str(file)!r}).exists():\n    time.sleep(0.05)"


def begin_a_cell_that_waits(lab: Lab, stage: Stage, meanwhile: str = "") -> Path:
    """Return the file that it waits for.

    Args:
        meanwhile: What it does each time that it looks for it.
    """
    release = release_of(lab)
    stage.notebook.set_source(2, waits_for(release) + textwrap.indent(meanwhile, "    "))
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


def test_each_control_acts_within_its_time_while_a_cell_runs(lab: Lab) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    notebook = stage.notebook
    asked = lab.server.root / f"{lab.name}.delete"
    release = begin_a_cell_that_waits(lab, stage, _DELETES_THE_QUEUE.format(asked=str(asked)))
    measured = Measured(stage)
    for latest in (4, 6, 8):
        press_each_control(stage, measured, latest)
    measured.press("start_over", _QUESTION)
    stage.press("start_over")
    expect(stage.root.locator(".workq-worker")).to_have_count(0)
    for _ in range(3):
        asked.touch()
        expect(stage.button("declare")).to_be_visible()
        measured.press("declare", _FORMS)
        expect(stage.queue()).to_be_visible()
    expect(stage.root.locator("[data-waiting]")).to_have_count(0)
    assert notebook.runs(2)
    release.touch()
    notebook.wait_until_done()
    assert measured.slow() == {}, measured.took


def test_rabbitmq_goes_down_within_its_time_right_after_it_came_up(lab: Lab, broker: Broker) -> None:
    need(broker.ours, "only a broker of the course's own is restarted")
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    release = begin_a_cell_that_waits(lab, stage)
    stage.record()
    measured = Measured(stage)
    for do in ("restart", "restart", "crash", "crash", "restart", "crash"):
        measured.take_down(do)
    expect(stage.broker).to_have_attribute("data-state", "up")
    assert measured.slow() == {}, measured.took
    states = stage.states_of_broker()
    assert "coming back" not in {after for before, after in itertools.pairwise(states) if before != "down"}, states
    release.touch()
    stage.notebook.wait_until_done()


def test_rabbitmq_is_restarted_and_crashed_while_a_cell_runs_and_tells_its_steps(lab: Lab, broker: Broker) -> None:
    need(broker.ours, "only a broker of the course's own is restarted")
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    release = begin_a_cell_that_waits(lab, stage)
    story = stage.root.locator(".workq-story")
    for do, told in (("restart", "RabbitMQ was told to restart"), ("crash", "RabbitMQ was made to crash")):
        stage.press(do)
        if do == "crash":
            expect(stage.button(do)).to_have_text("Press again to crash RabbitMQ")
            expect(stage.broker).to_have_attribute("data-state", "up")
            stage.press(do)
        expect(stage.broker).not_to_have_attribute("data-state", "up")
        expect(story).to_contain_text(told)
        expect(stage.broker).to_have_attribute("data-state", "up")
        for worker in ("worker-1", "worker-2"):
            stage.expect_worker(worker, "idle")
        expect(story).to_contain_text("connected again")
    stage.send("After both.")
    expect(stage.message("After both.", "done")).to_be_visible()
    assert stage.notebook.runs(2)
    release.touch()
    stage.notebook.wait_until_done()
    assert stage.notebook.errors() == []


def press_each_control(stage: Stage, measured: Measured, latest: int) -> None:
    """Press each but those that end everything.

    Args:
        stage: With two workers that are alive.
        measured: What presses them.
        latest: The number of the second of two workers that are added.
    """
    for worker in ("worker-1", "worker-2"):
        measured.press("freeze", _STATE, worker)
        stage.expect_worker(worker, "frozen")
    measured.press("five", _PUBLISHED)
    stage.expect_count("ready-log", 3)
    measured.press("many", _READY)
    stage.expect_count("ready-log", 23)
    measured.press("purge", _READY)
    stage.expect_count("ready-log", 0)
    for worker in ("worker-1", "worker-2"):
        measured.press("thaw", _STATE, worker)
        stage.expect_worker(worker, "idle", "busy")
    for do, number, state in (("stop", latest - 1, "stopped"), ("kill", latest, "killed")):
        measured.press("add_worker", _WORKERS)
        stage.expect_worker(f"worker-{number}", "idle", "busy")
        measured.press(do, _STATE, f"worker-{number}")
        stage.expect_worker(f"worker-{number}", state)
    stage.field("task").fill(f"Soup {latest}.")
    measured.press("send", _PUBLISHED)
    expect(stage.message(f"Soup {latest}.", "done")).to_be_visible()
    measured.press("pause", _MODE)
    measured.press("step", "root.querySelector('.workq-events').textContent")
    measured.press("live", _MODE)
    expect(stage.root).to_have_attribute("data-mode", "live")
    measured.seek()
    measured.press("play", _MODE)
    stage.press("live")
    expect(stage.root).to_have_attribute("data-mode", "live")


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
