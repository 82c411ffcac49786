import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView, shown } from "./view.mjs";

describe("controls", () => {
  const cases = {
    send: [{ do: "send", queue: "hello", task: "Hello...", persistent: false, confirm: false }],
    five: [{ do: "five", queue: "hello", persistent: false, confirm: false }],
    many: [{ do: "many", queue: "hello", count: 20, dots: 1, rate: 0, persistent: false, confirm: false }],
    add_worker: [{ do: "add_worker", queue: "hello", auto_ack: false, prefetch_count: 1 }],
    stop: [{ do: "stop", worker: "worker-1" }],
    kill: [{ do: "kill", worker: "worker-1" }],
    freeze: [{ do: "freeze", worker: "worker-1" }],
    restart: [{ do: "restart" }],
    purge: [{ do: "purge", queue: "hello" }],
    pause: [{ do: "pause" }],
    live: [{ do: "live" }],
    step: [{ do: "step", by: -1 }],
    save_run: [{ do: "save_run" }],
  };
  for (const [name, expected] of Object.entries(cases)) {
    test(`${name} sends its command`, () => {
      const view = openView(frames.tutorial());
      view.press(`[data-do="${name}"]`);
      assert.deepEqual(view.model.take(), expected);
    });
  }

  test("commands have ids of their own", () => {
    const view = openView(frames.tutorial());
    view.press('[data-do="five"]');
    view.press('[data-do="five"]');
    const [first, second] = view.model.sent.map((one) => one.id);
    assert.ok(first && second && first !== second);
  });

  test("the forms send what was typed, with Enter too", () => {
    const view = openView(frames.tutorial());
    view.fill('[data-field="task"]', "Mine..");
    assert.match(view.text(".workq-effort"), /2 dots of work/);
    view.$('[data-field="persistent"]').checked = true;
    view.$('[data-field="confirm"]').checked = true;
    const event = view.$(".workq-send").fire("submit"); // what a browser does on Enter
    assert.equal(event.defaultPrevented, true);
    view.$('[data-field="auto_ack"]').value = "true";
    view.fill('[data-field="prefetch_count"]', "");
    view.press('[data-do="add_worker"]');
    view.fill('[data-field="count"]', "500");
    view.fill('[data-field="rate"]', "2.5");
    view.press('[data-do="many"]');
    assert.deepEqual(view.model.take(), [
      { do: "send", queue: "hello", task: "Mine..", persistent: true, confirm: true },
      { do: "add_worker", queue: "hello", auto_ack: true, prefetch_count: 0 },
      { do: "many", queue: "hello", count: 500, dots: 1, rate: 2.5, persistent: true, confirm: true },
    ]);
  });

  test("frames leave alone what is being typed", () => {
    const view = openView(frames.tutorial());
    view.$('[data-field="task"]').focus();
    view.fill('[data-field="task"]', "Half a ta");
    view.fill('[data-field="prefetch_count"]', "7");
    for (const scene of Object.values(frames.scenes)) view.show(scene());
    assert.equal(view.$('[data-field="task"]').value, "Half a ta");
    assert.equal(view.$('[data-field="prefetch_count"]').value, "7");
  });

  test("focus stays when frames come", () => {
    const view = openView(frames.tutorial());
    for (const selector of [
      '[data-worker="worker-2"] [data-do="kill"]',
      '[data-do="send"]',
      '[data-field="seconds"]',
      '[data-do="purge"]',
    ]) {
      const control = view.$(selector);
      control.focus();
      const next = frames.tutorial();
      next.workers.push(frames.worker("worker-3"));
      view.show(next);
      assert.equal(view.page.document.activeElement, control, selector);
    }
  });

  test("focus moves to the card when its worker has ended, and on when the card goes", () => {
    const view = openView(frames.tutorial());
    view.$('[data-worker="worker-1"] [data-do="kill"]').focus();
    const next = frames.tutorial();
    Object.assign(next.workers[0], { state: "killed", slots: [], busy_with: null });
    view.show(next);
    assert.equal(view.page.document.activeElement, view.$('[data-worker="worker-1"]'));
    assert.deepEqual(shown(view.$$('[data-worker="worker-1"] [data-do]')), []);
    next.workers.shift();
    view.show(next);
    assert.equal(view.page.document.activeElement, view.$(".workq-worker-column"));
  });

  test("freeze turns into thaw without a new button", () => {
    const view = openView(frames.tutorial());
    const control = view.$('[data-worker="worker-1"] [data-do="freeze"]');
    const next = frames.tutorial();
    next.workers[0].state = "frozen";
    view.show(next);
    assert.equal(control.getAttribute("data-do"), "thaw");
    assert.equal(control.getAttribute("aria-label"), "Thaw worker-1");
    control.click();
    assert.deepEqual(view.model.take(), [{ do: "thaw", worker: "worker-1" }]);
  });

  test("crash asks for a second press, and says so in its name too", () => {
    const view = openView(frames.tutorial());
    const control = view.$('[data-do="crash"]');
    control.click();
    assert.deepEqual(view.model.take(), []);
    assert.equal(control.textContent, "Press again to crash RabbitMQ");
    assert.equal(control.getAttribute("aria-label"), null);
    control.fire("focusout");
    assert.deepEqual([control.textContent, control.getAttribute("aria-label")], ["Crash", "Crash RabbitMQ"]);
    control.click();
    control.click();
    assert.deepEqual(view.model.take(), [{ do: "crash" }]);
    assert.equal(control.textContent, "Crash");
  });

  test("start over asks for a second press", () => {
    const view = openView(frames.tutorial());
    const control = view.$('[data-do="start_over"]');
    control.click();
    assert.deepEqual(view.model.take(), []);
    assert.equal(control.textContent, "Press again to start over");
    view.page.pass(3);
    view.show(frames.tutorial());
    view.page.pass(3);
    assert.equal(control.textContent, "Start over");
    control.click();
    control.fire("keydown", { key: "Escape" });
    control.click();
    assert.deepEqual(view.model.take(), []);
    control.click();
    assert.deepEqual(view.model.take(), [{ do: "start_over" }]);
    assert.equal(control.textContent, "Start over");
  });

  test("a broker that is not ours has its buttons off, and says why", () => {
    const view = openView(frames.notSteerable());
    for (const name of ["restart", "crash"]) {
      assert.equal(view.$(`[data-do="${name}"]`).getAttribute("aria-disabled"), "true");
      view.press(`[data-do="${name}"]`);
    }
    assert.deepEqual(view.model.take(), []);
    assert.match(
      shown(view.$$(".workq-why"))[0].textContent,
      /The course did not start the RabbitMQ.*unset WORKQ_BROKER_URL/,
    );
    view.show(frames.tutorial());
    assert.equal(view.$('[data-do="restart"]').getAttribute("aria-disabled"), null);
    assert.match(view.$('[data-do="restart"]').getAttribute("title"), /Stop RabbitMQ properly/);
  });

  test("an action that is off says why and sends nothing, with Enter neither", () => {
    const view = openView({ ...frames.tutorial(), actions: { send: { enabled: false, why: "RabbitMQ is down." } } });
    view.press('[data-do="send"]');
    view.$(".workq-send").fire("submit");
    assert.deepEqual(view.model.take(), []);
    assert.equal(shown(view.$$(".workq-publisher .workq-why"))[0].textContent, "RabbitMQ is down.");
  });

  test("a queue is declared while there is none", () => {
    const view = openView(frames.empty());
    assert.equal(view.$('.workq-declare [data-field="queue"]').value, "hello");
    view.fill('.workq-declare [data-field="queue"]', "task_queue");
    view.$('[data-field="durable"]').checked = true;
    view.press('[data-do="declare"]');
    assert.deepEqual(view.model.take(), [{ do: "declare", queue: "task_queue", durable: true }]);
    view.show(frames.tutorial());
    assert.equal(view.$('[data-do="declare"]'), null);
  });

  test("with several queues one is chosen for the forms", () => {
    const view = openView(frames.tutorial());
    assert.equal(view.$('[data-field="queue"]'), null);
    view.show(frames.manyQueues());
    const select = view.$('[data-field="queue"]');
    assert.deepEqual(
      select
        .$$("option")
        .map((option) => option.textContent)
        .slice(0, 2),
      ["hello", "task_queue"],
    );
    select.value = "task_queue";
    select.fire("change");
    view.show(frames.manyQueues());
    assert.equal(select.value, "task_queue");
    view.press('[data-do="five"]');
    assert.equal(view.model.take()[0].queue, "task_queue");
    view.show(frames.tutorial());
    view.press('[data-do="five"]');
    assert.equal(view.model.take()[0].queue, "hello");
  });
});
