import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";

const stage = new URL("../../workq_helpers/stage/", import.meta.url);

/** The text of every file of one kind in a folder. */
function read(folder, suffix) {
  const names = readdirSync(new URL(folder, stage)).filter((name) => name.endsWith(suffix));
  assert.ok(names.length > 0);
  return names.map((name) => [name, readFileSync(new URL(folder + name, stage), "utf8")]);
}

const modules = [...read("js/", ".js"), ...read("js/lab/", ".js"), ...read("css/", ".css")];
const source = read("bundle/", ".js")[0][1];
const css = read("bundle/", ".css")[0][1];

describe("the files", () => {
  test("no markup from text, no code from text, no address", () => {
    assert.doesNotMatch(
      source,
      /innerHTML|outerHTML|insertAdjacentHTML|\beval\b|new Function|https?:|\bimport\b|fetch\(/,
    );
    assert.doesNotMatch(css, /https?:|@import|url\(/);
  });

  test("every class of the style sheet is ours", () => {
    const rules = css.replace(/\/\*[\s\S]*?\*\//g, "");
    const foreign = [...rules.matchAll(/(?<![\d\w%)])\.([a-zA-Z][\w-]*)/g)]
      .map((match) => match[1])
      .filter((name) => !name.startsWith("workq-"));
    assert.deepEqual([...new Set(foreign)], []);
  });

  test("every class that is styled is drawn, and the other way round hooks exist", () => {
    const styled = new Set([...css.matchAll(/\.(workq-[\w-]+)/g)].map((match) => match[1]));
    const unused = [...styled].filter((name) => !source.includes(name));
    assert.deepEqual(unused, []);
  });
});

describe("the modules", () => {
  for (const [name, text] of modules) {
    test(`${name} is short`, () => assert.ok(text.split("\n").length <= 301));
  }
});
