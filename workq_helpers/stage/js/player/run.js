// @ts-check

/** @import { Recorded } from "../frame.d.ts" */
/** @import { RunFile, Reference } from "./run_file.d.ts" */

export const FORMAT = "workq-run";
export const VERSION = 1;

/** A run that can't be played, and why. */
export class RunError extends Error {}

/**
 * Whether a moment is one, and does not come before the one that it follows.
 * @param {unknown} row
 * @param {number} index
 * @param {unknown[]} rows
 */
function isMoment(row, index, rows) {
  if (!Array.isArray(row) || !Number.isFinite(row[0]) || !Number.isInteger(row[1])) return false;
  const before = /** @type {number[] | undefined} */ (rows[index - 1]) ?? [0, 0];
  return row[0] >= before[0] && row[1] >= before[1];
}

/** A saved run: what the stage showed, moment by moment. */
export class Run {
  /** @type {RunFile} */
  #file;

  /** @param {RunFile} file */
  constructor(file) {
    this.#file = file;
  }

  /**
   * Returns the run that a text holds.
   * @param {string} text
   */
  static parse(text) {
    let file;
    try {
      file = JSON.parse(text);
    } catch {
      throw new RunError("This is no saved run: it is not JSON.");
    }
    if (file?.format !== FORMAT) throw new RunError(`This is no saved run: it does not say "${FORMAT}".`);
    if (file.version !== VERSION)
      throw new RunError(`This run is of version ${file.version} of its format, and this player knows ${VERSION}.`);
    const lists = [file.fields, file.parts, file.moments, file.marks];
    if (!lists.every(Array.isArray) || file.moments.length === 0 || !file.moments.every(isMoment))
      throw new RunError("This run is not whole. Get the file once more.");
    return new Run(file);
  }

  get file() {
    return this.#file;
  }

  /** How many moments there are. */
  get length() {
    return this.#file.moments.length;
  }

  get endSeconds() {
    return this.seconds(this.length - 1);
  }

  /** @param {number} index */
  seconds(index) {
    return this.#file.moments[index][0];
  }

  /** @param {number} index */
  events(index) {
    return this.#file.moments[index][1];
  }

  /**
   * What was shown at a moment, as a value of its own.
   * @param {number} index
   * @returns {Recorded}
   */
  shown(index) {
    const [, , ...references] = this.#file.moments[index];
    const fields = this.#file.fields.map((field, position) => [
      field,
      this.#part(/** @type {Reference} */ (references[position])),
    ]);
    return { cluster: null, resting: [], ...Object.fromEntries(fields) }; // which earlier files do not have
  }

  /**
   * Whether some worker is at work at a moment.
   * @param {number} index
   */
  works(index) {
    return this.shown(index).workers.some((worker) => worker.busy_with?.running);
  }

  /**
   * The last moment that has come by then.
   * @param {number} seconds
   */
  indexAt(seconds) {
    return this.#last((index) => this.seconds(index) <= seconds);
  }

  /**
   * The last moment with no more events than these.
   * @param {number} events
   */
  indexOf(events) {
    return this.#last((index) => this.events(index) <= events);
  }

  /**
   * The last moment for which something holds that holds for all those before; the first, where it holds for none.
   * @param {(index: number) => boolean} holds
   */
  #last(holds) {
    let low = 0;
    let high = this.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (holds(middle)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * @param {Reference} reference
   * @returns {unknown}
   */
  #part(reference) {
    const { parts } = this.#file;
    if (typeof reference === "number") return parts[reference];
    if (Array.isArray(reference)) return reference.map((place) => parts[place]);
    return Object.fromEntries(Object.entries(reference).map(([name, place]) => [name, parts[place]]));
  }
}
