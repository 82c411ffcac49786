// @ts-check

/** @import { Ui } from "./ui.js" */

const SILENCE_SECONDS = 4.5; // Python sends a frame at least every 2 s; after this long without one the view is dead
const A_MOMENT_SECONDS = 0.01; // so that the limit is over when the timer looks

const SILENT =
  "No news from the kernel. It is busy, stopped or was restarted, so this picture may be out of date and its " +
  "controls are off. If the kernel was restarted, run the cells again from the top.";
const DISCONNECTED =
  "This picture has lost its kernel: it was restarted or stopped. The controls are off. Run the cells again from the " +
  "top for a new one.";

/** Is anybody there? A frame says so; silence, and what Jupyter tells of the kernel, say the contrary. */
export class Liveness {
  /** Why the view is dead; nothing while it lives. */
  reason = "";
  #watching = false;

  /**
   * @param {Ui} ui
   * @param {() => void} changed Called when the reason may be another.
   */
  constructor(ui, changed) {
    this.ui = ui;
    this.changed = changed;
    this.heardAt = ui.now();
    this.#watch();
  }

  /** A frame came. */
  heard() {
    this.heardAt = this.ui.now();
    this.reason = "";
    this.changed();
    if (!this.#watching) this.#watch();
  }

  /** The kernel is gone, or the way to it. */
  lost() {
    this.reason = DISCONNECTED;
    this.changed();
  }

  #watch() {
    const silentSeconds = this.ui.now() - this.heardAt;
    this.#watching = silentSeconds < SILENCE_SECONDS;
    if (this.#watching) {
      this.ui.timers.after(SILENCE_SECONDS - silentSeconds + A_MOMENT_SECONDS, () => this.#watch());
      return;
    }
    this.reason ||= SILENT;
    this.changed();
  }
}
