// @ts-check

import { ON_CLICK } from "./behavior.js";
import { setAttribute, setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

const COPIED_SECONDS = 2; // how long the button says what it did

/**
 * A line of Python with a button that copies it.
 * @param {Ui} ui
 * @param {string} kind
 */
export function callLine(ui, kind) {
  const code = ui.h("code");
  const copy = ui.h("button", { type: "button", class: "workq-button workq-copy" }, "Copy");
  /** @type {number | null} */
  let timer = null;
  /** @param {string} text */
  const say = (text) => {
    setText(copy, text);
    ui.timers.cancel(timer);
    timer = ui.timers.after(COPIED_SECONDS, () => setText(copy, "Copy"));
  };
  copy[ON_CLICK] = async () => {
    try {
      await ui.window.navigator.clipboard.writeText(code.textContent);
      say("Copied");
    } catch {
      select(ui, code); // no permission, or no secure address: Ctrl+C does it
      say("Selected");
    }
  };
  return {
    element: ui.h("div", { class: kind }, code, copy),
    /** @param {string} text */
    draw(text) {
      setText(code, text);
      setAttribute(copy, "aria-label", `Copy ${text}`);
    },
  };
}

/**
 * @param {Ui} ui
 * @param {Element} element
 */
function select({ document, window }, element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
}
