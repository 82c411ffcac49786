// Make one file of the stage's JavaScript modules, one of its style sheets, JupyterLab's extension, and what the site's
// pages run: `node scripts/bundle_stage.mjs`.
// With --check nothing is written; the exit status says whether what is there is what the modules make.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const made = (folder) => `Made by \`make bundle\` from the modules in ${folder}: change them, not this.`;

/** Bundles what these files import, without writing it. */
const bundle = async (entryPoints, outdir, format, sources = "workq_helpers/stage") => {
  const options = { bundle: true, charset: "utf8", entryNames: "[name]", write: false };
  const banner = { js: `// ${made(`${sources}/js`)}`, css: `/* ${made(`${sources}/css`)} */` };
  return (await build({ absWorkingDir: root, entryPoints, outdir, format, banner, ...options })).outputFiles;
};

/** JupyterLab has browsers keep an extension for a year: another one needs another address. */
const withAddress = ({ path, text }) => {
  const manifest = `${dirname(path)}/../package.json`;
  const told = JSON.parse(readFileSync(manifest, "utf8"));
  const version = createHash("sha256").update(text).digest("hex").slice(0, 12);
  told.jupyterlab._build.load = `static/extension.js?v=${version}`;
  return [
    { path, text },
    { path: manifest, text: `${JSON.stringify(told, null, 2)}\n` },
  ];
};

const folder = "workq_helpers/stage";
const [extension] = await bundle([`${folder}/js/lab/extension.js`], `${folder}/bundle/lab_extension/static`, "iife");
const outputFiles = [
  ...(await bundle([`${folder}/js/stage.js`, `${folder}/css/stage.css`], `${folder}/bundle`, "esm")),
  ...(await bundle([`${folder}/js/player/player.js`, `${folder}/css/player.css`], `${folder}/bundle`, "esm")),
  ...withAddress(extension),
  // a page that was opened from a folder may not import modules
  ...(await bundle(["docs/site/js/course.js"], "docs/site/_static", "iife", "docs/site")),
];

if (process.argv.includes("--check")) {
  for (const { path, text } of outputFiles) {
    if (readFileSync(path, "utf8") === text) continue;
    console.error(`${path} is not what its modules make. Run \`make bundle\` and commit it.`);
    process.exitCode = 1;
  }
} else {
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
