// @ts-check

import { keptAs } from "./chip.js";
import { setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { formatCount } from "./words.js";

/** @import { Chip, Frame, QueueCard, WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */
/** @typedef {{key: string | number, cells: string[]}} Row */

const QUEUE_HEADS = [
  "Queue",
  "Kind",
  "Ready (broker)",
  "Ready (log)",
  "Unacknowledged (broker)",
  "Unacknowledged (log)",
];
const WORKER_HEADS = [
  "Worker",
  "State",
  "Takes from",
  "Acknowledgment",
  "Prefetch count",
  "Working on",
  "Holds",
  "Done",
];
const LOST_HEADS = ["Task", "Kept", "Worked on"];

/**
 * The same as tables. Filled only while they are open.
 * @param {Ui} ui
 */
export function tables(ui) {
  const { h } = ui;
  const queues = table(ui, "Queues", QUEUE_HEADS);
  const workers = table(ui, "Workers", WORKER_HEADS);
  const lost = table(ui, "Lost tasks", LOST_HEADS);
  const noneLost = h("p", { class: "workq-hint" }, "No task is lost.");
  const element = h(
    "details",
    { class: "workq-table", "data-control": "details" },
    h("summary", {}, "Show as table"),
    // It scrolls where it is wider than the view: with the keyboard too.
    h(
      "div",
      { class: "workq-tables", tabindex: "0", role: "group", "aria-label": "Tables" },
      queues.element,
      workers.element,
      noneLost,
      lost.element,
    ),
  );
  return {
    element,
    /** @param {Frame} frame */
    draw(frame) {
      if (!element.open) return;
      queues.draw(frame.queues.map(queueRow));
      workers.draw(frame.workers.map(workerRow));
      const gone = frame.ends.lost.recent;
      lost.draw(gone.map(lostRow));
      setHidden(lost.element, gone.length === 0);
      setHidden(noneLost, gone.length > 0);
    },
  };
}

/**
 * @param {Ui} ui
 * @param {string} caption
 * @param {string[]} heads
 */
function table(ui, caption, heads) {
  const { h } = ui;
  const body = h("tbody");
  const head = h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)));
  const element = h("table", {}, h("caption", {}, caption), h("thead", {}, head), body);
  const rows = new KeyedList(
    body,
    (/** @type {Row} */ row) => row.key,
    (row) => tableRow(ui, row.cells.length),
  );
  return {
    element,
    /** @param {Row[]} items */
    draw: (items) => rows.draw(items),
  };
}

/**
 * @param {Ui} ui
 * @param {number} length
 */
function tableRow({ h }, length) {
  const fields = [h("th", { scope: "row" }), ...Array.from({ length: length - 1 }, () => h("td"))];
  return {
    element: h("tr", {}, ...fields),
    /** @param {Row} row */
    draw({ cells }) {
      cells.forEach((text, index) => {
        setText(fields[index], text);
      });
    },
  };
}

/** @param {QueueCard} queue */
function queueRow({ name, durability, type, gone, ready, unacknowledged }) {
  const kind = [durability, type, gone ? "gone" : ""].filter(Boolean).join(", ");
  const counts = [ready.broker, ready.log, unacknowledged.broker, unacknowledged.log];
  return { key: name, cells: [name, kind, ...counts.map(formatCount)] };
}

/** @param {WorkerCard} worker */
const worksOn = ({ state, busy_with }) => busy_with?.task ?? (state === "holding" ? "not seen" : "nothing");

/** @param {WorkerCard} worker */
function workerRow(worker) {
  const { name, state, queue, ack, prefetch_count, slots, more, done } = worker;
  const limit = prefetch_count ? formatCount(prefetch_count) : "no limit";
  const held = formatCount(slots.length + more);
  return { key: name, cells: [name, state, queue, ack, limit, worksOn(worker), held, formatCount(done)] };
}

/** @param {Chip} message */
function lostRow(message) {
  return { key: message.key, cells: [message.task, keptAs(message), `${message.worked}×`] };
}
