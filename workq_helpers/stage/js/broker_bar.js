// @ts-check

import { askingButton } from "./asking_button.js";
import { button } from "./buttons.js";
import { reasons } from "./controls.js";
import { setAttribute, setText } from "./dom.js";

/** @import { BrokerState, Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {Record<BrokerState, string>} */
const ICONS = { up: "●", stopping: "◑", down: "✕", "coming back": "◔" };

/**
 * The broker: what it is, how it is, and what can be done to it.
 * @param {Ui} ui
 */
export function brokerBar(ui) {
  const { h } = ui;
  const lesson = h("strong", { class: "workq-lesson" });
  const broker = brokerLine(ui);
  const restart = button(ui, "Restart", "restart", {
    "aria-label": "Restart RabbitMQ",
    title: "Stop RabbitMQ properly and start it again",
  });
  const crash = askingButton(ui, "Crash", "crash", "Press again to crash RabbitMQ", {
    "aria-label": "Crash RabbitMQ",
    title: "Kill RabbitMQ without warning and start it again",
    "data-danger": true,
  });
  const startOver = askingButton(ui, "Start over", "start_over", "Press again to start over", {
    title: "Stop the workers, remove the queues and forget what was recorded",
  });
  const why = reasons(ui, ["restart", "crash", "start_over"]);
  const actions = h("div", { class: "workq-top-actions" }, restart, crash, startOver);
  return {
    element: h("div", { class: "workq-top" }, lesson, broker.element, actions, why.element),
    /** @param {Frame} frame */
    draw(frame) {
      setText(lesson, frame.lesson);
      setAttribute(lesson, "title", frame.lesson);
      broker.draw(frame);
      const { steerable, why_not } = frame.broker;
      const notOurs = steerable ? "" : why_not || "This RabbitMQ is not ours to stop.";
      ui.buttons.off.set("restart", notOurs).set("crash", notOurs);
      why.draw(frame, [notOurs]);
    },
  };
}

/** @param {Ui} ui */
function brokerLine({ h }) {
  const name = h("span", { class: "workq-broker-name" });
  const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
  const state = h("span", { class: "workq-broker-state" });
  const found = h("span", { class: "workq-found" });
  const element = h("div", { class: "workq-broker" }, name, h("span", { class: "workq-state" }, icon, state), found);
  return {
    element,
    /** @param {Frame} frame */
    draw({ broker }) {
      setText(name, broker.name);
      setText(state, broker.state);
      setText(icon, ICONS[broker.state]);
      setText(found, broker.found);
      setAttribute(found, "title", broker.found);
      setAttribute(element, "data-state", broker.state);
    },
  };
}
