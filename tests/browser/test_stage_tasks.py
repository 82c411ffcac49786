"""Tasks on the stage: sent, worked on, redelivered, lost, and whatever their bodies hold."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab
from tests.browser.stage import open_stage

ONE_WORKER = 'worker = lesson.start_worker(callback, queue="hello", prefetch_count=1)\n'
TWO_WORKERS = 'workers = lesson.start_workers(2, callback, queue="hello", prefetch_count=1)\n'
AUTO_ACK_WORKER = 'worker = lesson.start_worker(callback_without_ack, queue="hello", auto_ack=True)\n'

HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_task_is_sent_by_keyboard_and_seen_to_its_end(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=0.3, before_stage=ONE_WORKER)
    stage.record()
    stage.send_by_keyboard("Second message.....")
    expect(stage.message("Second message", "done")).to_be_visible()
    assert stage.journey("Second message")[-2:] == ["worker-1 working", "done"]
    stage.expect_worker("worker-1", "idle")  # its callback returns a moment after its ack
    assert stage.states_of("worker-1") == ["idle", "busy", "idle"]
    expect(stage.console("worker-1")).to_contain_text("[*] Waiting for messages.")
    expect(stage.console("worker-1")).to_contain_text("[x] Received Second message..... [x] Done")
    expect(stage.done_by("worker-1")).to_have_text("1")
    stage.expect_end_count("done", 1)
    stage.expect_counts(ready=0, unacknowledged=0)
    stage.screenshot("stage-light")
    stage.notebook.set_theme("dark")
    stage.screenshot("stage-dark")


def test_what_waits_and_what_is_held_is_counted_by_broker_and_log_and_a_worker_freezes_thaws_and_stops(
    lab: Lab,
) -> None:
    stage = open_stage(lab, before_stage=TWO_WORKERS)
    for worker in ("worker-1", "worker-2"):
        stage.press("freeze", worker)
        stage.expect_worker(worker, "frozen")
    stage.press("five")
    stage.expect_counts(ready=3, unacknowledged=2)
    expect(stage.message(place="waiting")).to_have_count(3)
    stage.screenshot("stage-frozen")
    for worker in ("worker-1", "worker-2"):
        stage.press("thaw", worker)
    stage.expect_end_count("done", 5)
    stage.expect_counts(ready=0, unacknowledged=0)
    broker = stage.notebook.evaluate("list(lesson.queue_counts()['hello'][:2])")
    log = stage.notebook.evaluate("list(lesson.ledger().queues()['hello'])")
    assert broker == log == [0, 0]
    stage.press("stop", "worker-2")
    stage.expect_worker("worker-2", "stopped")
    stage.press("freeze", "worker-1")
    stage.expect_worker("worker-1", "frozen")
    stage.send("Stuck...")
    expect(stage.worker("worker-1").locator(".workq-message")).to_contain_text("Stuck...")
    stage.expect_counts(ready=0, unacknowledged=1)
    stage.press("thaw", "worker-1")
    expect(stage.message("Stuck...", "done")).to_be_visible()
    stage.press("stop", "worker-1")
    stage.expect_worker("worker-1", "stopped")
    expect(stage.console("worker-1")).to_contain_text("[x] Done")
    stage.send("Nobody takes this.")
    expect(stage.message("Nobody takes this.", "waiting")).to_be_visible()
    stage.expect_counts(ready=1, unacknowledged=0)
    assert stage.notebook.evaluate("lesson.worker('worker-1').state") == "stopped"


def test_a_task_that_dies_with_its_auto_ack_worker_is_lost_by_name(lab: Lab) -> None:
    stage = open_stage(lab, seconds_per_dot=1.0, before_stage=AUTO_ACK_WORKER)
    stage.send("Precious task" + 60 * ".")
    expect(stage.message("Precious task", "working")).to_be_visible()
    stage.expect_counts(ready=0, unacknowledged=0)
    stage.press("kill", "worker-1")
    expect(stage.message("Precious task", "lost")).to_be_visible()
    stage.expect_end_count("lost", 1)
    stage.expect_worker("worker-1", "killed")
    stage.screenshot("stage-lost")


def test_workers_are_added_from_the_form_and_start_over_begins_with_nothing(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.field("auto_ack").select_option("false")
    stage.field("prefetch_count").fill("3")
    stage.press("add_worker")
    stage.expect_worker("worker-1", "idle")
    expect(stage.worker("worker-1")).to_contain_text("manual ack · prefetch 3")
    stage.field("auto_ack").select_option("true")
    stage.press("add_worker")
    stage.expect_worker("worker-2", "idle")
    expect(stage.worker("worker-2")).to_contain_text("auto ack")
    stage.press("five")
    stage.expect_end_count("done", 5)
    expect(stage.console("worker-1")).to_contain_text("[x] Received First message. [x] Done")
    added = "[[worker.auto_ack, worker.prefetch_count, worker.finished] for worker in lesson.workers]"
    assert [row[0] for row in stage.notebook.evaluate(added)] == [False, True]
    assert stage.notebook.evaluate(added)[0][1:] == [3, 3]
    stage.screenshot("stage-two-kinds-of-worker")
    stage.press("start_over")
    expect(stage.button("start_over")).to_contain_text("again")
    assert stage.notebook.evaluate("len(lesson.workers)") == 2
    stage.press("start_over")
    expect(stage.root.locator(".workq-worker")).to_have_count(0)
    expect(stage.message()).to_have_count(0)
    stage.expect_end_count("done", 0)
    stage.expect_alive()
    stage.expect_counts(ready=0, unacknowledged=0)
    stage.press("add_worker")
    stage.expect_worker("worker-1", "idle")
    stage.send("After the start.")
    expect(stage.message("After the start.", "done")).to_be_visible()


def test_a_queue_is_purged_and_many_tasks_are_sent_with_their_dots_and_rate(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.press("five")
    stage.expect_counts(ready=5, unacknowledged=0)
    stage.press("purge")
    stage.expect_counts(ready=0, unacknowledged=0)
    stage.expect_end_count("discarded", 5)
    expect(stage.message(place="waiting")).to_have_count(0)
    expect(stage.root.locator(".workq-notice[data-level='info']")).to_contain_text("5")
    stage.root.locator(".workq-many > summary").click()
    stage.field("count").fill("40")
    stage.field("dots").fill("2")
    stage.field("rate").fill("100")
    stage.press("many")
    stage.expect_counts(ready=40, unacknowledged=0)
    waiting = stage.message(place="waiting")
    assert 0 < waiting.count() <= 12
    expect(waiting.first).to_contain_text("..")
    expect(stage.queue()).to_contain_text(f"+ {40 - waiting.count()} more")
    sent = "[event.task for event in lesson.log if event.kind == 'published']"
    assert [task.count(".") for task in stage.notebook.evaluate(sent)[5:]] == 40 * [2]
    stage.screenshot("stage-backlog")


def test_a_queue_is_declared_where_there_is_none(lab: Lab) -> None:
    stage = open_stage(lab, before_stage="lesson = Lesson(lesson.name)\n")
    for do in ("send", "five", "add_worker"):
        expect(stage.button(do)).to_have_attribute("aria-disabled", "true")
    stage.field("queue").fill("mine")
    stage.field("durable").check()
    stage.press("declare")
    expect(stage.queue("mine")).to_contain_text("durable")
    stage.send("The first.")
    expect(stage.message("The first.", "waiting")).to_be_visible()
    stage.expect_counts(ready=1, unacknowledged=0, queue="mine")


def test_hostile_bodies_are_text(lab: Lab) -> None:
    stage = open_stage(lab)
    stage.send(HOSTILE)
    expect(stage.message(HOSTILE, "waiting")).to_be_visible()
    stage.notebook.set_source(2, f'lesson.start_publisher("{HOSTILE}" + 1_000_000 * "x", queue="hello").wait()')
    stage.notebook.run(2)
    stage.expect_counts(ready=2, unacknowledged=0)
    lengths = stage.message(place="waiting").evaluate_all("all => all.map(one => one.textContent.length)")
    assert len(lengths) == 2
    assert max(lengths) < 300
    stage.press("add_worker")
    stage.expect_end_count("done", 2)
    expect(stage.console("worker-1")).to_contain_text(HOSTILE)
    assert len(stage.console("worker-1").inner_text()) < 2000
    expect(stage.root.locator("img")).to_have_count(0)
    stage.expect_alive()
    stage.screenshot("stage-hostile")
