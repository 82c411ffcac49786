// @ts-check

import { setAttribute, setText } from "./dom.js";
import { formatCount } from "./words.js";

/** @import { QueueCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {("ready" | "unacknowledged")[]} */
const COUNTED = ["ready", "unacknowledged"];
const TITLES = { ready: "Waiting in the queue", unacknowledged: "Delivered, not acknowledged yet" };
/** @type {("broker" | "log")[]} */
const SOURCES = ["broker", "log"];

/**
 * What a queue holds, as the broker and as the log count it.
 * @param {Ui} ui
 * @param {string} name
 */
export function queueCounts({ h }, name) {
  const cells = COUNTED.flatMap((count) =>
    SOURCES.map((source) => ({ count, source, cell: h("td", { "data-count": `${count}-${source}` }) })),
  );
  const rows = COUNTED.map((count) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: TITLES[count] }, count),
      ...cells.filter((one) => one.count === count).map(({ cell }) => cell),
    ),
  );
  const heads = h(
    "tr",
    {},
    h("td"),
    h("th", { scope: "col", title: "As RabbitMQ reports it" }, "broker"),
    h("th", { scope: "col", title: "As the recorded events say" }, "log"),
  );
  return {
    element: h(
      "table",
      { class: "workq-counts", "aria-label": `Messages of ${name}` },
      h("thead", {}, heads),
      h("tbody", {}, ...rows),
    ),
    /** @param {QueueCard} queue */
    draw(queue) {
      for (const { count, source, cell } of cells) {
        const value = queue[count][source];
        setText(cell, formatCount(value));
        setAttribute(cell, "title", value === null ? "RabbitMQ has not answered" : null);
      }
    },
  };
}
