"""The recording replayed, and the Python that each control stands for."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import Stage, open_stage, put

TWO_WORKERS = 'workers = lesson.start_workers(2, callback, queue="hello", prefetch_count=1)\n'


@pytest.fixture
def done(lab: Lab) -> Stage:
    """A stage on which two workers have done five tasks."""
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    stage.press("five")
    stage.expect_end_count("done", 5)
    return stage


def events_shown(stage: Stage) -> tuple[int, int]:
    """Return how many events the picture shows, and of how many."""
    found = re.search(r"event ([\d,]+) of ([\d,]+)", stage.root.locator(".workq-events").inner_text())
    assert found
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def test_the_recording_is_scrubbed_stepped_through_and_played_and_a_paused_picture_holds(done: Stage) -> None:
    is_scrubbed_and_stepped_through(done)
    plays_to_its_end(done)
    holds_while_the_broker_goes_on(done)


def is_scrubbed_and_stepped_through(done: Stage) -> None:
    done.field("seconds").focus()
    done.page.keyboard.press("Home")
    expect(done.root).to_have_attribute("data-mode", "paused")
    done.expect_end_count("done", 0)
    expect(done.message()).to_have_count(0)
    first, last = events_shown(done)
    assert first < last
    # By single steps every task is seen in each of its places; whichever worker's first one is done first.
    done.record()
    events = first
    while not done.message("First message.", "done").count():
        events += 1
        assert events <= last
        done.root.get_by_role("button", name="Next event").click()
        expect(done.root.locator(".workq-events")).to_have_text(f"event {events} of {last}")
    places = done.journey("First message.")
    assert [place for place in places if place in ("waiting", "worker-1 working", "done")] == [
        "waiting",
        "worker-1 working",
        "done",
    ]
    ended = int(done.end_count("done").inner_text())
    done.root.get_by_role("button", name="Previous event").click()
    done.expect_end_count("done", ended - 1)
    done.screenshot("stage-stepped")
    done.press("live")
    done.expect_end_count("done", 5)


def plays_to_its_end(done: Stage) -> None:
    done.record()
    done.field("seconds").focus()
    done.page.keyboard.press("Home")
    expect(done.root).to_have_attribute("data-mode", "paused")
    done.expect_end_count("done", 0)
    done.press("play")
    expect(done.root).to_have_attribute("data-mode", "replaying")
    done.expect_end_count("done", 5)
    done.press("live")
    expect(done.root).to_have_attribute("data-mode", "live")


def holds_while_the_broker_goes_on(done: Stage) -> None:
    done.press("pause")
    expect(done.root).to_have_attribute("data-mode", "paused")
    expect(done.root).to_contain_text(re.compile(r"Paused at \d+\.\d+ s.*RabbitMQ goes on\."))
    shown, _ = events_shown(done)
    done.send("Behind the picture.")
    done.page.wait_for_function(
        "shown => Number(document.querySelector('.workq-events').textContent.match(/of ([0-9,]+)/)[1]) > shown",
        arg=shown,
    )
    assert done.notebook.evaluate("lesson.wait_until_idle(timeout=30)") is None
    done.watch_frames(2)
    expect(done.message("Behind the picture.")).to_have_count(0)
    done.expect_end_count("done", 5)
    assert events_shown(done)[0] == shown
    done.screenshot("stage-paused")
    done.press("live")
    expect(done.root).to_have_attribute("data-mode", "live")
    expect(done.message("Behind the picture.", "done")).to_be_visible()
    done.expect_end_count("done", 6)


@pytest.mark.parametrize("beside", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_a_run_is_saved_beside_the_notebook_and_plays_in_a_browser(done: Stage, beside: bool) -> None:
    put(done, beside)
    done.root.locator(".workq-save > summary").click()
    done.root.get_by_role("button", name="Save this run", exact=True).click()
    notice = done.root.locator(".workq-notice").filter(has_text="The run is in the file")
    expect(notice).to_be_visible()
    done.screenshot(f"stage-saved-{'beside' if beside else 'inline'}")
    found = re.search(r"the file (\S+), in the folder (\S+)\. Any browser plays it", notice.inner_text())
    assert found
    file = done.notebook.server.root / found[1]
    assert file.is_file()
    context = done.page.context.browser.new_context(offline=True)
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(file.as_uri())
        page.locator("[data-field='seconds']").focus()
        page.keyboard.press("End")
        expect(page.locator(".workq-end[data-end='done'] [data-count]")).to_have_text("5")
        expect(page.locator(".workq-save")).to_be_hidden()


def test_a_saved_run_is_replayed_on_a_stage_without_levers(done: Stage) -> None:
    done.notebook.set_source(0, 'lesson.replay(lesson.save_run("replayed.json"))')
    done.notebook.run(0)
    assert done.notebook.errors() == []
    done.notebook.show(0)
    player = done.page.locator(".workq-stage[data-recorded=true]")
    player.locator("[data-field='seconds']").focus()
    done.page.keyboard.press("End")
    expect(player.locator(".workq-end[data-end='done'] [data-count]")).to_have_text("5")
    shown = player.locator("[data-do]:visible").evaluate_all("all => all.map(one => one.dataset.do)")
    assert set(shown) <= {"play", "pause", "step", "seek", "speed", "mark"}
    done.screenshot("stage-replays-a-run")


def test_every_control_has_its_python_which_does_the_same(done: Stage) -> None:
    have_their_python(done)
    show_what_does_the_same(done)


def have_their_python(done: Stage) -> None:
    done.root.locator(".workq-python > summary").click()
    done.root.locator(".workq-many > summary").click()
    done.root.locator(".workq-save > summary").click()
    explained = done.root.locator(".workq-explained code")
    for do, code in {
        "send": "lesson.start_publisher(",
        "five": 'lesson.start_publisher(["First message."',
        "many": "lesson.start_publisher((",
        "add_worker": "lesson.start_worker(callback",
        "purge": 'lesson.purge("hello")',
        "restart": "lesson.broker.restart()",
        "crash": "lesson.broker.crash()",
        "start_over": "lesson.start_over()",
        "pause": "lesson.stage.pause()",
        "live": "lesson.stage.live()",
        "save_run": "lesson.save_run(",
    }.items():
        done.button(do).focus()
        expect(explained).to_contain_text(code)
    for do in ("stop", "kill", "freeze"):
        done.worker("worker-1").locator(f"[data-do='{do}']").focus()
        expect(explained).to_have_text(f'lesson.{do}("worker-1")')
    expect(done.broker).to_have_attribute("data-state", "up")
    done.expect_end_count("done", 5)


def show_what_does_the_same(done: Stage) -> None:
    calls = done.root.locator(".workq-python code")
    expect(calls.filter(has_text='lesson.start_publisher(["First message."')).to_be_visible()
    done.worker("worker-2").locator("[data-do='kill']").hover()
    explained = calls.filter(has_text='lesson.kill("worker-2")')
    expect(explained).to_be_visible()
    done.screenshot("stage-python")
    assert done.notebook.evaluate("lesson.worker('worker-2').state") == "idle"  # shown, not done
    # Copied into a cell, it does what the button does.
    done.notebook.set_source(2, explained.inner_text())
    done.notebook.run(2)
    assert done.notebook.errors() == []
    done.expect_worker("worker-2", "killed")
    # And what the button does is listed.
    done.press("freeze", "worker-1")
    done.expect_worker("worker-1", "frozen")
    expect(calls.filter(has_text='lesson.freeze("worker-1")').first).to_be_visible()
