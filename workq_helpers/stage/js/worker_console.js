// @ts-check

import { FOLD } from "./behavior.js";
import { setHidden, setText } from "./dom.js";

/** @import { WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * What a worker printed. It folds where there is little room, unless the learner has opened or closed it.
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
  const element = h("details", { class: "workq-console-box", open: true }, h("summary", {}, "Console"), terminal);
  const fold = { open: true, touched: false };
  element[FOLD] = fold;
  return {
    element,
    /**
     * @param {WorkerCard} worker
     * @param {boolean} ended
     */
    draw({ console }, ended) {
      setText(text, console.join("\n"));
      setHidden(element, console.length === 0 && ended);
      const open = ui.density === "roomy" && !ended;
      if (fold.touched || fold.open === open) return;
      fold.open = open;
      element.open = open;
    },
  };
}
