// @ts-check

/** The timers of one view: none of them outlives it. */
export class Timers {
  /** @type {Set<number>} */
  #running = new Set();

  /** @param {Window} window */
  constructor(window) {
    this.window = window;
  }

  /**
   * @param {number} seconds
   * @param {() => void} act
   */
  after(seconds, act) {
    const timer = this.window.setTimeout(() => {
      this.#running.delete(timer);
      act();
    }, seconds * 1000);
    this.#running.add(timer);
    return timer;
  }

  /** @param {number | null | undefined} timer */
  cancel(timer) {
    if (timer === null || timer === undefined) return;
    this.window.clearTimeout(timer);
    this.#running.delete(timer);
  }

  cancelAll() {
    for (const timer of this.#running) this.cancel(timer);
  }
}
