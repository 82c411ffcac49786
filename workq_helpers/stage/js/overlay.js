// @ts-check

import { setAttribute, setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

/** Covers a view that does not live, says why, and turns its controls off. */
export class Overlay {
  /** @type {HTMLElement | null} */
  #element = null;
  /** @type {HTMLElement | null} Where focus was, to bring it back. */
  #focused = null;

  /**
   * @param {Ui} ui
   * @param {HTMLElement} root
   * @param {HTMLFieldSetElement} body
   */
  constructor(ui, root, body) {
    this.ui = ui;
    this.root = root;
    this.body = body;
    this.text = ui.h("p");
  }

  /** @param {string} why Nothing while the view lives. */
  draw(why) {
    setAttribute(this.root, "data-alive", why ? "false" : "true");
    if (why && this.#element === null) this.#cover();
    else if (!why && this.#element !== null) this.#uncover(this.#element);
    if (why) setText(this.text, why);
  }

  #cover() {
    const { activeElement } = this.ui.document;
    this.#focused = this.root.contains(activeElement) ? /** @type {HTMLElement} */ (activeElement) : null;
    this.#element = this.ui.h("div", { class: "workq-overlay", role: "alert" }, this.text);
    this.root.append(this.#element);
    this.body.disabled = true;
  }

  /** @param {HTMLElement} element */
  #uncover(element) {
    element.remove();
    this.#element = null;
    this.body.disabled = false;
    const { activeElement, body } = this.ui.document;
    if (activeElement === null || activeElement === body) this.#focused?.focus();
    this.#focused = null;
  }
}
