// @ts-check

/** @import { WorkerCard, WorkerState } from "./frame.d.ts" */

/** @type {Record<WorkerState, string>} */
export const STATE_ICONS = {
  starting: "◔",
  idle: "○",
  busy: "▶\uFE0E",
  holding: "◐",
  frozen: "❄\uFE0E",
  reconnecting: "↻",
  disconnected: "⊘",
  stopping: "◑",
  stopped: "■",
  killed: "✕",
  crashed: "⚠\uFE0E",
};

/** @type {Set<WorkerState>} */
const ENDED = new Set(["stopped", "killed", "crashed"]);

/** @param {WorkerCard} worker */
export const hasEnded = (worker) => ENDED.has(worker.state);
