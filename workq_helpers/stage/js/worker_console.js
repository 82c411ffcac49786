// @ts-check

import { setHidden, setText } from "./dom.js";

/** @import { WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * What a worker printed, folded until the learner asks for it.
 * @param {Ui} ui
 * @param {string} name
 */
export function workerConsole(ui, name) {
  const { h } = ui;
  const text = h("div", { class: "workq-console-text" });
  const terminal = h(
    "div",
    { class: "workq-console", tabindex: "0", role: "group", "aria-label": `Console of ${name}` },
    text,
  );
  const element = h("details", { class: "workq-console-box" }, h("summary", {}, "Console"), terminal);
  return {
    element,
    /**
     * @param {WorkerCard} worker
     * @param {boolean} ended
     */
    draw({ console }, ended) {
      setText(text, console.join("\n"));
      setHidden(element, console.length === 0 && ended);
    },
  };
}
