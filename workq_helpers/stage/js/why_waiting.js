// @ts-check

import { hasEnded } from "./worker_states.js";

/** @import { Frame, QueueCard, WorkerState } from "./frame.d.ts" */

/** @type {Set<WorkerState>} */
const NOT_CONNECTED = new Set(["starting", "reconnecting", "disconnected", "stopping"]);

/**
 * Why messages wait in this queue, as a sentence.
 * @param {Frame} frame
 * @param {QueueCard} queue
 */
export function whyWaiting(frame, queue) {
  if (queue.gone) return queue.durability === "" ? "RabbitMQ has no such queue." : "This queue is gone.";
  const { state } = frame.broker;
  if (state !== "up" && state !== "coming back") return `RabbitMQ is ${state}: nothing moves.`;
  if (queue.ready.log === 0) {
    if (queue.ghosts.count + queue.unseen > 0 && queue.ready.broker) return "The log knows of none that waits here.";
    if (!queue.unacknowledged.log) return "Nothing waits here.";
    const consumed = frame.workers.some((worker) => worker.queue === queue.name);
    return `Nothing waits here: ${consumed ? "the workers hold the rest" : "all is in hand"}.`;
  }
  const [they, them] = queue.ready.log === 1 ? ["It waits", "it"] : ["They wait", "them"];
  const takers = frame.workers.filter((worker) => worker.queue === queue.name && !hasEnded(worker));
  if (takers.length === 0) return `${they} because no worker takes from this queue.`;
  const connected = takers.filter((worker) => !NOT_CONNECTED.has(worker.state));
  if (connected.length === 0) return `${they} until a worker is connected.`;
  if (connected.every((worker) => worker.free === 0)) {
    if (connected.every((worker) => worker.state === "frozen")) {
      return `${they} because no worker that could take ${them} responds.`;
    }
    const who = takers.length === 1 ? "the worker holds" : "every worker holds";
    return `${they} because ${who} as many as its prefetch count allows.`;
  }
  const cameBack = queue.waiting.some((message) => message.deliveries > 0);
  return `No ${cameBack ? "new " : ""}delivery of ${them} has been seen yet.`;
}
