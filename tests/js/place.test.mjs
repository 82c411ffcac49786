// Where a view of the stage is shown, on a page that has JupyterLab's panel.

import assert from "node:assert/strict";
import { test } from "node:test";
import stage from "../../workq_helpers/stage/js/stage.js";
import * as frames from "./frames.mjs";
import { FakeModel } from "./model.mjs";
import { Page } from "./page.mjs";

function opened({ beside }) {
  const page = new Page();
  const joined = [];
  page.window.workqPanel = { isBeside: () => beside, join: (place) => joined.push(place), leave: () => {} };
  const el = page.document.createElement("div");
  stage.render({ model: new FakeModel(frames.tutorial()), el });
  page.pass(1);
  return { page, joined, el };
}

test("a view whose cell is not on the page yet is nowhere: another one may be beside the notebook", () => {
  const { page, joined, el } = opened({ beside: true });
  assert.equal(joined.length, 0);
  page.document.body.append(el);
  assert.equal(page.document.querySelectorAll(".workq-stage").length, 0);
  page.pass(1);
  assert.equal(joined.length, 1);
  assert.equal(page.document.querySelectorAll(".workq-stage").length, 0, "the panel says where");
  joined[0].place("cell");
  assert.equal(el.querySelectorAll(".workq-stage").length, 1);
});

test("a view that can't be beside its notebook is in its cell", () => {
  const { page, joined, el } = opened({ beside: false });
  page.document.body.append(el);
  page.pass(1);
  assert.equal(joined.length, 0);
  assert.equal(el.querySelectorAll(".workq-stage").length, 1);
});
