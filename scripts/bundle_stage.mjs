// Make one file of the stage's JavaScript modules and one of its style sheets: `node scripts/bundle_stage.mjs`.
// With --check nothing is written; the exit status says whether what is there is what the modules make.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const made = (folder) =>
  `Made by \`make bundle\` from the modules in workq_helpers/stage/${folder}: change them, not this.`;

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ["js/stage.js", "js/player/player.js", "css/stage.css", "css/player.css"].map(
    (file) => `workq_helpers/stage/${file}`,
  ),
  entryNames: "[name]",
  outdir: "workq_helpers/stage/bundle",
  bundle: true,
  format: "esm",
  charset: "utf8",
  banner: { js: `// ${made("js")}`, css: `/* ${made("css")} */` },
  write: false,
});

if (process.argv.includes("--check")) {
  for (const { path, text } of outputFiles) {
    if (readFileSync(path, "utf8") === text) continue;
    console.error(`${path} is not what its modules make. Run \`make bundle\` and commit it.`);
    process.exitCode = 1;
  }
} else {
  for (const { path, text } of outputFiles) writeFileSync(path, text);
}
