// @ts-check

import { ENDS } from "./ends.js";

/** @import { ChipView } from "./chip.js" */
/** @import { Chip, Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */
/** @typedef {{chip: ChipView, place: string}} Placed */

const FLIGHT_MILLISECONDS = 190; // how long a chip takes from its old place to its new one
const RING_MILLISECONDS = 1500;
const MOST_FLIGHTS = 20; // more at once is not a movement that an eye can follow

/** Moves chips from where they were in the last frame to where they are in this one. */
export class Flights {
  /** @type {Map<number, {box: DOMRect, place: string}>} Where those were that will move, by the message's key. */
  #before = new Map();

  /** @param {Ui} ui */
  constructor(ui) {
    this.ui = ui;
  }

  /**
   * Called before drawing: who will move, and where is it now?
   * @param {Frame} frame
   */
  note(frame) {
    this.#before.clear();
    if (!this.#allowed(frame) || this.ui.places.size === 0) return;
    const { moving, shifting } = this.#movesOf(frame);
    if (moving.length === 0 || moving.length > MOST_FLIGHTS) return;
    for (const [key, was] of moving.concat(shifting).slice(0, MOST_FLIGHTS)) {
      this.#before.set(key, { box: was.chip.element.getBoundingClientRect(), place: was.place });
    }
  }

  /** Called after drawing: let them travel. */
  start() {
    const flights = [];
    for (const [key, { box, place }] of this.#before) {
      const now = this.ui.places.get(key);
      if (now === undefined || now.chip.element.animate === undefined) continue;
      now.chip.flight?.cancel();
      flights.push({ now, box, place });
    }
    // Every place is measured before the first one moves: one layout of the page is enough.
    const measured = flights.map((flight) => ({ ...flight, to: flight.now.chip.element.getBoundingClientRect() }));
    const edge = measured.length > 0 ? rightEdgeOf(measured[0].now.chip.element) : 0;
    for (const { now, box, place, to } of measured) fly(now, box, place, to, edge);
    this.#before.clear();
  }

  /** @param {Frame} frame */
  #allowed({ playback: { mode } }) {
    return (mode === "live" || mode === "replaying") && !this.ui.reducedMotion.matches;
  }

  /** @param {Frame} frame */
  #movesOf(frame) {
    /** @type {[number, Placed][]} */
    const moving = [];
    /** @type {[number, Placed][]} */
    const shifting = [];
    eachMessage(frame, (message, place) => {
      const was = this.ui.places.get(message.key);
      if (was === undefined) return;
      if (was.place !== place) moving.push([message.key, was]);
      else if (place.startsWith("queue ")) shifting.push([message.key, was]);
    });
    return { moving, shifting };
  }
}

/**
 * How far to the right a stage goes: what flies beyond it would have the panel show a scroll bar.
 * @param {Element} element In the stage.
 */
function rightEdgeOf(element) {
  const { left, width } = /** @type {Element} */ (element.closest(".workq-stage")).getBoundingClientRect();
  return left + width;
}

/**
 * @param {Placed} now
 * @param {DOMRect} from
 * @param {string} was
 * @param {DOMRect} to
 * @param {number} edge How far to the right it may go.
 */
function fly({ chip, place }, from, was, to, edge) {
  const [x, y] = [Math.min(from.left - to.left, edge - to.left - to.width), from.top - to.top];
  if (from.width === 0 || to.width === 0 || (Math.abs(x) < 1 && Math.abs(y) < 1)) return;
  chip.flight = chip.element.animate(
    [
      { transform: `translate(${x}px, ${y}px)`, zIndex: 9 },
      { transform: "none", zIndex: 9 },
    ],
    { duration: FLIGHT_MILLISECONDS, easing: "cubic-bezier(.2, .7, .3, 1)" },
  );
  if (!was.startsWith("worker ") || !(place.startsWith("queue ") || place === "end lost")) return;
  // What a kill threw back or lost keeps a ring for a moment, so that the eye finds it.
  chip.element.animate([{ outline: "3px solid currentColor" }, { outline: "3px solid transparent" }], {
    duration: RING_MILLISECONDS,
    easing: "ease-in",
  });
}

/**
 * Every drawn message of a frame with the name of its place.
 * @param {Frame} frame
 * @param {(message: Chip, place: string) => void} visit
 */
function eachMessage(frame, visit) {
  for (const queue of frame.queues) {
    for (const message of queue.waiting) visit(message, `queue ${queue.name}`);
  }
  for (const worker of frame.workers) {
    for (const message of worker.slots) visit(message, `worker ${worker.name}`);
  }
  for (const { name } of ENDS) {
    for (const message of frame.ends[name].recent) visit(message, `end ${name}`);
  }
}
