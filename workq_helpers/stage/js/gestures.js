// @ts-check

import { ASK, COMMAND, MAIN, ON_CHANGE, ON_CLICK } from "./behavior.js";

/** @import { View } from "./view.js" */
/** @typedef {Event & {target: HTMLInputElement}} On An event of an element of the view. */

/** What the learner does to one view: presses, types, points and moves on, wherever in it that happens. */
export class Gestures {
  /** @type {[EventTarget, string, (event: any) => void, boolean][]} */
  #listeners;

  /** @param {View} view */
  constructor(view) {
    this.view = view;
    const { root, ui } = view;
    const release = () => this.#release();
    this.#listeners = [
      [root, "click", (event) => this.#click(event), false],
      [root, "submit", (event) => this.#submit(event), false],
      [root, "input", (event) => this.#input(event), false],
      [root, "change", (event) => this.#change(event), false],
      [root, "focusin", (event) => this.#showCall(event.target), false],
      [root, "pointerover", (event) => this.#showCall(event.target), false],
      [root, "pointerdown", (event) => this.#press(event), false],
      [root, "keydown", (event) => this.#keydown(event), false],
      [root, "focusout", (event) => this.#focusout(event), false],
      [root, "toggle", (event) => this.#toggle(event), true], // it doesn't bubble
      [ui.window, "pointerup", release, false],
      [ui.window, "pointercancel", release, false],
    ];
  }

  connect() {
    for (const [where, name, act, capture] of this.#listeners) where.addEventListener(name, act, capture);
  }

  disconnect() {
    for (const [where, name, act, capture] of this.#listeners) where.removeEventListener(name, act, capture);
  }

  /** @param {On} event */
  #click({ target }) {
    const pressed = this.#closest(target, (one) => one[ON_CLICK] || (one[COMMAND] && one.hasAttribute("data-do")));
    if (pressed?.[ON_CLICK]) pressed[ON_CLICK]();
    else if (pressed && pressed.getAttribute("type") !== "submit") this.#run(pressed);
  }

  /** @param {On} event */
  #submit(event) {
    event.preventDefault();
    const main = event.target[MAIN];
    if (!main) return;
    this.#run(main);
    if (main.getAttribute("data-do") === "send") this.view.publisher.send.task.select();
  }

  /** @param {On} event */
  #input({ target }) {
    const { playback, publisher } = this.view;
    if (target === playback.scrubber.element) playback.scrubber.scrub();
    if (target === publisher.send.task) publisher.send.drawEffort();
    this.#showCall(target);
  }

  /** @param {On} event */
  #change({ target }) {
    target[ON_CHANGE]?.();
    this.#showCall(target);
  }

  /** @param {On} event */
  #press({ target }) {
    this.view.ui.pressed = target;
  }

  #release() {
    this.view.ui.pressed = null;
  }

  /** @param {On & KeyboardEvent} event */
  #keydown(event) {
    const { key, target } = event;
    if (isSave(event)) this.#passOn(event);
    if (key === "Escape") target[ASK]?.rest();
    const main = target.form?.[MAIN];
    if (key === "Enter" && isTextField(target) && main) {
      // JupyterLab keeps Chromium from sending a form by itself.
      event.preventDefault();
      target.form?.requestSubmit(main);
    }
  }

  /**
   * Lets Jupyter have a key that the stage keeps from it with all others; else the browser would save the page.
   * @param {KeyboardEvent} event
   */
  #passOn(event) {
    event.preventDefault();
    const { KeyboardEvent } = this.view.ui.window;
    this.view.root.parentElement?.dispatchEvent(new KeyboardEvent(event.type, event));
  }

  /** @param {On} event */
  #focusout({ target }) {
    target[ASK]?.rest();
  }

  /** @param {Event & {target: HTMLDetailsElement}} event */
  #toggle({ target }) {
    const { tables, ui } = this.view;
    if (target === tables.element && ui.frame !== null) tables.draw(ui.frame);
  }

  /**
   * Sends the command of a control, unless it is off.
   * @param {Element} control
   */
  #run(control) {
    const { body, commands } = this.view;
    if (body.disabled || control.getAttribute("aria-disabled") === "true") return;
    if (control[ASK]?.press() === false) return;
    const command = control[COMMAND]?.();
    if (command) commands.send(command, control);
  }

  /**
   * Shows the call that does the same as the control at or around an element.
   * @param {Element} target
   */
  #showCall(target) {
    const { body, commands, python } = this.view;
    if (!python.element.open || body.disabled) return;
    const control = this.#closest(target, (one) => one[COMMAND]);
    if (control !== null) commands.explain(control);
  }

  /**
   * The first element with something, from an element up to the root.
   * @param {Element} element
   * @param {(element: Element) => unknown} has
   */
  #closest(element, has) {
    for (let at = /** @type {Element | null} */ (element); at && at !== this.view.root; at = at.parentElement) {
      if (has(at)) return at;
    }
    return null;
  }
}

/** @param {KeyboardEvent} event */
function isSave({ key, ctrlKey, metaKey }) {
  return (ctrlKey || metaKey) && key.toLowerCase() === "s";
}

/** @param {Element} element */
function isTextField(element) {
  return element.tagName === "INPUT" && !["checkbox", "range"].includes(/** @type {HTMLInputElement} */ (element).type);
}
