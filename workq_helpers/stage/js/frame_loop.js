// @ts-check

/** @import { Frame } from "./frame.d.ts" */

/** Draws the newest frame, in the next animation frame: those that came in between are not drawn. */
export class FrameLoop {
  /** @type {Frame | null} */
  #newest = null;
  /** @type {number | null} */
  #request = null;

  /**
   * @param {Window} window
   * @param {(frame: Frame) => void} draw
   * @param {(error: unknown) => void} failed What becomes of a frame that can't be drawn.
   */
  constructor(window, draw, failed) {
    this.window = window;
    this.draw = draw;
    this.failed = failed;
  }

  /** @param {Frame} frame */
  show(frame) {
    this.#newest = frame;
    this.#request ??= this.window.requestAnimationFrame(() => this.#drawNewest());
  }

  stop() {
    if (this.#request !== null) this.window.cancelAnimationFrame(this.#request);
    this.#request = null;
  }

  #drawNewest() {
    this.#request = null;
    const frame = this.#newest;
    this.#newest = null;
    if (frame === null) return;
    try {
      this.draw(frame);
    } catch (error) {
      this.failed(error);
    }
  }
}
