// @ts-check

import { COMMAND } from "./behavior.js";
import { setAttribute, setText } from "./dom.js";
import { formatSeconds } from "./words.js";

/** @import { Commands } from "./commands.js" */
/** @import { PlaybackBar } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const SEEK_SECONDS = 0.12; // it seeks not more often than frames come

/**
 * The slider over the recording, and the time beside it. While the learner has it in hand, frames leave it alone.
 * @param {Ui} ui
 * @param {Commands} commands
 */
export function scrubber(ui, commands) {
  const element = ui.h("input", {
    type: "range",
    class: "workq-scrubber",
    "data-field": "seconds",
    min: "0",
    max: "0",
    step: "0.1",
    value: "0",
    "aria-label": "Moment of the recording shown, in seconds",
  });
  element[COMMAND] = () => ({ do: "seek", seconds: Number(element.value) });
  const time = ui.h("span", { class: "workq-time" });
  let endSeconds = 0;
  let held = false;
  /** @type {number | null} The moment that the learner wants to see and that was not asked for yet. */
  let wanted = null;
  /** @type {number | null} */
  let timer = null;
  const seek = () => {
    timer = null;
    if (wanted === null) {
      held = held && ui.pressed === element;
      return;
    }
    commands.send({ do: "seek", seconds: wanted }, element);
    wanted = null;
    timer = ui.timers.after(SEEK_SECONDS, seek);
  };
  return {
    element,
    time,
    /** The learner moved it. */
    scrub() {
      held = true;
      wanted = Number(element.value);
      setText(time, `${Math.min(wanted, endSeconds).toFixed(1)} / ${formatSeconds(endSeconds)}`);
      if (timer === null) seek();
    },
    /** @param {PlaybackBar} playback */
    draw({ seconds, end_seconds }) {
      endSeconds = end_seconds;
      setAttribute(element, "max", (Math.ceil(end_seconds * 10) / 10).toFixed(1)); // else the end can't be reached
      if (held || ui.pressed === element) return;
      const value = seconds.toFixed(1);
      if (element.value !== value) element.value = value;
      setAttribute(element, "aria-valuetext", `${value} of ${formatSeconds(end_seconds)}`);
      setText(time, `${value} / ${formatSeconds(end_seconds)}`);
    },
  };
}
