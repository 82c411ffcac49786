// A saved run of four events, made of the frames that other tests draw.

import { gzipSync } from "node:zlib";
import { tutorial } from "./frames.mjs";

const CONTENTS = (({ broker, ...frame }) => {
  const { number, lesson, closed, during, playback, actions, queue, python, notices, ...contents } = frame;
  return { ...contents, broker_state: broker.state };
})(tutorial());

/** What is written in a file: at 0 s nothing, from 2 s on a worker at work. */
export function runFile() {
  const fields = Object.keys(CONTENTS);
  const parts = [];
  const place = (part) => parts.push(part) - 1;
  const moments = [0, 1, 2, 3, 4].map((second) => [second, second, ...fields.map((field) => refer(field, second))]);
  function refer(field, second) {
    const value = field === "workers" ? workers(second) : CONTENTS[field];
    if (Array.isArray(value)) return value.map(place);
    return place(value);
  }
  return {
    format: "workq-run",
    version: 1,
    lesson: "round-robin",
    recorded: "2026-01-31",
    rabbitmq: "4.3.6",
    fields,
    parts,
    moments,
    marks: [],
    tasks: [],
  };
}

function workers(second) {
  const [worker] = structuredClone(CONTENTS.workers);
  const work = {
    key: 1,
    task: "A.",
    dots: 1,
    elapsed_seconds: second - 2,
    work_seconds: 9,
    running: true,
    settled: false,
  };
  return [{ ...worker, busy_with: second < 2 ? null : work }];
}

/** As a page holds it. */
export const packed = (file) => gzipSync(typeof file === "string" ? file : JSON.stringify(file)).toString("base64");
