import assert from "node:assert/strict";
import { test } from "node:test";

import { play } from "../../workq_helpers/stage/js/player/player.js";
import { Run, RunError } from "../../workq_helpers/stage/js/player/run.js";
import { RunModel } from "../../workq_helpers/stage/js/player/run_model.js";
import { Page } from "./page.mjs";
import { packed, runFile } from "./run.mjs";

const settle = () => new Promise((resolve) => setImmediate(resolve));

async function opened(file = runFile(), at = null, page = new Page()) {
  const el = page.place();
  const close = await play(el, packed(file), at);
  page.paint();
  return { page, el, close };
}

const time = (el) => el.$(".workq-time").textContent;
const press = (page, el, selector) => {
  el.$(selector).click();
  page.paint();
};

test("a run opens at its beginning, or where it is told to", async () => {
  const { el } = await opened();
  assert.equal(time(el), "0.0 / 4.0 s");
  assert.equal(el.$(".workq-stage").getAttribute("data-recorded"), "true");
  const later = await opened(runFile(), 2.2);
  assert.equal(time(later.el), "2.2 / 4.0 s");
});

test("it stays in its cell though JupyterLab has a panel for the stage", async () => {
  const page = new Page();
  const joined = [];
  page.window.workqPanel = { isBeside: () => true, join: (place) => joined.push(place), leave: () => {} };
  await opened(runFile(), null, page);
  page.pass(1);
  assert.deepEqual(joined, []);
});

test("it asks nobody to press what is not there", async () => {
  const { el } = await opened();
  assert.doesNotMatch(el.$(".workq-empty").textContent, /Press/);
});

test("it can be read as a table, and says what its signs mean", async () => {
  const { page, el } = await opened(runFile(), 2.2);
  assert.equal(el.$(".workq-stage").getAttribute("data-controls"), "player details");
  el.$(".workq-table").open = true;
  press(page, el, "[data-do=step]");
  assert.match(el.$(".workq-tables").textContent, /worker-1/);
});

test("it plays to its end, and from the beginning again", async () => {
  const { page, el } = await opened();
  press(page, el, "[data-do=play]");
  page.pass(1.55);
  page.paint();
  assert.equal(time(el), "1.5 / 4.0 s");
  page.pass(10);
  page.paint();
  assert.equal(time(el), "4.0 / 4.0 s");
  assert.equal(el.$(".workq-play").getAttribute("data-do"), "play");
  press(page, el, "[data-do=play]");
  page.pass(0.25);
  page.paint();
  assert.equal(time(el), "0.2 / 4.0 s");
});

test("it does not wait for a learner who read in between", async () => {
  const file = runFile();
  for (const moment of file.moments.slice(2)) moment[0] += 100; // nobody works before
  const { page, el } = await opened(file);
  press(page, el, "[data-do=play]");
  page.pass(2);
  page.paint();
  assert.equal(time(el), "102.5 / 104.0 s");
});

test("a step goes to the next event and back", async () => {
  const { page, el } = await opened();
  const [back, on] = el.$$("[data-do=step]");
  on.click();
  page.paint();
  assert.equal(time(el), "1.0 / 4.0 s");
  on.click();
  on.click();
  back.click();
  page.paint();
  assert.equal(time(el), "2.0 / 4.0 s");
  assert.match(el.$(".workq-events").textContent, /^event 2 of 4/);
});

test("a view without a kernel stays alive for as long as it is looked at", async () => {
  const { page, el } = await opened();
  page.pass(60);
  page.paint();
  assert.equal(el.$(".workq-stage").getAttribute("data-alive"), "true");
});

test("a player that is closed lets go of the page", async () => {
  const { page, el, close } = await opened();
  close();
  assert.equal(el.$(".workq-stage"), null);
  page.pass(10);
  assert.equal(page.timers.size, 0);
});

test("work goes on between two moments, and stands while it is paused", () => {
  const model = new RunModel(Run.parse(JSON.stringify(runFile())), new Page().window);
  model.send({ do: "seek", seconds: 2.5 });
  const { busy_with } = model.get("frame").workers[0];
  assert.deepEqual([busy_with.elapsed_seconds, busy_with.running], [0.5, false]);
});

for (const [name, text] of Object.entries({
  "other JSON": "[]",
  "no JSON": "{",
  "another version": JSON.stringify({ ...runFile(), version: 7 }),
  "no moments": JSON.stringify({ ...runFile(), moments: [] }),
  "no parts": JSON.stringify({ ...runFile(), parts: {} }),
})) {
  test(`a sentence says what is wrong with ${name}`, async () => {
    assert.throws(() => Run.parse(text), RunError);
    const page = new Page();
    const el = page.place();
    await play(el, packed(text));
    assert.match(el.$("[role=alert]").textContent, /run/);
    assert.equal(el.$(".workq-stage"), null);
  });
}

test("what is not packed, or broken inside, gets a sentence too", async () => {
  const broken = { ...runFile(), parts: [] };
  for (const given of ["", "%%%", "AAAA", packed(broken)]) {
    const page = new Page();
    const el = page.place();
    await play(el, given);
    await settle();
    assert.equal(el.$$("[role=alert]").length, 1);
    assert.equal(el.$(".workq-stage"), null);
  }
});

test("a moment that is no moment of a stage is told in a sentence, wherever in the run it is", async () => {
  const places = ["workers", "ends", "queues", "story", "publishers"];
  for (const field of places) {
    for (const broken of [null, {}, [null], 10 ** 30, "<img src=x onerror=alert(1)>"]) {
      const file = runFile();
      const column = 2 + file.fields.indexOf(field);
      file.moments[2][column] = file.parts.push(broken) - 1;
      const { page, el } = await opened(file);
      assert.ok(el.$(".workq-stage"), "its beginning is whole");
      press(page, el, "[data-do=play]");
      page.pass(2.05);
      page.paint();
      const told = el.$("[role=alert]");
      assert.equal(told?.textContent ?? "", el.$(".workq-stage") ? "" : "This run can't be played here.");
      assert.equal(el.$("img"), null);
    }
  }
});

test("moments that are no numbers, or come before those that they follow, are refused", async () => {
  for (const seconds of [-1, "1", null, "NaN", {}]) {
    const file = runFile();
    file.moments[1][0] = seconds;
    const { el } = await opened(file);
    assert.equal(el.$("[role=alert]").textContent, "This run is not whole. Get the file once more.");
  }
});
