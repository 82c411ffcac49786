// Prints what the player draws of a run at some moments: `node frames_of_run.mjs RUN.json SECONDS...`.

import { readFileSync } from "node:fs";
import { frameOf } from "../../workq_helpers/stage/js/player/moment.js";
import { Playhead } from "../../workq_helpers/stage/js/player/playhead.js";
import { Run } from "../../workq_helpers/stage/js/player/run.js";

const [file, ...seconds] = process.argv.slice(2);
const run = Run.parse(readFileSync(file, "utf8"));
const playhead = new Playhead(run, () => 0);
for (const moment of seconds.map(Number)) {
  playhead.seek(moment);
  console.log(JSON.stringify(frameOf(run, playhead.position(), 1)));
}
