// @ts-check

import { COMMAND } from "./behavior.js";
import { setAttribute } from "./dom.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Value } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {Record<string, string>} Under which name a lesson introduces a command, where that is another. */
const CONTROL_OF = {
  pause: "player",
  live: "player",
  step: "player",
  save_run: "details",
  kill_node: "kill",
  start_node: "kill",
};

/**
 * A button that sends a command.
 * @param {Ui} ui
 * @param {string} text
 * @param {string} name What it does; a frame may turn it into another command.
 * @param {{command?: () => Record<string, Value>, [attribute: string]: Value | (() => Record<string, Value>)}} settings
 *   Where `command` returns the arguments of what it sends; the rest are attributes.
 */
export function button(ui, text, name, { command = () => ({}), ...attributes } = {}) {
  const element = ui.h(
    "button",
    { type: "button", class: "workq-button", "data-do": name, .../** @type {Record<string, Value>} */ (attributes) },
    text,
  );
  setAttribute(element, "data-control", CONTROL_OF[name] ?? name);
  element[COMMAND] = () => ({ do: nameOf(element), ...command() });
  ui.buttons.add(element);
  return element;
}

/** @param {Element} element */
const nameOf = (element) => element.getAttribute("data-do") ?? "";

/** The buttons of one view that send commands: those that can't be pressed now say why. */
export class Buttons {
  /** @type {Map<Element, {why: string, title: string | null}>} */
  #shown = new Map();
  /** @type {Map<string, string>} Why a command is off in this view, whatever the frame says of it. */
  off = new Map();

  /** @param {Element} element */
  add(element) {
    this.#shown.set(element, { why: "", title: element.getAttribute("title") });
  }

  /**
   * The buttons in it are not looked after any more.
   * @param {Element} element
   */
  forget(element) {
    for (const one of this.#shown.keys()) if (element.contains(one)) this.#shown.delete(one);
  }

  /** @param {Frame} frame */
  draw(frame) {
    for (const [element, shown] of this.#shown) {
      const why = this.#whyOff(frame, nameOf(element));
      // aria-disabled keeps the focus where it is; `disabled` would throw it away.
      setAttribute(element, "aria-disabled", why ? "true" : null);
      if (why === shown.why) continue;
      if (shown.why === "") shown.title = element.getAttribute("title");
      shown.why = why;
      setAttribute(element, "title", why || shown.title);
    }
  }

  /**
   * @param {Frame} frame
   * @param {string} name
   */
  #whyOff(frame, name) {
    const action = frame.actions[name];
    return this.off.get(name) || (action?.enabled === false ? action.why || "Not now." : "");
  }
}
