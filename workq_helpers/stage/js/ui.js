// @ts-check

import { Buttons } from "./buttons.js";
import { ChipPool } from "./chip_pool.js";
import { elementMaker } from "./dom.js";
import { Resizes } from "./resizes.js";
import { Timers } from "./timers.js";

/** @import { ChipView } from "./chip.js" */
/** @import { Frame } from "./frame.d.ts" */

/** What the parts of one view share. */
export class Ui {
  /** @type {Frame | null} The frame that is drawn. */
  frame = null;
  /** @type {"roomy" | "compact" | "crowd" | "mass"} How much room each worker gets. */
  density = "roomy";
  /** @type {Map<number, {chip: ChipView, place: string}>} Where each message is drawn, by its key. */
  places = new Map();
  /** @type {EventTarget | null} What the pointer holds down. */
  pressed = null;
  /** @type {string | null} The queue that the learner chose for the forms. */
  chosenQueue = null;

  /** @param {HTMLElement} el Where the view lives. */
  constructor(el) {
    this.document = el.ownerDocument;
    this.window = /** @type {Window & typeof globalThis} */ (this.document.defaultView);
    this.h = elementMaker(this.document);
    this.timers = new Timers(this.window);
    this.resizes = new Resizes(this.window);
    this.buttons = new Buttons();
    this.chips = new ChipPool(this.h);
    this.reducedMotion = this.window.matchMedia("(prefers-reduced-motion: reduce)");
  }

  /** The time in seconds, on the page's clock. */
  now() {
    return this.window.performance.now() / 1000;
  }

  /** The queue that the forms act on. */
  queue() {
    return this.chosenQueue ?? this.frame?.queue ?? "";
  }

  /**
   * Before an element goes: focus inside it moves on instead of getting lost.
   * @param {Element} element
   * @param {Element | null | undefined} heir
   */
  saveFocus(element, heir) {
    if (heir && element.contains(this.document.activeElement)) /** @type {HTMLElement} */ (heir).focus();
  }
}
