import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

const FIRST = ["send", "add_worker", "kill"];

describe("controls that a lesson has introduced", () => {
  test("all are shown where the lesson names none", () => {
    const view = openView(frames.tutorial());
    assert.equal(view.root.getAttribute("data-controls"), "all");
    assert.equal(view.$(".workq-all").hidden, true);
  });

  test("others wait behind a button", () => {
    const view = openView({ ...frames.tutorial(), controls: FIRST });
    assert.equal(view.root.getAttribute("data-controls"), "send add_worker kill");
    assert.equal(view.text(".workq-all"), "All controls");
    view.press(".workq-all");
    assert.equal(view.root.getAttribute("data-controls"), "all");
    assert.equal(view.$(".workq-all").getAttribute("aria-expanded"), "true");
    view.show({ ...frames.tutorial(), controls: [...FIRST, "stop"] });
    assert.equal(view.root.getAttribute("data-controls"), "all");
    view.press(".workq-all");
    assert.equal(view.root.getAttribute("data-controls"), "send add_worker kill stop");
  });

  test("every button that sends a command has a name for it", () => {
    const view = openView(frames.tutorial());
    for (const button of view.$$("[data-do]")) assert.ok(button.getAttribute("data-control"), button.outerHTML);
  });

  test("a worker has no prefetch count before that is taught", () => {
    const view = openView({ ...frames.tutorial(), controls: FIRST });
    view.press('[data-do="add_worker"]');
    assert.deepEqual(view.model.take(), [{ do: "add_worker", queue: "hello", auto_ack: false, prefetch_count: 0 }]);
    view.show({ ...frames.tutorial(), controls: [...FIRST, "prefetch"] });
    view.press('[data-do="add_worker"]');
    assert.equal(view.model.take()[0].prefetch_count, 1);
  });

  test("an empty stage says what to press and what will happen", () => {
    const empty = frames.frame({ queues: [frames.queue("hello")] });
    const view = openView(empty);
    assert.match(view.text(".workq-empty"), /Press “Send”.*Then press “Add worker”/);
    empty.queues[0].ready = { broker: 3, log: 3 };
    view.show(empty);
    assert.match(view.text(".workq-empty"), /takes what waits/);
  });
});
