// @ts-check

import { ON_CHANGE } from "./behavior.js";
import { button } from "./buttons.js";
import { form, numberField } from "./controls.js";
import { setAttribute, setText } from "./dom.js";
import { isIntroduced } from "./introduced.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @param {Ui} ui */
export function addWorkerForm(ui) {
  const { h } = ui;
  const ack = h(
    "select",
    {
      class: "workq-input",
      "data-field": "auto_ack",
      "aria-label": "Acknowledgment of the new worker",
      "data-control": "ack",
    },
    h("option", { value: "false" }, "manual ack"),
    h("option", { value: "true" }, "auto ack"),
  );
  const prefetch = numberField(ui, "prefetch", "prefetch_count", "1", {
    max: "65535",
    title: "Prefetch count: how many unacknowledged messages it may hold; 0 is no limit",
  });
  setAttribute(prefetch.element, "data-control", "prefetch");
  const noLimit = h("span", { class: "workq-no-limit", "data-control": "prefetch" }, "0 = no limit");
  ack[ON_CHANGE] = () => setText(noLimit, ack.value === "true" ? "auto ack has no limit" : "0 = no limit");
  const add = button(ui, "Add worker", "add_worker", {
    command: () => ({ queue: ui.queue(), auto_ack: ack.value === "true", prefetch_count: prefetch.value() }),
    type: "submit",
    class: "workq-button workq-primary",
  });
  /** @type {boolean | null} Whether the lesson has introduced the prefetch count: before that a worker has none. */
  let introduced = null;
  return {
    element: form(ui, add, { class: "workq-add" }, add, ack, prefetch.element, noLimit),
    /** @param {Frame} frame */
    draw({ controls }) {
      const now = isIntroduced(controls, "prefetch");
      if (now !== introduced) prefetch.input.value = now ? "1" : "0";
      introduced = now;
    },
  };
}
