// @ts-check
// The two forms that send tasks: one or five of them, and many.

import { button } from "./buttons.js";
import { checkbox, form, numberField, textField } from "./controls.js";
import { setText } from "./dom.js";
import { queueSelect } from "./queue_select.js";
import { countDots, plural } from "./words.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Value } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @param {Ui} ui */
export function sendForm(ui) {
  const { h } = ui;
  const target = queueSelect(ui);
  const task = textField(ui, "task", "Hello...", { "aria-label": "Task to send" });
  const effort = h("span", { class: "workq-effort" });
  const persistent = checkbox(
    ui,
    "persistent",
    "persistent",
    "delivery_mode 2: asks a durable queue to keep it on disk",
  );
  const confirm = checkbox(ui, "confirm", "confirm", "Publisher confirms: the broker says that it has the message");
  const options = () => ({ queue: ui.queue(), persistent: persistent.input.checked, confirm: confirm.input.checked });
  const send = button(ui, "Send", "send", {
    command: () => ({ ...options(), task: task.value }),
    type: "submit",
    class: "workq-button workq-primary",
    title: "Send this task (Enter)",
  });
  const five = button(ui, "Send five", "five", {
    command: options,
    title: "Send the tutorial's five tasks: one to five dots",
  });
  const element = form(
    ui,
    send,
    { class: "workq-send" },
    target.element,
    task,
    effort,
    h("div", { class: "workq-checks" }, persistent.element, confirm.element),
    h("div", { class: "workq-buttons" }, send, five),
  );
  const drawEffort = () => setText(effort, `${plural(countDots(task.value), "dot")} of work`);
  drawEffort();
  return {
    element,
    task,
    /** What both forms send with each task. */
    options,
    drawEffort,
    /** @param {Frame} frame */
    draw: (frame) => target.draw(frame),
  };
}

/**
 * @param {Ui} ui
 * @param {() => Record<string, Value>} options
 */
export function manyForm(ui, options) {
  const count = numberField(ui, "tasks", "count", "20", { min: "1" });
  const dots = numberField(ui, "dots each", "dots", "1");
  const rate = numberField(ui, "a second", "rate", "0", { step: "any" });
  const many = button(ui, "Send them", "many", {
    command: () => ({ ...options(), count: count.value(), dots: dots.value(), rate: rate.value() }),
    type: "submit",
  });
  return form(
    ui,
    many,
    { class: "workq-many-form" },
    count.element,
    dots.element,
    rate.element,
    ui.h("p", { class: "workq-hint" }, "0 a second: as fast as it goes"),
    many,
  );
}
