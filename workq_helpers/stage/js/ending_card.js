// @ts-check

import { setAttribute, setStyle } from "./dom.js";

/** @import { Ui } from "./ui.js" */

const EYE_SECONDS = 4; // how long an end stands out, and the card keeps its place

/** Keeps the room of a card whose worker has just ended, so that nothing below it jumps while the eye is there. */
export class EndingCard {
  /** @type {number | null} */
  #timer = null;

  /**
   * @param {Ui} ui
   * @param {HTMLElement} element
   */
  constructor(ui, element) {
    this.ui = ui;
    this.element = element;
  }

  /** The worker ends: called while the card is still drawn as that of one at work. */
  begin() {
    const mode = this.ui.frame?.playback.mode;
    if (mode === "paused") return; // a moment that was sought is no end that happens
    setStyle(this.element, "--workq-kept", `${this.element.offsetHeight}px`);
    setAttribute(this.element, "data-ending", true);
    this.ui.timers.cancel(this.#timer);
    this.#timer = this.ui.timers.after(EYE_SECONDS, () => this.over());
  }

  /** It has been seen, or the worker is not at its end in what is shown now. */
  over() {
    if (this.#timer === null) return;
    this.ui.timers.cancel(this.#timer);
    this.#timer = null;
    setAttribute(this.element, "data-ending", null);
    setStyle(this.element, "--workq-kept", "0px");
  }
}
