// @ts-check

import { button } from "./buttons.js";
import { setAttribute, setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

const CONFIRM_SECONDS = 5; // how long "press again" waits

/**
 * Start over asks for a second press.
 * @param {Ui} ui
 */
export function startOverButton(ui) {
  const element = button(ui, "Start over", "start_over", {
    title: "Stop the workers, remove the queues and forget what was recorded",
  });
  /** @type {number | null} */
  let timer = null;
  const rest = () => {
    ui.timers.cancel(timer);
    timer = null;
    setAttribute(element, "data-sure", null);
    setText(element, "Start over");
  };
  return {
    element,
    rest,
    /** Whether this press may be sent. */
    press() {
      if (timer !== null) {
        rest();
        return true;
      }
      setAttribute(element, "data-sure", "ask");
      setText(element, "Press again to start over");
      timer = ui.timers.after(CONFIRM_SECONDS, rest);
      return false;
    },
  };
}
