// @ts-check

import { setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

const PAUSE_SECONDS = 3; // a screen reader hears news at most this often

/** The picture in a sentence or two, for screen readers. */
export class Summary {
  #newest = "";
  /** @type {string | null} */
  #told = null;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** @type {number | null} */
  #timer = null;

  /** @param {Ui} ui */
  constructor(ui) {
    this.ui = ui;
    this.element = ui.h("p", { class: "workq-summary", "aria-live": "polite", role: "status" });
  }

  /** @param {string} text */
  tell(text) {
    this.#newest = text;
    if (text === this.#told || this.#timer !== null) return;
    const wait = PAUSE_SECONDS - (this.ui.now() - this.#toldAt);
    if (wait <= 0) this.#tellNewest();
    else this.#timer = this.ui.timers.after(wait, () => this.#tellNewest());
  }

  #tellNewest() {
    this.#timer = null;
    if (this.#newest === this.#told) return;
    this.#told = this.#newest;
    this.#toldAt = this.ui.now();
    setText(this.element, this.#newest);
  }
}
