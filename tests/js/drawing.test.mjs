import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

describe("drawing", () => {
  test("a heartbeat writes the number of the frame and nothing else", () => {
    for (const make of [frames.tutorial, frames.killed, frames.flood, frames.paused, frames.manyQueues]) {
      const frame = make();
      const view = openView(frame);
      view.page.takeWrites();
      view.show(frame);
      assert.deepEqual(view.page.takeWrites(), [`data-number=${frame.number + 1}`]);
    }
  });

  test("a moved message changes its own places only", () => {
    const frame = frames.tutorial();
    const view = openView(frame);
    const [queue] = view.$$(".workq-queue");
    const cards = view.$$(".workq-worker");
    const stay = view.$(`.workq-message[data-key="${frame.queues[0].waiting[1].key}"]`);
    const head = frame.queues[0].waiting[0];
    const next = structuredClone(frame);
    next.queues[0].waiting.shift();
    next.workers[1].slots.push({ ...head, phase: "dispatched", deliveries: 1 });
    view.page.takeWrites();
    view.show(next);
    const writes = view.page.takeWrites();
    assert.ok(writes.length < 40, writes.join("\n"));
    assert.equal(view.$$(".workq-queue")[0], queue);
    assert.deepEqual(view.$$(".workq-worker"), cards);
    assert.equal(view.$(`.workq-message[data-key="${stay.getAttribute("data-key")}"]`), stay);
    assert.equal(view.$(`.workq-message[data-key="${head.key}"]`).getAttribute("data-place"), "dispatched");
  });

  test("elements are used again when all messages change", () => {
    const view = openView(frames.flood(0));
    const before = new Set(view.$$(".workq-message"));
    view.page.takeWrites();
    view.show(frames.flood(1));
    assert.ok(view.$$(".workq-message").every((one) => before.has(one)));
    assert.ok(!view.page.takeWrites().includes("insert"));
  });

  test("the latest frame wins, and a hidden page piles nothing up", () => {
    const view = openView(frames.empty());
    for (let step = 0; step < 100; step++) view.model.show(frames.flood(step)); // no paint: the page is hidden
    assert.equal(view.page.frames.size, 1);
    view.page.paint();
    assert.equal(view.root.getAttribute("data-number"), String(view.model.frame.number));
    assert.equal(view.page.frames.size, 0);
  });

  test("a bar runs by itself, is set right when it drifts, and stands still when it shall", () => {
    const frame = frames.tutorial();
    const view = openView(frame);
    const fill = view.$('.workq-worker[data-worker="worker-1"] .workq-fill');
    const run = () => fill.getAttribute("data-run");
    const first = run();
    const at = (elapsed, running = true) => {
      const next = structuredClone(frame);
      Object.assign(next.workers[0].busy_with, { elapsed_seconds: elapsed, running });
      view.show(next);
    };
    view.page.pass(0.5);
    at(1.6);
    assert.equal(run(), first);
    at(2.6);
    assert.notEqual(run(), first);
    assert.equal(fill.style.getPropertyValue("--workq-left"), "0.40s");
    at(1.5, false);
    assert.equal(view.$(".workq-work").getAttribute("data-running"), "false");
    assert.equal(fill.style.getPropertyValue("--workq-part"), "0.500");
    assert.equal(run(), null);
  });
});

describe("movement", () => {
  const moved = (frame) => {
    const next = structuredClone(frame);
    const head = next.queues[0].waiting.shift();
    next.workers[0].slots = [{ ...head, phase: "working" }];
    return [next, head.key];
  };
  const flights = (view) => view.$$(".workq-message").flatMap((one) => one.animations ?? []);

  /** Puts every chip where its place is, so that a move has a distance. */
  const layOut = (view) => {
    const lefts = { waiting: 0, dispatched: 300, working: 300, finished: 300 };
    view.page.layOut((element) => lefts[element.getAttribute("data-place")] ?? 600);
  };

  test("a chip flies from its old place to its new one", () => {
    const frame = frames.tutorial();
    const view = openView(frame);
    layOut(view);
    const [next, key] = moved(frame);
    view.show(next);
    const [flight] = view.$(`.workq-message[data-key="${key}"]`).animations;
    assert.equal(flight.keyframes[0].transform, "translate(-300px, 0px)");
    assert.ok(flight.options.duration <= 200);
  });

  test("a chip that is wider where it goes does not stick out of the stage on its way", () => {
    const frame = frames.tutorial();
    const view = openView(frame);
    view.page.layOut((element) =>
      element.matches(".workq-stage") ? 250 : element.dataset.place === "waiting" ? 300 : 0,
    );
    const [next, key] = moved(frame);
    view.show(next);
    const [flight] = view.$(`.workq-message[data-key="${key}"]`).animations;
    assert.equal(flight.keyframes[0].transform, "translate(250px, 0px)");
  });

  test("not while paused, not with reduced motion, not when too many move", () => {
    const paused = frames.paused();
    let view = openView(paused);
    layOut(view);
    view.show(moved(paused)[0]);
    assert.deepEqual(flights(view), []);

    view = openView(frames.tutorial(), { reducedMotion: true });
    layOut(view);
    view.show(moved(view.model.frame)[0]);
    assert.deepEqual(flights(view), []);

    const full = frames.flood();
    view = openView(full);
    layOut(view);
    const emptied = structuredClone(full);
    emptied.ends.done.recent = emptied.workers.slice(0, 30).map((worker) => worker.slots.shift());
    view.show(emptied);
    assert.deepEqual(flights(view), []);
  });

  test("what a kill throws back keeps a ring for a moment", () => {
    const frame = frames.tutorial();
    const view = openView(frame);
    layOut(view);
    const next = structuredClone(frame);
    const [held] = next.workers[0].slots.splice(0);
    next.queues[0].waiting.unshift({ ...held, redelivered: true });
    Object.assign(next.workers[0], { state: "killed", busy_with: null, free: 0 });
    view.show(next);
    const animations = view.$(`.workq-message[data-key="${held.key}"]`).animations;
    assert.equal(animations.length, 2);
    assert.match(animations[1].keyframes[0].outline, /solid/);
  });
});
