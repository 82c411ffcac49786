// @ts-check

import { hasEnded } from "./worker_states.js";

/** @import { WorkerCard } from "./frame.d.ts" */

const COMPACT_FROM = 5; // this many workers: consoles fold
const CROWD_FROM = 9; // this many: small cards in a grid of their own row
const MASS_FROM = 17; // this many: a line each
const ENDED_IN_THE_ROOM_OF_ONE = 3;

/**
 * How much room each worker gets; ended ones need little.
 * @param {WorkerCard[]} workers
 * @returns {"roomy" | "compact" | "crowd" | "mass"}
 */
export function densityOf(workers) {
  const ended = workers.filter(hasEnded).length;
  const count = workers.length - ended + Math.floor(ended / ENDED_IN_THE_ROOM_OF_ONE);
  if (count >= MASS_FROM) return "mass";
  if (count >= CROWD_FROM) return "crowd";
  return count >= COMPACT_FROM ? "compact" : "roomy";
}
