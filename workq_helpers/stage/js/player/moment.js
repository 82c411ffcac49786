// @ts-check

/** @import { Frame, Recorded } from "../frame.d.ts" */
/** @import { Position } from "./playhead.js" */
/** @import { Run } from "./run.js" */

/**
 * The frame that the stage would draw of a position in a run.
 * @param {Run} run
 * @param {Position} position
 * @param {number} number
 * @param {number} speed
 * @returns {Frame}
 */
export function frameOf(run, position, number, speed = 1) {
  const { broker_state, ...shown } = run.shown(position.index);
  const later = position.seconds - run.seconds(position.index);
  return {
    ...shown,
    workers: shown.workers.map((worker) => at(worker, later, position.mode === "replaying")),
    number,
    lesson: run.file.lesson,
    closed: "",
    during: "",
    controls: ["player", "details"],
    playback: playbackOf(run, position, speed),
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
 * @param {number} speed
 * @returns {Frame["playback"]}
 */
function playbackOf(run, { mode, seconds, index }, speed) {
  const begin = run.seconds(0);
  return {
    mode,
    speed,
    seconds: Math.round((seconds - begin) * 1000) / 1000,
    end_seconds: Math.round((run.endSeconds - begin) * 1000) / 1000,
    event: run.events(index),
    events: run.events(run.length - 1),
    caption: "",
    marks: run.file.marks.map((mark) => ({ ...mark, seconds: mark.seconds - begin })),
  };
}

/**
 * A worker a while after a moment: its work has gone on.
 * @param {Recorded["workers"][number]} worker
 * @param {number} later In seconds.
 * @param {boolean} running Whether the picture moves.
 * @returns {Recorded["workers"][number]}
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
