// A saved run, as docs/saved_runs.md and workq_helpers/stage/saved_run.py have it.

import type { StoryLine } from "../frame.d.ts";

/** Where a part of a moment stands: one place in the parts, or a place for each of its own parts. */
export type Reference = number | number[] | Record<string, number>;

/** Its seconds since the lesson opened, how many events had happened by then, and a reference for each field. */
export type MomentRow = [number, number, ...unknown[]];

export interface RunFile {
  format: "workq-run";
  version: 1;
  lesson: string;
  recorded: string;
  rabbitmq: string;
  fields: string[];
  parts: unknown[];
  moments: MomentRow[];
  marks: StoryLine[];
}
