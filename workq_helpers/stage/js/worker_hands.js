// @ts-check

import { ChipList } from "./chip_list.js";
import { setAttribute, setText } from "./dom.js";
import { freeSlots } from "./free_slots.js";
import { formatCount } from "./words.js";
import { workBar } from "./work_bar.js";

/** @import { Slot, WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const CROWD_SLOTS = 1; // how many waiting messages a small card draws; the others are counted

/**
 * What a worker holds, and how far it is with the task in work.
 * @param {Ui} ui
 * @param {string} name
 */
export function hands(ui, name) {
  const { h } = ui;
  const bar = workBar(ui);
  const slots = h("ol", { class: "workq-slots", "aria-label": `What ${name} holds` });
  /** @type {ChipList<Slot>} */
  const chips = new ChipList(ui, slots, `worker ${name}`);
  const free = freeSlots(ui, slots);
  const note = h("p", { class: "workq-note" });
  const element = h("div", { class: "workq-hands" }, bar.element, slots, note);
  return {
    element,
    clear: () => chips.clear(),
    /**
     * @param {WorkerCard} worker
     * @param {boolean} ended
     */
    draw(worker, ended) {
      const held = [...worker.slots].sort((a, b) => Number(isWorkedOn(b)) - Number(isWorkedOn(a)));
      const inWork = held.length > 0 && isWorkedOn(held[0]) ? 1 : 0;
      const most = { roomy: held.length, compact: held.length, crowd: CROWD_SLOTS + inWork, mass: 1 }[ui.density];
      const words = {
        working: worker.state === "frozen" ? "hangs" : "working",
        finished: "no ack yet",
        dispatched: "",
      };
      chips.draw(
        held.slice(0, most),
        (message) => message.phase,
        (message) => words[message.phase],
      );
      bar.draw(worker.busy_with, held);
      free.draw(worker.free, worker.more + Math.max(0, held.length - most), ended);
      setText(note, ended ? "" : noteOn(worker));
      setAttribute(element, "data-empty", held.length === 0 && worker.busy_with === null);
    },
  };
}

/** @param {Slot} message */
const isWorkedOn = (message) => message.phase === "working";

/**
 * What it means that this worker holds what it holds.
 * @param {WorkerCard} worker
 */
function noteOn({ slots, more, state, ack, program }) {
  const waiting = slots.filter((message) => message.phase === "dispatched").length + more;
  const finished = slots.filter((message) => message.phase === "finished").length;
  // It takes them in turn, so behind one that waits all do; else nobody sees here which of the rest are finished.
  const seen = program === null && (more === 0 || slots.at(-1)?.phase === "dispatched");
  const said = [];
  if (state === "frozen" && slots.length > 0) said.push("Hangs, and keeps what it holds.");
  if (state === "reconnecting") said.push("Lost its connection and tries again.");
  if (waiting > 0) said.push(seen ? noteOnWaiting(waiting, ack) : noteOnHeld(slots.length + more));
  if (finished > 0 && seen) said.push(`${formatCount(finished)} finished, not acknowledged.`);
  return said.join(" ");
}

/**
 * What a program does with what it holds nobody sees.
 * @param {number} held
 */
function noteOnHeld(held) {
  return `${formatCount(held)} ${held === 1 ? "is" : "are"} not acknowledged: no other worker gets ${held === 1 ? "it" : "them"}.`;
}

/**
 * @param {number} waiting
 * @param {WorkerCard["ack"]} ack
 */
function noteOnWaiting(waiting, ack) {
  const wait = `${formatCount(waiting)} ${waiting === 1 ? "waits" : "wait"} here`;
  if (ack === "auto") return `${wait}, settled already: lost if it dies.`;
  return `${wait}: no other worker gets ${waiting === 1 ? "it" : "them"}.`;
}
