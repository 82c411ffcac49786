// @ts-check

import { setAttribute, setHidden, setStyle, setText } from "./dom.js";
import { formatSeconds, isolated } from "./words.js";

/** @import { Slot, Work } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const DRIFT_SECONDS = 0.35; // a bar that is off by more than this is set right
const STILL_DRIFT_SECONDS = 0.01; // the same for one that stands still
const SHORTEST_RUN_SECONDS = 0.15; // a bar that would be full sooner is drawn full
const LEAST_WORK_SECONDS = 0.001;

/**
 * The bar that runs while a task is worked on. CSS moves it; a frame only starts, stops or corrects it.
 * @param {Ui} ui
 */
export function workBar(ui) {
  const { h } = ui;
  const fill = h("span", { class: "workq-fill" });
  const track = h("span", { class: "workq-track", role: "img" }, fill);
  const label = h("span", { class: "workq-work-label" });
  const length = h("span", { class: "workq-work-seconds" });
  const element = h("div", { class: "workq-work", hidden: true }, label, track, length);
  /** @type {{work: Work, at: number, speed: number} | null} What the bar shows, and since when. */
  let shown = null;
  let odd = false;
  const speed = () => ui.frame?.playback.speed ?? 1;

  /** @param {Work} work */
  const start = (work) => {
    const all = Math.max(work.work_seconds, LEAST_WORK_SECONDS);
    const left = (all - work.elapsed_seconds) / speed();
    const runs = work.running && left >= SHORTEST_RUN_SECONDS;
    const full = work.running && !runs && !ui.reducedMotion.matches;
    const part = Math.min(1, work.elapsed_seconds / all);
    setAttribute(element, "data-running", work.running ? "true" : "false");
    setStyle(fill, "--workq-part", full ? "1" : part.toFixed(3));
    if (runs) {
      setStyle(fill, "--workq-left", `${left.toFixed(2)}s`);
      odd = !odd; // another name of the same animation starts it anew, without measuring anything
    }
    setAttribute(fill, "data-run", runs ? (odd ? "a" : "b") : null);
  };

  return {
    element,
    /**
     * @param {Work | null} work
     * @param {Slot[]} held
     */
    draw(work, held) {
      setHidden(element, work === null);
      if (work === null) {
        shown = null;
        return;
      }
      const inSlots = held.some((message) => message.key === work.key);
      setText(label, inSlots ? "" : `working on ${isolated(work.task)}${work.settled ? " (settled already)" : ""}`);
      setHidden(label, inSlots);
      setText(length, formatSeconds(work.work_seconds));
      setAttribute(track, "aria-label", `working on ${work.task}, ${formatSeconds(work.work_seconds)} of work`);
      const at = ui.now();
      if (shown !== null && !ui.reducedMotion.matches && isOnTime(shown, work, at, speed())) return;
      shown = { work, at, speed: speed() };
      start(work);
    },
  };
}

/**
 * Whether a bar that was drawn a while ago shows the same as a new one would.
 * @param {{work: Work, at: number, speed: number}} shown
 * @param {Work} work
 * @param {number} now
 * @param {number} speed
 */
function isOnTime({ work: old, at, speed: oldSpeed }, work, now, speed) {
  if (oldSpeed !== speed) return false;
  if (old.key !== work.key || old.running !== work.running || old.work_seconds !== work.work_seconds) return false;
  const expected = old.elapsed_seconds + (old.running ? (now - at) * speed : 0);
  return Math.abs(expected - work.elapsed_seconds) < (old.running ? DRIFT_SECONDS : STILL_DRIFT_SECONDS);
}
