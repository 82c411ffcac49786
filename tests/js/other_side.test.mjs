import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openAnother, openView } from "./view.mjs";

describe("the other side", () => {
  test("silence is noticed, turns everything off, and a frame heals it", () => {
    const view = openView(frames.tutorial());
    const control = view.$('[data-do="five"]');
    control.focus();
    view.page.pass(4.4);
    assert.equal(view.root.getAttribute("data-alive"), "true");
    view.page.pass(0.3);
    assert.equal(view.root.getAttribute("data-alive"), "false");
    assert.match(view.text(".workq-overlay"), /run the cells again/);
    assert.equal(view.$("fieldset").disabled, true);
    view.$(".workq-send").fire("submit");
    assert.deepEqual(view.model.take(), []);
    control.blur(); // a browser takes focus from a disabled control
    view.show(frames.tutorial());
    assert.equal(view.root.getAttribute("data-alive"), "true");
    assert.equal(view.$(".workq-overlay"), null);
    assert.equal(view.$("fieldset").disabled, false);
    assert.equal(view.page.document.activeElement, control);
    view.page.pass(4.6);
    assert.equal(view.root.getAttribute("data-alive"), "false");
  });

  test("frames keep it alive, also where the page is hidden and nothing is painted", () => {
    const view = openView(frames.tutorial());
    for (let beat = 0; beat < 10; beat++) {
      view.page.pass(2);
      view.model.show(frames.tutorial());
    }
    assert.equal(view.root.getAttribute("data-alive"), "true");
  });

  for (const event of ["comm:close", "comm_live_update", "destroy"]) {
    test(`${event} is noticed at once`, () => {
      const view = openView(frames.tutorial());
      view.model.fire(event);
      assert.equal(view.root.getAttribute("data-alive"), "false");
      assert.match(view.text(".workq-overlay"), /lost its kernel/);
    });
  }

  test("a view without any frame does not look alive for long", () => {
    const view = openView(undefined);
    view.page.pass(5);
    assert.equal(view.root.getAttribute("data-alive"), "false");
  });

  test("a closed lesson says its sentence", () => {
    const view = openView(frames.closed());
    assert.match(view.text(".workq-overlay"), /The lesson 'round-robin' is closed/);
    assert.equal(view.$("fieldset").disabled, true);
    view.page.pass(10);
    assert.match(view.text(".workq-overlay"), /The lesson 'round-robin' is closed/);
    view.show(frames.tutorial());
    assert.equal(view.$(".workq-overlay"), null);
  });

  test("a refused command is shown as an alert, once, and can be dismissed", () => {
    const view = openView(frames.frame());
    view.press('[data-do="five"]');
    const [{ id }] = view.model.sent;
    view.model.answer({ id: "somebody-1", ok: false, text: "Not ours." });
    view.model.answer({ id, ok: false, text: "There is no queue hello." });
    assert.equal(view.text(".workq-notice[data-level=error] [role=alert]"), "Problem: There is no queue hello.");
    assert.doesNotMatch(view.text(".workq-notices"), /Not ours/);
    view.show({ ...frames.empty(), notices: [{ number: 1, level: "error", text: "There is no queue hello." }] });
    assert.equal(view.$$(".workq-notice").length, 1);
    view.$(".workq-dismiss").focus();
    view.press(".workq-dismiss");
    assert.equal(view.$$(".workq-notice").length, 0);
    view.show({ ...view.model.frame });
    assert.equal(view.$$(".workq-notice").length, 0);
  });

  test("a command that does not arrive is told, until it does", () => {
    const view = openView(frames.tutorial());
    const live = (seconds) => {
      for (let second = 0; second < seconds; second++) {
        view.page.pass(1);
        view.show({ ...view.model.frame });
      }
    };
    const told = () => view.$$(".workq-notice").filter((one) => /has not taken/.test(one.textContent)).length;
    view.press('[data-do="add_worker"]');
    view.press('[data-do="five"]');
    const [first, second] = view.model.sent;
    live(3);
    assert.equal(told(), 0);
    live(3);
    assert.equal(told(), 1);
    view.model.answer({ id: first.id, taken: true });
    assert.equal(told(), 1);
    view.model.answer({ id: second.id, taken: true });
    assert.equal(told(), 0);
    view.press('[data-do="five"]');
    view.model.answer({ id: view.model.sent[2].id, taken: true });
    live(10);
    assert.equal(told(), 0);
  });

  test("a command that waits for a cell says so at once, on its button too", () => {
    const view = openView({ ...frames.tutorial(), during: "3.0" });
    const kill = view.$('[data-worker="worker-1"] [data-do="kill"]');
    const told = () => view.$$(".workq-notice").filter((one) => /waits for the cell/.test(one.textContent)).length;
    kill.click();
    view.page.pass(0.2);
    assert.equal(told(), 0);
    view.page.pass(0.1);
    assert.equal(told(), 1);
    assert.equal(kill.getAttribute("data-waiting"), "");
    const [{ id, ...command }] = view.model.sent;
    assert.deepEqual(command, { do: "kill", worker: "worker-1", during: "3.0" });
    view.model.answer({ id, taken: true });
    assert.equal(told(), 0);
    assert.equal(kill.getAttribute("data-waiting"), null);
    view.page.pass(10);
    assert.equal(told(), 0);
  });

  test("what was pressed shows so at once, until one sees what became of it", () => {
    const view = openView(frames.tutorial());
    const kill = view.$('[data-worker="worker-1"] [data-do="kill"]');
    const pressed = () => kill.hasAttribute("data-pressed");
    kill.click();
    assert.ok(pressed());
    view.show(frames.tutorial());
    assert.ok(pressed());
    view.model.answer({ id: view.model.sent[0].id, taken: true });
    assert.ok(pressed());
    view.show(frames.tutorial());
    assert.ok(!pressed());
    kill.click();
    view.page.pass(5);
    assert.ok(!pressed(), "nobody took it");
  });

  test("the newest notice is first", () => {
    const view = openView(frames.killed());
    const notices = view.$$(".workq-notice");
    assert.match(notices[0].textContent, /worker-3 was killed/);
    assert.equal(notices[0].getAttribute("data-older"), null);
    assert.equal(notices[1].getAttribute("data-older"), "");
    view.press(".workq-older");
    assert.equal(view.$(".workq-notices").getAttribute("data-open"), "");
  });

  test("two views of one model do not disturb each other", () => {
    const view = openView(frames.tutorial());
    const { el: other, close: closeOther } = openAnother(view);
    other.$('[data-do="five"]').click();
    const [{ id }] = view.model.sent;
    view.model.answer({ id, ok: false, text: "No." });
    assert.equal(view.$$(".workq-notice[data-level=error]").length, 0);
    assert.equal(other.$$(".workq-notice[data-level=error]").length, 1);
    closeOther();
    view.show(frames.killed());
    assert.equal(view.$$(".workq-worker").length, 4);
  });

  test("cleaning up leaves nothing", () => {
    const view = openView(frames.tutorial());
    view.press('[data-do="start_over"]');
    view.model.show(frames.killed());
    const { root } = view;
    view.close();
    assert.deepEqual(view.model.listeners, []);
    assert.deepEqual(view.page.listenersOf(view.page.window), []);
    assert.deepEqual(view.page.listenersOf(root), []);
    assert.equal(view.page.timers.size, 0);
    assert.equal(view.page.frames.size, 0);
    assert.equal(view.el.childNodes.length, 0);
  });
});
