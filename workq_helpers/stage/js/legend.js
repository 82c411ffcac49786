// @ts-check

/** @import { Ui } from "./ui.js" */

/**
 * What the signs mean.
 * @param {Ui} ui
 */
export function legend({ h }) {
  /**
   * @param {string} text
   * @param {HTMLElement} sign
   */
  const item = (text, sign) => h("span", {}, sign, text);
  /** @param {string} kept */
  const mark = (kept) => h("span", { class: "workq-mark", "data-kept": kept });
  const signs = h(
    "p",
    { class: "workq-legend" },
    item("published as persistent; or a durable queue", mark("persistent")),
    item("transient", mark("transient")),
    item("dots of work", h("span", { class: "workq-dots", style: "--workq-dots: 3" })),
    item("free slot", h("span", { class: "workq-slot workq-sample" })),
  );
  return h("details", { class: "workq-signs", "data-control": "details" }, h("summary", {}, "Signs"), signs);
}
