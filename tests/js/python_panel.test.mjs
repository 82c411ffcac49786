import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

describe("the same in Python", () => {
  test("is asked for while the panel is open, once for a control", () => {
    const view = openView(frames.tutorial());
    const kill = view.$('[data-worker="worker-1"] [data-do="kill"]');
    kill.focus();
    view.page.pass(1);
    assert.deepEqual(view.model.take(), []);
    view.$(".workq-python").open = true;
    kill.fire("pointerover");
    kill.focus();
    view.page.pass(1);
    const [{ id, explain }] = view.model.sent.splice(0);
    assert.deepEqual(explain, { do: "kill", worker: "worker-1" });
    view.model.answer({ id, ok: true, code: 'lesson.kill("worker-1")' });
    assert.equal(view.text(".workq-explained code"), 'lesson.kill("worker-1")');
    kill.fire("pointerover");
    view.page.pass(1);
    assert.deepEqual(view.model.take(), []);
    view.fill('[data-field="task"]', "New.");
    view.page.pass(1);
    assert.equal(view.model.take()[0].explain.task, "New.");
  });

  test("calls made are listed, newest first, and can be copied", async () => {
    const view = openView(frames.tutorial());
    const codes = view.$$(".workq-calls code").map((code) => code.textContent);
    assert.match(codes[0], /start_worker/);
    assert.match(codes[1], /start_publisher/);
    const copied = [];
    view.page.window.navigator.clipboard = { writeText: async (text) => copied.push(text) };
    const copy = view.$(".workq-calls .workq-copy");
    copy.click();
    await new Promise(setImmediate);
    assert.deepEqual(copied, [codes[0]]);
    assert.equal(copy.textContent, "Copied");
    view.page.window.navigator.clipboard = undefined;
    copy.click();
    await new Promise(setImmediate);
    assert.equal(copy.textContent, "Selected");
    assert.equal(view.page.window.getSelection().toString(), codes[0]);
  });
});
