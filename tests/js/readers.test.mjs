import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

describe("for everybody", () => {
  test("the summary is spoken at most every 3 s, and only if it changed", () => {
    const view = openView({ ...frames.empty(), summary: "One." });
    const said = () => view.text(".workq-summary");
    assert.equal(view.$(".workq-summary").getAttribute("aria-live"), "polite");
    assert.equal(said(), "One.");
    view.show({ ...frames.empty(), summary: "Two." });
    view.show({ ...frames.empty(), summary: "Three." });
    assert.equal(said(), "One.");
    view.page.pass(3);
    assert.equal(said(), "Three.");
    view.page.takeWrites();
    view.page.pass(4);
    view.show({ ...frames.empty(), summary: "Three." });
    assert.ok(!view.page.takeWrites().some((write) => write.startsWith("text Three")));
  });

  test("what happened is told before the summary, each sentence once, and the last three of many", () => {
    const line = (number) => ({ number, seconds: number, text: `Sentence ${number}`, mark: "" });
    const said = () => view.text(".workq-summary");
    const view = openView({ ...frames.empty(), summary: "Now.", story: [line(1)] });
    assert.equal(said(), "Sentence 1. Now.");
    view.page.pass(3);
    view.show({ ...frames.empty(), summary: "Now.", story: [1, 2, 3, 4, 5].map(line) });
    assert.equal(said(), "Sentence 3. Sentence 4. Sentence 5. Now.");
    view.page.pass(3);
    view.show({ ...frames.empty(), summary: "Then.", story: [4, 5].map(line) });
    assert.equal(said(), "Then.");
    view.page.pass(3);
    view.show({ ...frames.empty(), summary: "Back.", story: [1, 2].map(line) });
    assert.equal(said(), "Sentence 2. Back.");
  });

  test("the table says the same, while it is open", () => {
    const view = openView(frames.killed());
    const details = view.$(".workq-table");
    details.open = true;
    details.fire("toggle");
    const rows = view
      .$$(".workq-table table tbody tr")
      .map((row) => [...row.childNodes].map((cell) => cell.textContent));
    assert.ok(rows.some((row) => row[0] === "worker-4" && row[1] === "frozen"));
    assert.ok(rows.some((row) => row[0] === "task_queue" && row[2] === "–" && row[3] === "2"));
    assert.ok(rows.some((row) => row[0] === "Invoice 17...."));
    for (const table of view.$$(".workq-table table")) {
      const heads = table.$$("thead th").length;
      assert.ok(table.$$("tbody tr").every((row) => row.childNodes.length === heads));
    }
  });

  test("a console is folded until it is asked for, and stays as it was left", () => {
    const view = openView(frames.tutorial());
    const folded = view.$('[data-worker="worker-1"] .workq-console-box');
    assert.equal(folded.open, false);
    folded.open = true;
    folded.fire("toggle");
    view.show(frames.tutorial());
    assert.equal(folded.open, true);
  });

  test("every control has a name", () => {
    const view = openView(frames.manyQueues());
    const unnamed = [...view.$$("button"), ...view.$$("input"), ...view.$$("select"), ...view.$$("summary")].filter(
      (control) =>
        !(control.textContent.trim() && control.tagName !== "SELECT") &&
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
    assert.equal(openView(frames.empty()).root.getAttribute("data-lm-suppress-shortcuts"), "true");
  });
});

describe("inside JupyterLab", () => {
  test("no key pressed on anything that can have focus is its shortcut", () => {
    const view = openView(frames.killed());
    const focusable = ["button", "input", "select", "summary", "[tabindex]"].flatMap((one) => view.$$(one));
    assert.ok(focusable.length > 20);
    const open_to_it = focusable.filter((one) => one.getAttribute("data-lm-suppress-shortcuts") !== "true");
    assert.deepEqual(
      open_to_it.map((one) => one.tagName),
      [],
    );
  });

  test("Enter in the text box sends the task, though JupyterLab keeps the form from being sent", () => {
    const view = openView(frames.killed());
    view.fill('[data-field="task"]', "By key.");
    const event = view.$('[data-field="task"]').fire("keydown", { key: "Enter" });
    assert.equal(event.defaultPrevented, true);
    assert.deepEqual(
      view.model.sent.map((one) => [one.do, one.task]),
      [["send", "By key."]],
    );
  });

  test("Enter on a checkbox sends nothing", () => {
    const view = openView(frames.killed());
    const event = view.$('[data-field="persistent"]').fire("keydown", { key: "Enter" });
    assert.deepEqual([event.defaultPrevented, view.model.sent], [false, []]);
  });
});
