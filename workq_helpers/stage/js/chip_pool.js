// @ts-check

import { ChipView } from "./chip.js";

/** @import { MakeElement } from "./types.d.ts" */

const MOST_SPARE = 100;

/** Chips that draw nothing at the moment, to be used again. */
export class ChipPool {
  /** @type {ChipView[]} */
  #spare = [];

  /** @param {MakeElement} h */
  constructor(h) {
    this.h = h;
  }

  take() {
    return this.#spare.pop() ?? new ChipView(this.h);
  }

  /** @param {ChipView} chip */
  give(chip) {
    chip.land();
    chip.element.remove();
    if (this.#spare.length < MOST_SPARE) this.#spare.push(chip);
  }
}
