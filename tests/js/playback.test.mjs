import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

describe("playback", () => {
  test("a paused picture says so and offers to play", () => {
    const view = openView(frames.paused());
    assert.equal(view.root.getAttribute("data-mode"), "paused");
    assert.match(
      view.text(".workq-banner"),
      /^Paused at 7\.30 s, event \d+ of \d+\. RabbitMQ goes on\. .*act on RabbitMQ/,
    );
    view.press('[data-do="play"]');
    view.press('[data-do="kill"]');
    assert.deepEqual(view.model.take(), [{ do: "play" }, { do: "kill", worker: "worker-1" }]);
    assert.equal(view.$('[data-do="live"]').getAttribute("aria-pressed"), "false");
  });

  test("the scrubber seeks, not more often than frames come, and is the learner's while in hand", () => {
    const view = openView(frames.paused());
    const scrubber = view.$('[data-field="seconds"]');
    scrubber.fire("pointerdown");
    for (const value of ["1.0", "2.0", "3.0"]) view.fill('[data-field="seconds"]', value);
    assert.deepEqual(view.model.take(), [{ do: "seek", seconds: 1 }]);
    view.show(frames.paused());
    assert.equal(scrubber.value, "3.0");
    view.page.pass(0.2);
    assert.deepEqual(view.model.take(), [{ do: "seek", seconds: 3 }]);
    view.page.window.fire("pointerup");
    view.page.pass(0.5);
    const next = frames.paused();
    next.playback.seconds = 3;
    view.show(next);
    assert.equal(scrubber.value, "3.0");
    next.playback.seconds = 5;
    view.show(next);
    assert.equal(scrubber.value, "5.0");
    assert.equal(scrubber.getAttribute("aria-valuetext"), "5.0 of 12.4 s");
  });
});
