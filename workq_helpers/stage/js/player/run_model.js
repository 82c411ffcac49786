// @ts-check

import { frameOf } from "./moment.js";
import { Playhead } from "./playhead.js";

/** @import { Frame } from "../frame.d.ts" */
/** @import { Command, Model } from "../types.d.ts" */
/** @import { Run } from "./run.js" */

const FRAME_SECONDS = 0.1; // as often as Python draws
const HEARTBEAT_SECONDS = 2; // a view without news thinks its kernel is gone

/**
 * Stands where Python is for a stage: draws frames from a run, and takes the commands of the player.
 * @implements {Model}
 */
export class RunModel {
  /** @type {{name: string, act: (...values: never[]) => void}[]} */
  #listeners = [];
  /** @type {number | undefined} */
  #timer;
  #number = 0;
  /** @type {() => void} Called when a moment of the run can't be shown. */
  failed = () => {};

  /**
   * @param {Run} run
   * @param {Window} window
   */
  constructor(run, window) {
    this.run = run;
    this.window = window;
    this.playhead = new Playhead(run, () => window.performance.now() / 1000);
    this.#draw();
  }

  /** @param {string} name */
  get(name) {
    return name === "frame" ? this.frame : undefined;
  }

  /**
   * @param {string} name
   * @param {(...values: never[]) => void} act
   */
  on(name, act) {
    this.#listeners.push({ name, act });
    this.#timer ??= this.window.setTimeout(() => this.#tick(), FRAME_SECONDS * 1000);
  }

  /**
   * @param {string} name
   * @param {(...values: never[]) => void} act
   */
  off(name, act) {
    this.#listeners = this.#listeners.filter((one) => one.name !== name || one.act !== act);
    if (this.#listeners.length > 0) return;
    this.window.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {unknown} message */
  send(message) {
    const command = /** @type {Command} */ (message);
    this.#obey(command);
    this.#tell("msg:custom", { id: command.id, taken: true, ok: true });
    if (this.#drawOrFail()) this.#tick();
  }

  /** @param {Command} command */
  #obey(command) {
    const { playhead } = this;
    if (command.do === "play") playhead.play(Number(command.speed ?? 1));
    else if (command.do === "pause") playhead.pause();
    else if (command.do === "live") playhead.seek(this.run.endSeconds);
    else if (command.do === "seek") playhead.seek(Number(command.seconds) + this.run.seconds(0));
    else if (command.do === "step") playhead.step(Number(command.by));
  }

  #tick() {
    this.window.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#listeners.length === 0) return;
    if (!this.#drawOrFail()) return;
    const wait = this.playhead.position().mode === "replaying" ? FRAME_SECONDS : HEARTBEAT_SECONDS;
    this.#timer = this.window.setTimeout(() => this.#tick(), wait * 1000);
  }

  #drawOrFail() {
    try {
      this.#draw();
      return true;
    } catch {
      this.failed();
      return false;
    }
  }

  #draw() {
    this.#number += 1;
    /** @type {Frame} */
    this.frame = frameOf(this.run, this.playhead.position(), this.#number, this.playhead.speed);
    this.#tell("change:frame");
  }

  /**
   * @param {string} name
   * @param {unknown[]} values
   */
  #tell(name, ...values) {
    for (const one of [...this.#listeners]) if (one.name === name) one.act(.../** @type {never[]} */ (values));
  }
}
