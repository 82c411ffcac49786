// @ts-check
// The player: shows a saved run on a stage without its levers, in a page of its own or in a notebook.

import { show } from "./play.js";

/**
 * Plays a run in a place, from a moment on; returns what ends it.
 * @param {HTMLElement} el
 * @param {string} packed
 * @param {number | null} [atSeconds]
 */
export async function play(el, packed, atSeconds = null) {
  const player = await show(el, packed, atSeconds);
  return () => player?.close();
}

/**
 * Called by anywidget for a run that is shown in a notebook.
 * @param {{model: {get(name: "packed"): string}, el: HTMLElement}} place
 */
async function render({ model, el }) {
  return await play(el, model.get("packed"));
}

/** Plays every run that the page holds. */
function playAll() {
  for (const place of document.querySelectorAll(".workq-player-place")) {
    const { atSeconds } = /** @type {HTMLElement} */ (place).dataset;
    const packed = place.querySelector("script[data-workq-run]")?.textContent ?? "";
    const at = atSeconds === undefined ? null : Number(atSeconds);
    play(/** @type {HTMLElement} */ (place), packed.trim(), at);
  }
}

if (typeof document !== "undefined") playAll();

export default { render };
