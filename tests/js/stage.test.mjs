import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { FakeModel, fakePage } from "./dom.mjs";
import * as frames from "./frames.mjs";

const folder = new URL("../../workq_helpers/stage/", import.meta.url);
const source = readFileSync(new URL("stage.js", folder), "utf8");
const css = readFileSync(new URL("stage.css", folder), "utf8");
// The package has no package.json that would call its file a module, so it is loaded as anywidget loads it: as text.
const { default: stage } = await import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);

/** A view that has drawn a frame. */
function open(frame, options) {
  const page = fakePage(options);
  const model = new FakeModel(frame);
  const el = page.place();
  const close = stage.render({ model, el });
  page.paint();
  const view = {
    page,
    model,
    el,
    close,
    root: el.$(".workq-stage"),
    $: (selector) => el.$(selector),
    $$: (selector) => el.$$(selector),
    text: (selector) => el.$(selector)?.textContent,
    show(next) {
      model.show(next);
      page.paint();
    },
    press: (selector) => el.$(selector).click(),
    fill(selector, value) {
      el.$(selector).value = value;
      el.$(selector).fire("input");
    },
  };
  return view;
}

const shown = (elements) => elements.filter((element) => !element.closest("[hidden]"));

describe("the picture", () => {
  test("shows each message once, as itself, where it is", () => {
    const frame = frames.killed();
    const view = open(frame);
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
    const view = open(frames.killed());
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
    const view = open(frames.tutorial());
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
    const view = open(frames.flood());
    assert.equal(view.text(".workq-more"), "+ 99,988 more");
    assert.equal(view.$$(".workq-worker").length, 50);
    assert.equal(view.text('.workq-worker[data-worker="worker-1"] .workq-slots-more'), "+ 7 more");
    assert.equal(view.root.getAttribute("data-density"), "crowd");
    assert.ok(view.$$(".workq-message").length < 150);
  });

  test("shows a worker's state as icon and word, and its settings", () => {
    const view = open(frames.killed());
    const card = view.$('.workq-worker[data-worker="worker-4"]');
    assert.equal(card.getAttribute("data-state"), "frozen");
    assert.match(card.$(".workq-state").textContent, /❄.*frozen/);
    assert.match(card.textContent, /manual ack · prefetch 1/);
    assert.match(view.$('.workq-worker[data-worker="worker-3"]').textContent, /auto ack · no limit/);
    assert.equal(view.text('.workq-worker[data-worker="worker-2"] [data-count="done"]'), "3");
    assert.match(view.text('.workq-worker[data-worker="worker-2"] .workq-console'), /Done\n \[x\] Received Third/);
  });

  test("draws free slots, open-ended without a limit", () => {
    const view = open(frames.killed());
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

  test("says why messages wait", () => {
    const why = (more) => {
      const view = open(frames.frame({ queues: [frames.queue("hello", { waiting: [frames.chip("Task")] })], ...more }));
      return view.text(".workq-reason");
    };
    assert.match(why({}), /no worker takes from this queue/);
    assert.match(why({ workers: [frames.worker("a", { free: 0 })] }), /holds as many as its prefetch count allows/);
    assert.match(why({ workers: [frames.worker("a", { state: "killed" })] }), /no worker takes/);
    assert.match(why({ workers: [frames.worker("a", { state: "reconnecting" })] }), /until a worker is connected/);
    assert.match(why({ broker: { state: "down" } }), /RabbitMQ is down: nothing moves/);
    const back = { broker: { state: "coming back" }, workers: [frames.worker("a", { state: "reconnecting" })] };
    assert.match(why(back), /until a worker is connected/); // one that is may get something already
  });

  test("names lost tasks and hides ends that did not happen", () => {
    const view = open(frames.tutorial());
    assert.equal(view.$('.workq-end[data-end="lost"]').hidden, true);
    view.show(frames.killed());
    assert.equal(view.$('.workq-end[data-end="lost"]').hidden, false);
    assert.equal(view.text('.workq-end[data-end="lost"] [data-count]'), "2");
    assert.match(view.text('.workq-end[data-end="lost"]'), /Invoice 17/);
    assert.equal(view.$('.workq-end[data-end="refused"]').hidden, true);
  });

  test("shows harmful and long texts as text", () => {
    const view = open(frames.hostile());
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
    const view = open(frames.empty());
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

describe("drawing", () => {
  test("a heartbeat writes the number of the frame and nothing else", () => {
    for (const make of [frames.tutorial, frames.killed, frames.flood, frames.paused, frames.manyQueues]) {
      const frame = make();
      const view = open(frame);
      view.page.document.writes.length = 0;
      view.show(frame);
      assert.deepEqual(view.page.document.writes, [`data-number=${frame.number + 1}`]);
    }
  });

  test("a moved message changes its own places only", () => {
    const frame = frames.tutorial();
    const view = open(frame);
    const [queue] = view.$$(".workq-queue");
    const cards = view.$$(".workq-worker");
    const stay = view.$(`.workq-message[data-key="${frame.queues[0].waiting[1].key}"]`);
    const head = frame.queues[0].waiting[0];
    const next = structuredClone(frame);
    next.queues[0].waiting.shift();
    next.workers[1].slots.push({ ...head, phase: "dispatched", deliveries: 1 });
    view.page.document.writes.length = 0;
    view.show(next);
    assert.ok(view.page.document.writes.length < 40, view.page.document.writes.join("\n"));
    assert.equal(view.$$(".workq-queue")[0], queue);
    assert.deepEqual(view.$$(".workq-worker"), cards);
    assert.equal(view.$(`.workq-message[data-key="${stay.getAttribute("data-key")}"]`), stay);
    assert.equal(view.$(`.workq-message[data-key="${head.key}"]`).getAttribute("data-place"), "dispatched");
  });

  test("elements are used again when all messages change", () => {
    const view = open(frames.flood(0));
    const before = new Set(view.$$(".workq-message"));
    view.page.document.writes.length = 0;
    view.show(frames.flood(1));
    assert.ok(view.$$(".workq-message").every((one) => before.has(one)));
    assert.ok(!view.page.document.writes.includes("insert"));
  });

  test("the latest frame wins, and a hidden page piles nothing up", () => {
    const view = open(frames.empty());
    for (let step = 0; step < 100; step++) view.model.show(frames.flood(step)); // no paint: the page is hidden
    assert.equal(view.page.frames.size, 1);
    view.page.paint();
    assert.equal(view.root.getAttribute("data-number"), String(view.model.frame.number));
    assert.equal(view.page.frames.size, 0);
  });

  test("a bar runs by itself, is set right when it drifts, and stands still when it shall", () => {
    const frame = frames.tutorial();
    const view = open(frame);
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
    assert.equal(fill.properties.get("--workq-left"), "0.40s");
    at(1.5, false);
    assert.equal(view.$(".workq-work").getAttribute("data-running"), "false");
    assert.equal(fill.properties.get("--workq-part"), "0.500");
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
  const flights = (view) => view.$$(".workq-message").flatMap((one) => one.animations);

  /** Puts every chip where its place is, so that a move has a distance. */
  const layOut = (view) => {
    const lefts = { waiting: 0, dispatched: 300, working: 300, finished: 300 };
    const patch = (element) =>
      (element.getBoundingClientRect = () => ({
        left: lefts[element.getAttribute("data-place")] ?? 600,
        top: 0,
        width: 90,
        height: 20,
      }));
    view.$$(".workq-message").forEach(patch);
    const create = view.page.document.createElement;
    view.page.document.createElement = (tag) => {
      const element = create(tag);
      patch(element);
      return element;
    };
  };

  test("a chip flies from its old place to its new one", () => {
    const frame = frames.tutorial();
    const view = open(frame);
    layOut(view);
    const [next, key] = moved(frame);
    view.show(next);
    const [flight] = view.$(`.workq-message[data-key="${key}"]`).animations;
    assert.equal(flight.keyframes[0].transform, "translate(-300px, 0px)");
    assert.ok(flight.options.duration <= 200);
  });

  test("not while paused, not with reduced motion, not when too many move", () => {
    const paused = frames.paused();
    let view = open(paused);
    layOut(view);
    view.show(moved(paused)[0]);
    assert.deepEqual(flights(view), []);

    view = open(frames.tutorial(), { reducedMotion: true });
    layOut(view);
    view.show(moved(view.model.frame)[0]);
    assert.deepEqual(flights(view), []);

    const full = frames.flood();
    view = open(full);
    layOut(view);
    const emptied = structuredClone(full);
    emptied.ends.done.recent = emptied.workers.slice(0, 30).map((worker) => worker.slots.shift());
    view.show(emptied);
    assert.deepEqual(flights(view), []);
  });

  test("what a kill throws back keeps a ring for a moment", () => {
    const frame = frames.tutorial();
    const view = open(frame);
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
    crash: [{ do: "crash" }],
    purge: [{ do: "purge", queue: "hello" }],
    pause: [{ do: "pause" }],
    live: [{ do: "live" }],
    step: [{ do: "step", by: -1 }],
  };
  for (const [name, expected] of Object.entries(cases)) {
    test(`${name} sends its command`, () => {
      const view = open(frames.tutorial());
      view.press(`[data-do="${name}"]`);
      assert.deepEqual(view.model.take(), expected);
    });
  }

  test("commands have ids of their own", () => {
    const view = open(frames.tutorial());
    view.press('[data-do="five"]');
    view.press('[data-do="five"]');
    const [first, second] = view.model.sent.map((one) => one.id);
    assert.ok(first && second && first !== second);
  });

  test("the forms send what was typed, with Enter too", () => {
    const view = open(frames.tutorial());
    view.fill('[data-field="task"]', "Mine..");
    assert.match(view.text(".workq-effort"), /2 dots of work/);
    view.$('[data-field="persistent"]').checked = true;
    view.$('[data-field="confirm"]').checked = true;
    const event = view.$(".workq-send").fire("submit"); // what a browser does on Enter
    assert.equal(event.prevented, true);
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
    const view = open(frames.tutorial());
    view.$('[data-field="task"]').focus();
    view.fill('[data-field="task"]', "Half a ta");
    view.fill('[data-field="prefetch_count"]', "7");
    for (const scene of Object.values(frames.scenes)) view.show(scene());
    assert.equal(view.$('[data-field="task"]').value, "Half a ta");
    assert.equal(view.$('[data-field="prefetch_count"]').value, "7");
  });

  test("focus stays when frames come", () => {
    const view = open(frames.tutorial());
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
    const view = open(frames.tutorial());
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
    const view = open(frames.tutorial());
    const control = view.$('[data-worker="worker-1"] [data-do="freeze"]');
    const next = frames.tutorial();
    next.workers[0].state = "frozen";
    view.show(next);
    assert.equal(control.getAttribute("data-do"), "thaw");
    assert.equal(control.getAttribute("aria-label"), "Thaw worker-1");
    control.click();
    assert.deepEqual(view.model.take(), [{ do: "thaw", worker: "worker-1" }]);
  });

  test("start over asks for a second press", () => {
    const view = open(frames.tutorial());
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
    const view = open(frames.notSteerable());
    for (const name of ["restart", "crash"]) {
      assert.equal(view.$(`[data-do="${name}"]`).getAttribute("aria-disabled"), "true");
      view.press(`[data-do="${name}"]`);
    }
    assert.deepEqual(view.model.take(), []);
    assert.match(shown(view.$$(".workq-why"))[0].textContent, /was not started by the course.*Unset WORKQ_BROKER_URL/);
    view.show(frames.tutorial());
    assert.equal(view.$('[data-do="restart"]').getAttribute("aria-disabled"), null);
    assert.match(view.$('[data-do="restart"]').getAttribute("title"), /Stop RabbitMQ properly/);
  });

  test("an action that is off says why and sends nothing, with Enter neither", () => {
    const view = open({ ...frames.tutorial(), actions: { send: { enabled: false, why: "RabbitMQ is down." } } });
    view.press('[data-do="send"]');
    view.$(".workq-send").fire("submit");
    assert.deepEqual(view.model.take(), []);
    assert.equal(shown(view.$$(".workq-publisher .workq-why"))[0].textContent, "RabbitMQ is down.");
  });

  test("a queue is declared while there is none", () => {
    const view = open(frames.empty());
    assert.equal(view.$('.workq-declare [data-field="queue"]').value, "hello");
    view.fill('.workq-declare [data-field="queue"]', "task_queue");
    view.$('[data-field="durable"]').checked = true;
    view.press('[data-do="declare"]');
    assert.deepEqual(view.model.take(), [{ do: "declare", queue: "task_queue", durable: true }]);
    view.show(frames.tutorial());
    assert.equal(view.$('[data-do="declare"]'), null);
  });

  test("with several queues one is chosen for the forms", () => {
    const view = open(frames.tutorial());
    assert.equal(view.$('[data-field="queue"]'), null);
    view.show(frames.manyQueues());
    const select = view.$('[data-field="queue"]');
    assert.deepEqual(select.childNodes.map((option) => option.textContent).slice(0, 2), ["hello", "task_queue"]);
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

describe("playback", () => {
  test("a paused picture says so and offers to play", () => {
    const view = open(frames.paused());
    assert.equal(view.root.getAttribute("data-mode"), "paused");
    assert.match(view.text(".workq-banner"), /^Paused at 7\.3 s\. RabbitMQ goes on\. .*act on RabbitMQ/);
    view.press('[data-do="play"]');
    view.press('[data-do="kill"]');
    assert.deepEqual(view.model.take(), [{ do: "play" }, { do: "kill", worker: "worker-1" }]);
    assert.equal(view.$('[data-do="live"]').getAttribute("aria-pressed"), "false");
  });

  test("the scrubber seeks, not more often than frames come, and is the learner's while in hand", () => {
    const view = open(frames.paused());
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

describe("the other side", () => {
  test("silence is noticed, turns everything off, and a frame heals it", () => {
    const view = open(frames.tutorial());
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
    view.page.document.activeElement = view.page.document.body; // a browser takes it from a disabled control
    view.show(frames.tutorial());
    assert.equal(view.root.getAttribute("data-alive"), "true");
    assert.equal(view.$(".workq-overlay"), null);
    assert.equal(view.$("fieldset").disabled, false);
    assert.equal(view.page.document.activeElement, control);
    view.page.pass(4.6);
    assert.equal(view.root.getAttribute("data-alive"), "false");
  });

  test("frames keep it alive, also where the page is hidden and nothing is painted", () => {
    const view = open(frames.tutorial());
    for (let beat = 0; beat < 10; beat++) {
      view.page.pass(2);
      view.model.show(frames.tutorial());
    }
    assert.equal(view.root.getAttribute("data-alive"), "true");
  });

  for (const event of ["comm:close", "comm_live_update", "destroy"]) {
    test(`${event} is noticed at once`, () => {
      const view = open(frames.tutorial());
      view.model.fire(event);
      assert.equal(view.root.getAttribute("data-alive"), "false");
      assert.match(view.text(".workq-overlay"), /lost its kernel/);
    });
  }

  test("a view without any frame does not look alive for long", () => {
    const view = open(undefined);
    view.page.pass(5);
    assert.equal(view.root.getAttribute("data-alive"), "false");
  });

  test("a closed lesson says its sentence", () => {
    const view = open(frames.closed());
    assert.match(view.text(".workq-overlay"), /The lesson round-robin is closed/);
    assert.equal(view.$("fieldset").disabled, true);
    view.page.pass(10);
    assert.match(view.text(".workq-overlay"), /The lesson round-robin is closed/);
    view.show(frames.tutorial());
    assert.equal(view.$(".workq-overlay"), null);
  });

  test("a refused command is shown as an alert, once, and can be dismissed", () => {
    const view = open(frames.empty());
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
    const view = open(frames.tutorial());
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

  test("the newest notice is first", () => {
    const view = open(frames.killed());
    const notices = view.$$(".workq-notice");
    assert.match(notices[0].textContent, /worker-3 was killed/);
    assert.equal(notices[0].getAttribute("data-older"), null);
    assert.equal(notices[1].getAttribute("data-older"), "");
    view.press(".workq-older");
    assert.equal(view.$(".workq-notices").getAttribute("data-open"), "");
  });

  test("two views of one model do not disturb each other", () => {
    const view = open(frames.tutorial());
    const other = view.page.place();
    const closeOther = stage.render({ model: view.model, el: other });
    view.page.paint();
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
    const view = open(frames.tutorial());
    view.press('[data-do="start_over"]');
    view.model.show(frames.killed());
    const { root } = view;
    view.close();
    assert.deepEqual(view.model.listeners, []);
    assert.deepEqual(view.page.window.listeners, []);
    assert.deepEqual(root.listeners, []);
    assert.equal(view.page.timers.size, 0);
    assert.equal(view.page.frames.size, 0);
    assert.equal(view.el.childNodes.length, 0);
  });
});

describe("the same in Python", () => {
  test("is asked for while the panel is open, once for a control", () => {
    const view = open(frames.tutorial());
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
    const view = open(frames.tutorial());
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
    assert.equal(view.page.document.selectedNode.textContent, codes[0]);
  });
});

describe("for everybody", () => {
  test("the summary is spoken at most every 3 s, and only if it changed", () => {
    const view = open({ ...frames.empty(), summary: "One." });
    const said = () => view.text(".workq-summary");
    assert.equal(view.$(".workq-summary").getAttribute("aria-live"), "polite");
    assert.equal(said(), "One.");
    view.show({ ...frames.empty(), summary: "Two." });
    view.show({ ...frames.empty(), summary: "Three." });
    assert.equal(said(), "One.");
    view.page.pass(3);
    assert.equal(said(), "Three.");
    view.page.document.writes.length = 0;
    view.page.pass(4);
    view.show({ ...frames.empty(), summary: "Three." });
    assert.ok(!view.page.document.writes.some((write) => write.startsWith("text Three")));
  });

  test("the table says the same, while it is open", () => {
    const view = open(frames.killed());
    const details = view.$(".workq-table");
    details.open = true;
    details.fire("toggle");
    const rows = view.$$(".workq-table table tbody tr").map((row) => row.childNodes.map((cell) => cell.textContent));
    assert.ok(rows.some((row) => row[0] === "worker-4" && row[1] === "frozen"));
    assert.ok(rows.some((row) => row[0] === "task_queue" && row[2] === "–" && row[3] === "2"));
    assert.ok(rows.some((row) => row[0] === "Invoice 17...."));
    for (const table of view.$$(".workq-table table")) {
      const heads = table.$$("thead th").length;
      assert.ok(table.$$("tbody tr").every((row) => row.childNodes.length === heads));
    }
  });

  test("a console that was opened or closed by hand stays so", () => {
    const view = open(frames.tutorial());
    const folded = view.$('[data-worker="worker-1"] .workq-console-box');
    assert.equal(folded.open, true);
    folded.open = false;
    folded.fire("toggle");
    view.show(frames.tutorial());
    assert.equal(folded.open, false);
  });

  test("every control has a name", () => {
    const view = open(frames.manyQueues());
    const unnamed = [...view.$$("button"), ...view.$$("input"), ...view.$$("select"), ...view.$$("summary")].filter(
      (control) =>
        !(control.textContent.trim() && control.tag !== "select") &&
        !control.getAttribute("aria-label") &&
        !control.closest("label")?.$("span")?.textContent &&
        !control.closest("label")?.textContent,
    );
    assert.deepEqual(
      unnamed.map((control) => control.getAttribute("class")),
      [],
    );
  });

  test("keys stay with the stage", () => {
    assert.equal(open(frames.empty()).root.getAttribute("data-lm-suppress-shortcuts"), "true");
  });
});

describe("inside JupyterLab", () => {
  test("no key pressed on anything that can have focus is its shortcut", () => {
    const view = open(frames.killed());
    const focusable = ["button", "input", "select", "summary", "[tabindex]"].flatMap((one) => view.$$(one));
    assert.ok(focusable.length > 20);
    const open_to_it = focusable.filter((one) => one.getAttribute("data-lm-suppress-shortcuts") !== "true");
    assert.deepEqual(
      open_to_it.map((one) => one.tag),
      [],
    );
  });

  test("Enter in the text box sends the task, though JupyterLab keeps the form from being sent", () => {
    const view = open(frames.killed());
    view.fill('[data-field="task"]', "By key.");
    const event = view.$('[data-field="task"]').fire("keydown", { key: "Enter" });
    assert.equal(event.prevented, true);
    assert.deepEqual(
      view.model.sent.map((one) => [one.do, one.task]),
      [["send", "By key."]],
    );
  });

  test("Enter on a checkbox sends nothing", () => {
    const view = open(frames.killed());
    const event = view.$('[data-field="persistent"]').fire("keydown", { key: "Enter" });
    assert.deepEqual([event.prevented, view.model.sent], [false, []]);
  });
});

describe("the files", () => {
  test("no markup from text, no code from text, no address", () => {
    assert.doesNotMatch(
      source,
      /innerHTML|outerHTML|insertAdjacentHTML|\beval\b|new Function|https?:|\bimport\b|fetch\(/,
    );
    assert.doesNotMatch(css, /https?:|@import|url\(/);
  });

  test("every class of the style sheet is ours", () => {
    const rules = css.replace(/\/\*[\s\S]*?\*\//g, "");
    const foreign = [...rules.matchAll(/(?<![\d\w%)])\.([a-zA-Z][\w-]*)/g)]
      .map((match) => match[1])
      .filter((name) => !name.startsWith("workq-"));
    assert.deepEqual([...new Set(foreign)], []);
  });

  test("every class that is styled is drawn, and the other way round hooks exist", () => {
    const styled = new Set([...css.matchAll(/\.(workq-[\w-]+)/g)].map((match) => match[1]));
    const unused = [...styled].filter((name) => !source.includes(name));
    assert.deepEqual(unused, []);
  });
});
