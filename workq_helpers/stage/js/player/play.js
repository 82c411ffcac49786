// @ts-check
// Shows a saved run on a stage without its levers, in a place of a page.

import { View } from "../view.js";
import { Run, RunError } from "./run.js";
import { RunModel } from "./run_model.js";
import { unpack } from "./unpack.js";

const NOT_PLAYED = "This run can't be played here.";

/** A run that is shown: who has it can move it, and end it. */
export class Player {
  /**
   * @param {RunModel} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.view = new View(model, el);
    this.view.root.setAttribute("data-recorded", "true");
    this.view.place.panel = undefined; // JupyterLab's is for the stage, whose run goes on
    this.view.failed = this.model.failed = () => this.#giveUp(el);
    this.view.open(el);
  }

  /** @param {number} seconds Since the run's beginning. */
  seek(seconds) {
    this.model.send({ do: "seek", seconds });
  }

  play() {
    this.model.send({ do: "play" });
  }

  close() {
    this.view.close();
  }

  /**
   * Says so in place of the stage, where a moment of the run is not what a stage can show.
   * @param {HTMLElement} el
   */
  #giveUp(el) {
    this.close();
    tell(el, NOT_PLAYED);
  }
}

/**
 * Shows a run in a place, from a moment on; where that can't be done the place says so, and there is no player.
 * @param {HTMLElement} el
 * @param {string} packed
 * @param {number | null} [atSeconds]
 * @returns {Promise<Player | undefined>}
 */
export async function show(el, packed, atSeconds = null) {
  const window = /** @type {Window} */ (el.ownerDocument.defaultView);
  try {
    const model = new RunModel(Run.parse(await unpack(packed)), window);
    if (atSeconds !== null) model.send({ do: "seek", seconds: atSeconds });
    return new Player(model, el);
  } catch (error) {
    tell(el, error instanceof RunError ? error.message : NOT_PLAYED);
    return undefined;
  }
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
