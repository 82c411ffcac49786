// @ts-check

import { ON_CHANGE } from "./behavior.js";
import { button } from "./buttons.js";
import { form, numberField } from "./controls.js";
import { setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

/** @param {Ui} ui */
export function addWorkerForm(ui) {
  const { h } = ui;
  const ack = h(
    "select",
    { class: "workq-input", "data-field": "auto_ack", "aria-label": "Acknowledgment of the new worker" },
    h("option", { value: "false" }, "manual ack"),
    h("option", { value: "true" }, "auto ack"),
  );
  const prefetch = numberField(ui, "prefetch", "prefetch_count", "1", {
    max: "65535",
    title: "Prefetch count: how many unacknowledged messages it may hold; 0 is no limit",
  });
  const noLimit = h("span", { class: "workq-no-limit" }, "0 = no limit");
  ack[ON_CHANGE] = () => setText(noLimit, ack.value === "true" ? "auto ack has no limit" : "0 = no limit");
  const add = button(ui, "Add worker", "add_worker", {
    command: () => ({ queue: ui.queue(), auto_ack: ack.value === "true", prefetch_count: prefetch.value() }),
    type: "submit",
    class: "workq-button workq-primary",
  });
  return form(ui, add, { class: "workq-add" }, add, ack, prefetch.element, noLimit);
}
