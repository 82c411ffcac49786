// @ts-check

import { button } from "./buttons.js";
import { setAttribute, setHidden, setText } from "./dom.js";

/** @import { WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * What can be done to a worker.
 * @param {Ui} ui
 * @param {string} name
 */
export function workerActions(ui, name) {
  let own = ""; // the lesson's name of a program of its own
  const command = () => ({ worker: own || name });
  const stop = button(ui, "Stop", "stop", {
    command,
    "aria-label": `Stop ${name}`,
    title: "It finishes the task in hand, then says goodbye",
  });
  const kill = button(ui, "Kill", "kill", {
    command,
    "aria-label": `Kill ${name}`,
    "data-danger": true,
    title: "Cut its connection, as in a crash",
  });
  const freeze = button(ui, "Freeze", "freeze", { command });
  const element = ui.h("div", { class: "workq-worker-actions" }, stop, kill, freeze);
  return {
    element,
    /**
     * @param {WorkerCard} worker
     * @param {boolean} ended
     */
    draw({ state, program }, ended) {
      setHidden(element, ended || program === "");
      setHidden(freeze, program !== null);
      if (program && own !== program) {
        own = program;
        setAttribute(stop, "title", "SIGTERM asks its process to end");
        setAttribute(kill, "title", "SIGKILL ends its process");
      }
      const frozen = state === "frozen";
      setText(freeze, frozen ? "Thaw" : "Freeze");
      setAttribute(freeze, "data-do", frozen ? "thaw" : "freeze");
      setAttribute(freeze, "aria-label", `${frozen ? "Thaw" : "Freeze"} ${name}`);
      setAttribute(freeze, "title", frozen ? "Let it go on" : "It hangs: connected, but its work stands still");
    },
  };
}
