// @ts-check

/** What one view does when an element gets more or less room; nothing of it outlives the view. */
export class Resizes {
  /** @type {Map<Element, () => void>} */
  #acts = new Map();

  /** @param {Window & typeof globalThis} window */
  constructor(window) {
    this.observer = new window.ResizeObserver((entries) => {
      for (const { target } of entries) this.#acts.get(target)?.();
    });
  }

  /**
   * @param {Element} element
   * @param {() => void} act
   */
  watch(element, act) {
    this.#acts.set(element, act);
    this.observer.observe(element);
  }

  stop() {
    this.observer.disconnect();
  }
}
