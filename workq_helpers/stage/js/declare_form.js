// @ts-check

import { button } from "./buttons.js";
import { checkbox, form, heading, textField } from "./controls.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * Declares a queue; on the page only while there is none.
 * @param {Ui} ui
 */
export function declareForm(ui) {
  const element = ui.h("div", { class: "workq-declare" });
  /** @type {HTMLFormElement | null} */
  let made = null;
  return {
    element,
    /** @param {Frame} frame */
    draw(frame) {
      const wanted = frame.queues.every((queue) => queue.gone) && frame.more_queues === 0;
      if (wanted && made === null) {
        made = makeForm(ui, frame.queue || "hello");
        element.append(made);
      } else if (!wanted && made !== null) {
        ui.saveFocus(made, element.parentElement);
        made.remove();
        ui.buttons.forget(made);
        made = null;
      }
    },
  };
}

/**
 * @param {Ui} ui
 * @param {string} queue
 */
function makeForm(ui, queue) {
  const { h } = ui;
  const name = textField(ui, "queue", queue);
  const durable = checkbox(ui, "durable", "durable", "The queue itself survives a restart of RabbitMQ");
  const declare = button(ui, "Declare", "declare", {
    command: () => ({ queue: name.value, durable: durable.input.checked }),
    type: "submit",
    class: "workq-button workq-primary",
  });
  return form(
    ui,
    declare,
    { class: "workq-declare-form" },
    heading(ui, "Q", "Queue"),
    h("p", { class: "workq-hint" }, "Declare a queue to begin with:"),
    h("label", { class: "workq-field" }, h("span", {}, "name"), name),
    durable.element,
    declare,
  );
}
