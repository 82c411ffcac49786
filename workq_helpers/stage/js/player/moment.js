// @ts-check

/** @import { Frame, Moment } from "../frame.d.ts" */
/** @import { Position } from "./playhead.js" */
/** @import { Run } from "./run.js" */

/**
 * The frame that the stage would draw of a position in a run.
 * @param {Run} run
 * @param {Position} position
 * @param {number} number
 * @returns {Frame}
 */
export function frameOf(run, position, number) {
  const { broker_state, ...shown } = run.shown(position.index);
  const later = position.seconds - run.seconds(position.index);
  return {
    ...shown,
    workers: shown.workers.map((worker) => at(worker, later, position.mode === "replaying")),
    number,
    lesson: run.file.lesson,
    closed: "",
    playback: playbackOf(run, position),
    broker: {
      name: `RabbitMQ ${run.file.rabbitmq}`,
      found: `recorded on ${run.file.recorded}`,
      state: broker_state,
      steerable: false,
      why_not: "",
    },
    actions: {},
    queue: "",
    python: [],
    notices: [],
  };
}

/**
 * @param {Run} run
 * @param {Position} position
 * @returns {Frame["playback"]}
 */
function playbackOf(run, { mode, seconds, index }) {
  const begin = run.seconds(0);
  return {
    mode,
    seconds: Math.round((seconds - begin) * 1000) / 1000,
    end_seconds: Math.round((run.endSeconds - begin) * 1000) / 1000,
    event: run.events(index),
    events: run.events(run.length - 1),
    caption: "",
  };
}

/**
 * A worker a while after a moment: its work has gone on.
 * @param {Moment["workers"][number]} worker
 * @param {number} later In seconds.
 * @param {boolean} running Whether the picture moves.
 * @returns {Moment["workers"][number]}
 */
function at(worker, later, running) {
  const work = worker.busy_with;
  if (work === null) return worker;
  const gone = work.elapsed_seconds + (work.running ? later : 0);
  return {
    ...worker,
    busy_with: { ...work, elapsed_seconds: Math.round(gone * 1000) / 1000, running: work.running && running },
  };
}
