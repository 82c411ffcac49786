// @ts-check

/** @import { Run } from "./run.js" */

/**
 * @typedef {object} Position
 * @property {"paused" | "replaying"} mode
 * @property {number} seconds The moment, since the lesson opened.
 * @property {number} index The last moment of the run that has come by then.
 */

const LONGEST_PAUSE_SECONDS = 2; // a learner who read in between is not waited for
const LEAD_SECONDS = 0.5; // before what comes next

/** Moves over a saved run; it is told the time. */
export class Playhead {
  /** @type {"paused" | "replaying"} */
  #mode = "paused";
  #seconds;
  #index;
  #began = 0;
  #speed = 1;

  /**
   * @param {Run} run
   * @param {() => number} now Tells the time, in seconds.
   */
  constructor(run, now) {
    this.run = run;
    this.now = now;
    this.#index = 0;
    this.#seconds = run.seconds(0);
  }

  get speed() {
    return this.#speed;
  }

  /** @returns {Position} Where it is now; a replay ends with the run. */
  position() {
    const { run } = this;
    if (this.#mode === "replaying") {
      const seconds = this.#seconds + (this.now() - this.#began) * this.#speed;
      if (seconds < run.endSeconds) return { mode: "replaying", ...this.#withoutPause(seconds) };
      this.#hold(run.endSeconds, run.length - 1);
    }
    return { mode: this.#mode, seconds: this.#seconds, index: this.#index };
  }

  /**
   * Passes over a time in which nothing went on and nothing came.
   * @param {number} seconds
   */
  #withoutPause(seconds) {
    const { run } = this;
    const index = run.indexAt(seconds);
    const next = run.seconds(Math.min(index + 1, run.length - 1));
    if (next - run.seconds(index) <= LONGEST_PAUSE_SECONDS || seconds >= next - LEAD_SECONDS || run.works(index))
      return { seconds, index };
    this.#seconds = next - LEAD_SECONDS;
    this.#began = this.now();
    return { seconds: this.#seconds, index };
  }

  pause() {
    const { seconds, index } = this.position();
    this.#hold(seconds, index);
  }

  /**
   * Plays from here; from the beginning, where this is the end.
   * @param {number} speed How many seconds of the run pass in one.
   */
  play(speed = 1) {
    const { mode, seconds, index } = this.position();
    const atEnd = mode === "paused" && index === this.run.length - 1;
    this.#seconds = atEnd ? this.run.seconds(0) : seconds;
    this.#began = this.now();
    this.#speed = speed;
    this.#mode = "replaying";
  }

  /** @param {number} seconds */
  seek(seconds) {
    const held = Math.min(Math.max(seconds, this.run.seconds(0)), this.run.endSeconds);
    this.#hold(held, this.run.indexAt(held));
  }

  /** @param {number} by How many events further on, or back where it is negative. */
  step(by) {
    const { index } = this.position();
    const { run } = this;
    const wanted = run.indexOf(run.events(index) + by);
    const next = wanted === index && by > 0 ? index + 1 : wanted; // several events may have come at once
    const held = Math.min(Math.max(next, 0), run.length - 1);
    this.#hold(run.seconds(held), held);
  }

  /**
   * @param {number} seconds
   * @param {number} index
   */
  #hold(seconds, index) {
    this.#mode = "paused";
    this.#seconds = seconds;
    this.#index = index;
  }
}
