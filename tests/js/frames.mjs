// Frames to draw. Python computed them, see `scripts/stage_scenes.py`; what is made here differs from one of its frames
// in what a test is about.

import { readFileSync } from "node:fs";

const made = JSON.parse(readFileSync(new URL("frames.json", import.meta.url), "utf8"));
const copyOf = (name) => () => structuredClone(made[name]);

export const empty = copyOf("empty");
export const tutorial = copyOf("tutorial");
export const killed = copyOf("killed");
export const paused = copyOf("paused");
export const notSteerable = copyOf("notSteerable");
export const down = copyOf("down");
export const closed = copyOf("closed");
export const hostile = copyOf("hostile");
export const manyQueues = copyOf("manyQueues");
export const resting = copyOf("resting");
export const exchanges = copyOf("exchanges");
export const nodes = copyOf("nodes");

/** Fifty workers with a backlog of 100,000. Each step gives all of them other messages. */
export const flood = (step = 0) => structuredClone(step % 2 === 0 ? made.flood : made.floodAfterwards);

export const scenes = {
  empty,
  tutorial,
  killed,
  flood,
  paused,
  notSteerable,
  down,
  closed,
  hostile,
  manyQueues,
  resting,
  exchanges,
  nodes,
};

let nextKey = 1_000_000;

/** A message that waits. */
export function chip(task) {
  const [waiting] = tutorial().queues[0].waiting;
  nextKey += 1;
  return { ...waiting, key: nextKey, task, dots: task.split(".").length - 1 };
}

/** A queue; its counts are those of what waits in it. */
export function queue(name, more = {}) {
  const [sample] = copyOf("sample")().queues;
  const ready = more.waiting?.length ?? 0;
  return { ...sample, name, ready: { broker: ready, log: ready }, ...more };
}

/** A worker that takes from the queue hello and is idle. */
export function worker(name, more = {}) {
  const [sample] = copyOf("sample")().workers;
  return { ...sample, name, ...more };
}

/** The broker in a state. */
export const broker = (state) => ({ ...empty().broker, state });

export const frame = (more = {}) => ({ ...empty(), queue: "hello", actions: {}, ...more });
