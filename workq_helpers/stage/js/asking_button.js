// @ts-check

import { ASK } from "./behavior.js";
import { button } from "./buttons.js";
import { setAttribute, setText } from "./dom.js";

/** @import { Value } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

const CONFIRM_SECONDS = 5; // how long "press again" waits

/**
 * A button that asks for a second press before it sends its command.
 * @param {Ui} ui
 * @param {string} text
 * @param {string} name The command.
 * @param {string} question What it says after the first press.
 * @param {Record<string, Value>} attributes
 */
export function askingButton(ui, text, name, question, attributes) {
  const element = button(ui, text, name, attributes);
  /** @type {number | null} */
  let timer = null;
  const rest = () => {
    ui.timers.cancel(timer);
    timer = null;
    setAttribute(element, "data-sure", null);
    setAttribute(element, "aria-label", attributes["aria-label"] ?? null);
    setText(element, text);
  };
  const press = () => {
    if (timer !== null) {
      rest();
      return true;
    }
    setAttribute(element, "data-sure", "ask");
    setAttribute(element, "aria-label", null); // or nobody would hear the question
    setText(element, question);
    timer = ui.timers.after(CONFIRM_SECONDS, rest);
    return false;
  };
  element[ASK] = { press, rest };
  return element;
}
