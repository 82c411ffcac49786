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

  test("the scrubber reaches the end, wherever that lies between its steps", () => {
    const frame = frames.paused();
    for (const [end, max] of [
      [6.04, "6.1"],
      [6.06, "6.1"],
      [6, "6.0"],
    ]) {
      frame.playback.end_seconds = Number(end);
      const view = openView(frame);
      assert.equal(view.$('[data-field="seconds"]').getAttribute("max"), max);
    }
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

  test("kills, crashes and losses are marks above the scrubber, and one that is pressed is shown", () => {
    const frame = frames.killed();
    const view = openView(frame);
    const marks = view.$$(".workq-scrubber-mark");
    assert.deepEqual(
      marks.map((mark) => mark.getAttribute("data-mark")),
      ["kill", "kill"],
    );
    assert.match(marks[1].getAttribute("aria-label"), /^\d\.\d s: worker-3 was killed: .* are lost$/);
    const at = marks.map((mark) => Number(mark.style.getPropertyValue("--workq-at")));
    assert.ok(0 < at[0] && at[0] < at[1] && at[1] < 1);
    marks[1].click();
    assert.deepEqual(view.model.take(), [{ do: "seek", seconds: frame.playback.marks[1].seconds }]);
  });

  test("no mark covers another, in however little room", () => {
    const frame = frames.killed();
    const [mark] = frame.playback.marks;
    const end = frame.playback.end_seconds;
    const places = (...seconds) => {
      frame.number += 1;
      frame.playback.marks = seconds.map((each, number) => ({ ...mark, number, seconds: each }));
      view.show(structuredClone(frame));
      return view
        .$$(".workq-scrubber-mark")
        .map((one) => Math.round(160 * Number(one.style.getPropertyValue("--workq-at"))));
    };
    const view = openView(frame);
    view.page.resize(view.$(".workq-marks"), 160);
    assert.deepEqual(places(0, end / 2), [0, 80]);
    assert.deepEqual(places(end / 2, end / 2 + 0.01, end / 2 + 0.02), [80, 96, 112]);
    assert.deepEqual(places(end - 0.01, end), [144, 160]);
    assert.deepEqual(places(...Array(21).fill(0)).slice(0, 3), [0, 8, 16]); // too many: equally far from each other
  });

  test("a replay is as fast as was chosen, the one that runs too, and its bars with it", () => {
    const view = openView(frames.paused());
    const speed = view.$('[data-field="speed"]');
    const choose = (value) => {
      speed.value = value;
      speed.fire("change");
    };
    choose("0.25");
    assert.deepEqual(view.model.take(), []);
    view.press('[data-do="play"]');
    assert.deepEqual(view.model.take(), [{ do: "play", speed: 0.25 }]);
    const replaying = frames.tutorial();
    replaying.playback = { ...replaying.playback, mode: "replaying", speed: 0.25 };
    view.show(replaying);
    const left = () => Number.parseFloat(view.$(".workq-fill").style.getPropertyValue("--workq-left"));
    const [slow, { elapsed_seconds, work_seconds }] = [left(), replaying.workers[0].busy_with];
    assert.ok(Math.abs(slow - 4 * (work_seconds - elapsed_seconds)) < 0.1);
    choose("4");
    assert.deepEqual(view.model.take(), [{ do: "play", speed: 4 }]);
    choose("1");
    assert.deepEqual(view.model.take(), [{ do: "play" }]);
  });

  test("a link in the notebook replays an experiment of this lesson, and of no other", () => {
    const view = openView(frames.tutorial());
    const link = (address) => {
      const element = view.page.document.createElement("a");
      element.setAttribute("href", address);
      view.page.document.body.append(element);
      return element.fire("click");
    };
    assert.equal(link("#workq-replay/round-robin/five%20orders").defaultPrevented, true);
    assert.deepEqual(view.model.take(), [{ do: "replay", experiment: "five orders" }]);
    assert.equal(link("#workq-replay/another/five%20orders").defaultPrevented, false);
    assert.equal(link("#heading").defaultPrevented, false);
    view.close();
    link("#workq-replay/round-robin/five%20orders");
    assert.deepEqual(view.model.take(), []);
  });
});
