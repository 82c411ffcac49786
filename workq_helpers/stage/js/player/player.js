// @ts-check
// The player: shows a saved run on a stage without its levers, in a page of its own, on the site or in a notebook.

import { View } from "../view.js";
import { Run, RunError } from "./run.js";
import { RunModel } from "./run_model.js";
import { unpack } from "./unpack.js";

const NOT_PLAYED = "This run can't be played here.";

/**
 * Plays a run in a place, from a moment on; returns what ends it.
 * @param {HTMLElement} el
 * @param {string} packed
 * @param {number | null} [atSeconds]
 */
export async function play(el, packed, atSeconds = null) {
  const window = /** @type {Window} */ (el.ownerDocument.defaultView);
  try {
    const model = new RunModel(Run.parse(await unpack(packed)), window);
    if (atSeconds !== null) model.send({ do: "seek", seconds: atSeconds });
    const view = new View(model, el);
    view.root.setAttribute("data-recorded", "true");
    view.open(el);
    return () => view.close();
  } catch (error) {
    tell(el, error instanceof RunError ? error.message : NOT_PLAYED);
    return () => {};
  }
}

/**
 * Called by anywidget for a run that is shown in a notebook.
 * @param {{model: {get(name: "packed"): string}, el: HTMLElement}} place
 */
async function render({ model, el }) {
  return await play(el, model.get("packed"));
}

/**
 * @param {HTMLElement} el
 * @param {string} text
 */
function tell(el, text) {
  const paragraph = el.ownerDocument.createElement("p");
  paragraph.setAttribute("role", "alert");
  paragraph.textContent = text;
  el.append(paragraph);
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
