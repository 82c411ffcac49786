import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

describe("the picture", () => {
  test("what happened last is told, and what was bad has a sign", () => {
    const view = openView(frames.killed());
    const lines = view.$$(".workq-story-line");
    assert.equal(lines.length, frames.killed().story.length);
    const kill = lines.find((line) => line.textContent.includes("worker-3 was killed"));
    assert.match(kill.textContent, /✕.*Invoice 17 and Invoice 18 are lost/);
    assert.equal(kill.getAttribute("data-mark"), "kill");
    view.show(frames.empty());
    assert.ok(view.$$(".workq-story-line").every((line) => line.hidden));
  });

  test("a sentence that has no room is shown whole when one asks for it", () => {
    const view = openView(frames.killed());
    const [button] = view.$$(".workq-story-whole");
    view.page.pass(0.3);
    assert.equal(button.hidden, true);
    Object.defineProperty(view.$(".workq-story-text"), "scrollWidth", { value: 900 });
    view.page.resize(view.$(".workq-story-lines"), 300);
    view.page.pass(0.3);
    assert.equal(button.hidden, false);
    const shown = () => [
      button.textContent,
      button.getAttribute("aria-expanded"),
      view.$(".workq-story").dataset.whole,
    ];
    assert.deepEqual(shown(), ["More", "false", undefined]);
    button.click();
    assert.deepEqual(shown(), ["Less", "true", ""]);
  });

  test("a task that came back says from whom, in the queue already", () => {
    const view = openView(frames.killed());
    const [fourth] = view.$$(".workq-lane .workq-message").filter((one) => /Fourth/.test(one.textContent));
    assert.match(fourth.textContent, /back from worker-1/);
    assert.match(fourth.title, /came back from worker-1/);
    const next = frames.killed();
    for (const one of next.queues[0].waiting) one.back_from &&= "עובד 7";
    view.show({ ...next, number: 90 });
    assert.match(fourth.textContent, /back from \u2068עובד 7\u2069$/); // else the 7 would stand before it
  });

  test("a queue of a part that is over has a line, which opens, until somebody turns to it again", () => {
    const view = openView(frames.resting());
    const folds = () => view.$$(".workq-queue-fold").map((fold) => fold.open);
    assert.deepEqual(folds(), [false, false, true]);
    assert.match(view.text('[data-queue="tasting"] summary'), /^1 ready$/);
    view.$('[data-queue="tasting"] details').open = true;
    view.show({ ...frames.resting(), number: 63 });
    assert.deepEqual(folds(), [true, false, true]);
    view.show({ ...frames.resting(), number: 64, resting: ["tasting"] });
    assert.deepEqual(folds(), [true, true, true]);
  });

  test("the card of a worker that ends keeps its place for as long as the eye needs", () => {
    const view = openView(frames.tutorial());
    const card = view.$('[data-worker="worker-2"]');
    Object.defineProperty(card, "offsetHeight", { value: 180 });
    const killed = frames.tutorial();
    killed.workers[1] = { ...killed.workers[1], state: "killed", slots: [], busy_with: null, free: 0 };
    view.show(killed);
    const kept = () => card.style.getPropertyValue("--workq-kept");
    assert.deepEqual([kept(), card.getAttribute("data-ending")], ["180px", ""]);
    view.page.pass(3);
    assert.equal(kept(), "180px");
    view.page.pass(2);
    assert.deepEqual([kept(), card.getAttribute("data-ending")], ["0px", null]);
  });

  test("a moment that is sought is no end that happens", () => {
    const paused = frames.paused();
    const view = openView(paused);
    paused.workers[1] = { ...paused.workers[1], state: "killed", slots: [], busy_with: null, free: 0 };
    view.show(paused);
    assert.equal(view.$('[data-worker="worker-2"]').getAttribute("data-ending"), null);
  });

  test("exchanges, their bindings and dead-letter routes are there as soon as there are any", () => {
    const view = openView(frames.exchanges());
    assert.equal(view.$(".workq-exchanges").hidden, false);
    assert.deepEqual(
      view.$$(".workq-exchange").map((one) => one.querySelector(".workq-exchange-head").textContent),
      ["kitchentopic", "auditfanout", "dlxdirect"],
    );
    assert.deepEqual(
      view.$$(".workq-binding").map((one) => one.textContent),
      ["order.* → queue hello", "# → exchange audit", "rejected → queue dead_letters"],
    );
    const deadLetters = view.$$(".workq-dead-letters").map((one) => one.textContent);
    assert.deepEqual(deadLetters, ["dead letters → exchange dlx, key rejected", "dead letters → queue hello"]);
    view.show(frames.tutorial());
    assert.equal(view.$(".workq-exchanges").hidden, true);
  });

  test("shows each message once, as itself, where it is", () => {
    const frame = frames.killed();
    const view = openView(frame);
    const expected = [
      ...frame.queues[0].waiting.map((one) => [one.key, "waiting", one.task]),
      ...frame.workers.flatMap((worker) => worker.slots.map((one) => [one.key, one.phase, one.task])),
      ...Object.entries(frame.ends).flatMap(([end, { recent }]) => recent.map((one) => [one.key, end, one.task])),
    ];
    const drawn = view
      .$$(".workq-message")
      .map((one) => [one.getAttribute("data-key"), one.getAttribute("data-place"), one.$(".workq-text").textContent]);
    const byKey = (a, b) => a[0] - b[0];
    assert.deepEqual(drawn.map(([key, ...rest]) => [Number(key), ...rest]).sort(byKey), expected.sort(byKey));
  });

  test("marks persistent, redelivered and repeated work in words", () => {
    const view = openView(frames.killed());
    const again = view.$('.workq-worker[data-worker="worker-2"] .workq-message[data-place="working"]');
    assert.equal(again.$(".workq-mark").getAttribute("aria-label"), "persistent");
    assert.equal(again.$(".workq-redelivered").hidden, false);
    assert.equal(again.$(".workq-worked").textContent, "worked on 2×");
    assert.match(
      again.getAttribute("title"),
      /Third message\.\.\. · persistent · 3 dots · .*delivered 2× · worked on 2×/,
    );
    const early = view.$('.workq-message[data-place="finished"]');
    assert.equal(early.$(".workq-redelivered").hidden, true);
    assert.equal(early.$(".workq-phase").textContent, "no ack yet");
  });

  test("shows the counts of the broker beside those of the log", () => {
    const view = openView(frames.tutorial());
    const queue = view.$('.workq-queue[data-queue="hello"]');
    const counts = ["ready-broker", "ready-log", "unacknowledged-broker", "unacknowledged-log"].map(
      (name) => queue.$(`[data-count="${name}"]`).textContent,
    );
    assert.deepEqual(counts, ["5", "5", "3", "3"]);
    assert.match(queue.textContent, /transient · classic/);
    view.show(frames.killed());
    assert.equal(view.text('[data-count="ready-broker"]'), "–");
  });

  test("counts what does not fit", () => {
    const view = openView(frames.flood());
    assert.equal(view.text(".workq-more"), "+ 99,988 more");
    assert.equal(view.$$(".workq-worker").length, 50);
    assert.equal(view.text('.workq-worker[data-worker="worker-1"] .workq-slots-more'), "+ 8 more");
    assert.equal(view.root.getAttribute("data-density"), "mass");
    assert.ok(view.$$(".workq-message").length < 150);
  });

  test("shows a worker's state as icon and word, and its settings", () => {
    const view = openView(frames.killed());
    const card = view.$('.workq-worker[data-worker="worker-4"]');
    assert.equal(card.getAttribute("data-state"), "frozen");
    assert.match(card.$(".workq-state").textContent, /❄.*frozen/);
    assert.match(card.textContent, /manual ack · prefetch 1/);
    assert.match(view.$('.workq-worker[data-worker="worker-3"]').textContent, /auto ack · no limit/);
    assert.equal(view.text('.workq-worker[data-worker="worker-2"] [data-count="done"]'), "3");
    assert.match(view.text('.workq-worker[data-worker="worker-2"] .workq-console'), /Done\n \[x\] Received Third/);
  });

  test("draws free slots, open-ended without a limit", () => {
    const view = openView(frames.killed());
    const open_ended = view.$$('.workq-worker[data-worker="worker-2"] .workq-slot');
    assert.deepEqual(
      open_ended.map((slot) => [slot.textContent, slot.getAttribute("data-open")]),
      [["no limit", ""]],
    );
    view.show(
      frames.frame({
        queues: [frames.queue("hello")],
        workers: [frames.worker("w", { prefetch_count: 20, free: 20 })],
      }),
    );
    assert.equal(view.$$('.workq-worker[data-worker="w"] .workq-slot').length, 4);
    assert.equal(view.text(".workq-slot-text"), "+ 16 free");
  });

  test("says of the notebook that it fetched what it holds, and offers nothing to do to it", () => {
    const held = { program: "", queue: "", free: 0, state: "idle" };
    const view = openView(frames.frame({ workers: [frames.worker("notebook", held), frames.worker("w")] }));
    assert.equal(view.text(".workq-workers-count"), "1 running");
    const card = view.$('[data-worker="notebook"]');
    assert.equal(card.$(".workq-settings").textContent, "taken by its own code");
    assert.ok(card.$(".workq-state").hidden); // a callback may sleep there
    assert.ok(card.$(".workq-worker-actions").hidden);
    assert.equal(card.$$(".workq-slot").length, 0);
  });

  test("offers for a program what can be done to a process, and nothing for one of somebody else", () => {
    const card = (program) => {
      const held = frames.killed().workers.flatMap((worker) => worker.slots)[0];
      const program_s = { program, slots: [{ ...held, phase: "dispatched" }], state: "holding" };
      return openView(frames.frame({ workers: [frames.worker("p", program_s)] })).$('[data-worker="p"]');
    };
    const own = card("worker.py 1");
    assert.equal(own.$(".workq-worker-actions").hidden, false);
    assert.equal(own.$('[data-do="freeze"]').hidden, true);
    assert.match(own.$('[data-do="kill"]').getAttribute("title"), /SIGKILL/);
    assert.equal(own.$(".workq-state").textContent, "◐holding");
    assert.match(own.$(".workq-note").textContent, /1 is not acknowledged: no other worker gets it/);
    assert.equal(card("").$(".workq-worker-actions").hidden, true);
    assert.equal(card(null).$('[data-do="freeze"]').hidden, false);
  });

  test("says of what it does not draw only what is known", () => {
    const [sample] = frames.killed().workers.flatMap((worker) => worker.slots);
    const note = (...phases) => {
      const slots = phases.map((phase, key) => ({ ...sample, key, phase }));
      const held = frames.worker("w", { slots, more: 2, prefetch_count: 0, free: null });
      return openView(frames.frame({ workers: [held] })).text('[data-worker="w"] .workq-note');
    };
    assert.equal(
      note("finished", "working", "dispatched"),
      "3 wait here: no other worker gets them. 1 finished, not acknowledged.",
    );
    assert.equal(note("finished", "finished"), "4 are not acknowledged: no other worker gets them.");
  });

  test("says why messages wait", () => {
    const why = (more) => {
      const view = openView(
        frames.frame({ queues: [frames.queue("hello", { waiting: [frames.chip("Task")] })], ...more }),
      );
      return view.text(".workq-reason");
    };
    assert.match(why({}), /^It waits because no worker takes from this queue/);
    const two = { queues: [frames.queue("hello", { waiting: [frames.chip("One"), frames.chip("Two")] })] };
    assert.match(why(two), /^They wait because no worker takes/);
    assert.match(why({ workers: [frames.worker("a", { free: 0 })] }), /holds as many as its prefetch count allows/);
    assert.match(why({ workers: [frames.worker("a", { state: "killed" })] }), /no worker takes/);
    assert.match(why({ workers: [frames.worker("a", { state: "reconnecting" })] }), /until a worker is connected/);
    assert.match(why({ broker: frames.broker("down") }), /RabbitMQ is down: nothing moves/);
    const back = { broker: frames.broker("coming back"), workers: [frames.worker("a", { state: "reconnecting" })] };
    assert.match(why(back), /until a worker is connected/); // one that is may get something already
  });

  test("says nothing of messages that it has not seen", () => {
    const why = (worker, message = {}) => {
      const queues = [frames.queue("hello", { waiting: [{ ...frames.chip("Task"), ...message }] })];
      return openView(frames.frame({ queues, workers: [frames.worker("a", worker)] })).text(".workq-reason");
    };
    assert.match(why({ free: 1 }), /No delivery of it has been seen yet/);
    assert.match(why({ free: 1 }, { deliveries: 1 }), /No new delivery of it has been seen yet/);
    assert.match(why({ free: 0, state: "frozen" }), /no worker that could take it responds/);
  });

  test("draws as ghosts what the log has and the broker has not, with both numbers and the reason", () => {
    const ghosts = { count: 4997, recent: [frames.chip("Task 5000")], why: "never confirmed" };
    const view = openView(frames.frame({ queues: [frames.queue("hello", { ghosts, unseen: 1 })] }));
    const both = view.text(".workq-ghosts .workq-hint"); // that one may be any of the others
    assert.match(
      both,
      /The log saw 4,997 more come in: never confirmed\. RabbitMQ counts 1 message beside those that wait/,
    );
    view.show(frames.frame({ queues: [frames.queue("hello", { ghosts })] }));
    const told = view.text(".workq-ghosts .workq-hint");
    assert.match(told, /RabbitMQ counts 0 ready. The log saw 4,997 more come in that are not here: never confirmed\.$/);
    assert.equal(view.$$('.workq-message[data-place="ghost"]').length, 1);
    view.show(frames.frame({ queues: [frames.queue("hello", { ghosts: { ...ghosts, count: 1 } })] }));
    assert.match(view.text(".workq-ghosts .workq-hint"), /The log saw 1 more come in that is not here: never/);
    const unacknowledged = { broker: 0, log: 1 };
    const unseen = (ready) => {
      view.show(frames.frame({ queues: [frames.queue("hello", { unseen: 1, ready, unacknowledged })] }));
      return view.text(".workq-ghosts .workq-hint");
    };
    const again = "RabbitMQ counts 1 as ready again; who took it has not heard of that yet.";
    assert.equal(unseen({ broker: 1, log: 0 }), again);
    const sinceDelivered = { broker: 2, log: 0 }; // it was counted before the log's delivery
    assert.equal(unseen(sinceDelivered), "RabbitMQ counts 1 message that nobody here has seen.");
    view.show(frames.frame({ queues: [frames.queue("hello")] }));
    assert.equal(view.$(".workq-ghosts").hidden, true);
  });

  test("says of a queue that nobody saw declared that there is none, not that it is gone", () => {
    const gone = (durability) =>
      openView(frames.frame({ queues: [frames.queue("attic", { gone: true, durability, type: "" })] })).text(
        ".workq-queue",
      );
    assert.match(gone(""), /no such queue.*RabbitMQ has no such queue\./);
    assert.match(gone("durable"), /durable · gone.*This queue is gone\./);
  });

  test("names lost tasks and hides ends that did not happen", () => {
    const view = openView(frames.tutorial());
    assert.equal(view.$('.workq-end[data-end="lost"]').hidden, true);
    view.show(frames.killed());
    assert.equal(view.$('.workq-end[data-end="lost"]').hidden, false);
    assert.equal(view.text('.workq-end[data-end="lost"] [data-count]'), "2");
    assert.match(view.text('.workq-end[data-end="lost"]'), /Invoice 17/);
    assert.equal(view.$('.workq-end[data-end="refused"]').hidden, true);
  });

  test("shows harmful and long texts as text", () => {
    const view = openView(frames.hostile());
    const attack = "<img src=x onerror=alert(1)>";
    assert.equal(view.text('.workq-message[data-place="waiting"] .workq-text'), attack);
    assert.equal(view.$$("img").length + view.$$("script").length, 0);
    assert.match(
      view.$('.workq-message[data-place="lost"]').getAttribute("title"),
      /A task whose text is far too long/,
    );
  });

  test("draws every sample frame after every other", () => {
    const scenes = Object.values(frames.scenes);
    const view = openView(frames.empty());
    for (const first of scenes) {
      for (const second of scenes) {
        view.show(first());
        const wanted = second();
        view.show(wanted);
        assert.equal(view.$$(".workq-worker").length, wanted.workers.length);
        assert.equal(view.$$(".workq-queue").length, wanted.queues.length);
        const keys = view.$$(".workq-message").map((one) => one.getAttribute("data-key"));
        assert.equal(new Set(keys).size, keys.length);
      }
    }
  });
});
