// @ts-check

import { button } from "./buttons.js";
import { ChipList } from "./chip_list.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { deadLettersOf } from "./exchange_list.js";
import { GhostList } from "./ghosts.js";
import { queueCounts } from "./queue_counts.js";
import { whyWaiting } from "./why_waiting.js";
import { formatCount } from "./words.js";

/** @import { Frame, QueueCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** How many messages are drawn in each of so many queues: several share the room of one. */
const ROOM = [12, 12, 6, 4, 3];

/** One queue: how it is made, how much is in it, and what waits in it; a line while it is at rest, unless opened. */
export class QueueCardView {
  /** @type {boolean | null} */
  #resting = null;

  /**
   * @param {Ui} ui
   * @param {string} name
   */
  constructor(ui, name) {
    const { h } = ui;
    this.ui = ui;
    this.kept = h("span", { class: "workq-mark" });
    this.kind = h("span", { class: "workq-kind" });
    this.counts = queueCounts(ui, name);
    this.lane = h("ol", { class: "workq-lane", "aria-label": `Messages waiting in ${name}, head first` });
    this.chips = new ChipList(ui, this.lane, `queue ${name}`);
    this.more = h("p", { class: "workq-more", hidden: true });
    this.deadLetters = h("p", { class: "workq-dead-letters", hidden: true });
    this.why = h("p", { class: "workq-reason" });
    this.ghosts = new GhostList(ui, name);
    this.purge = button(ui, "Purge", "purge", {
      command: () => ({ queue: name }),
      "aria-label": `Purge ${name}`,
      title: "Drop every ready message of this queue",
    });
    this.held = h("summary", { title: "Nobody has turned to it since another queue was declared" });
    this.fold = h("details", { class: "workq-queue-fold" }, this.held, this.#inside());
    this.element = h(
      "section",
      { role: "group", class: "workq-queue", "data-queue": name, "aria-label": `Queue ${name}` },
      this.#title(name),
      this.fold,
    );
  }

  /** @param {QueueCard} queue */
  draw(queue) {
    const frame = /** @type {Frame} */ (this.ui.frame);
    const others = frame.queues.length - frame.resting.length;
    setAttribute(this.element, "data-gone", queue.gone ? "true" : "false");
    this.#drawFold(queue, frame.resting.includes(queue.name));
    this.#drawFacts(queue);
    this.counts.draw(queue);
    this.#drawWaiting(queue, ROOM[Math.min(others, ROOM.length - 1)]);
    const deadLetters = deadLettersOf(frame, queue.name);
    setText(this.deadLetters, deadLetters);
    setHidden(this.deadLetters, deadLetters === "");
    setText(this.why, whyWaiting(frame, queue));
    this.ghosts.draw(queue);
    setHidden(this.purge, queue.gone || queue.name === "");
  }

  /** Before it goes. */
  clear() {
    this.chips.clear();
    this.ghosts.clear();
    this.ui.saveFocus(this.element, this.element.closest(".workq-queue-column"));
    this.ui.buttons.forget(this.element);
  }

  /** @param {string} name */
  #title(name) {
    const { h } = this.ui;
    return h(
      "div",
      { class: "workq-title" },
      h("span", { class: "workq-glyph", "aria-hidden": "true" }, "Q"),
      h("h3", { class: "workq-name", title: name }, name || "in an exchange"),
      this.purge,
    );
  }

  #inside() {
    const { h } = this.ui;
    const facts = h("p", { class: "workq-facts" }, this.kept, this.kind);
    const below = [this.deadLetters, this.why, this.ghosts.element];
    return h("div", { class: "workq-queue-inside" }, facts, this.counts.element, this.#pipe(), ...below);
  }

  #pipe() {
    const { h } = this.ui;
    const head = h("p", { class: "workq-end-label workq-head" }, "head: next to be delivered");
    const tail = h("p", { class: "workq-end-label workq-tail" }, "tail: new messages enter here");
    return h("div", { class: "workq-pipe" }, head, this.lane, this.more, tail);
  }

  /**
   * @param {QueueCard} queue
   * @param {boolean} resting
   */
  #drawFold({ ready, unacknowledged, gone }, resting) {
    if (resting !== this.#resting) this.fold.open = !resting;
    this.#resting = resting;
    setAttribute(this.element, "data-resting", resting);
    const held = [`${formatCount(ready.log)} ready`];
    if (unacknowledged.log > 0) held.push(`${formatCount(unacknowledged.log)} unacknowledged`);
    setText(this.held, gone ? "gone" : held.join(" · "));
  }

  /** @param {QueueCard} queue */
  #drawFacts({ durability, type, gone }) {
    setHidden(this.kept, durability === "");
    setAttribute(this.kept, "data-kept", durability === "durable" ? "persistent" : "transient");
    const missing = gone && (durability === "" ? "no such queue" : "gone"); // of one never declared nobody saw it go
    setText(this.kind, [durability, type, missing].filter(Boolean).join(" · "));
  }

  /**
   * @param {QueueCard} queue
   * @param {number} room
   */
  #drawWaiting(queue, room) {
    this.chips.draw(queue.waiting.slice(0, room), () => "waiting");
    const undrawn = queue.more + Math.max(0, queue.waiting.length - room);
    setText(this.more, `+ ${formatCount(undrawn)} more`);
    setHidden(this.more, undrawn === 0);
  }
}
