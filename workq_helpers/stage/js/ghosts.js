// @ts-check

import { ChipList } from "./chip_list.js";
import { setHidden, setText } from "./dom.js";
import { formatCount, plural } from "./words.js";

/** @import { QueueCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** What the log saw in a queue and RabbitMQ does not have there, and the reverse: with both numbers and the reason. */
export class GhostList {
  /**
   * @param {Ui} ui
   * @param {string} name
   */
  constructor(ui, name) {
    const { h } = ui;
    this.text = h("p", { class: "workq-hint" });
    const list = h("ol", { class: "workq-lane", "aria-label": `Messages that RabbitMQ has in ${name} no more` });
    this.chips = new ChipList(ui, list, `ghosts ${name}`);
    this.element = h("div", { class: "workq-ghosts", hidden: true }, this.text, list);
  }

  /** @param {QueueCard} queue */
  draw(queue) {
    const told = [ghostsOf(queue), unseenIn(queue)].filter(Boolean).join(" ");
    setHidden(this.element, told === "");
    setText(this.text, told);
    // Each stands among the unknown too, and it is there that it travels to: here it goes by another key.
    const ghosts = queue.ghosts.recent.map((message) => ({ ...message, key: -1 - message.key }));
    this.chips.draw(ghosts, () => "ghost");
  }

  /** Before it goes. */
  clear() {
    this.chips.clear();
  }
}

/** @param {QueueCard} queue */
function ghostsOf({ ghosts, ready, unseen }) {
  if (ghosts.count === 0) return "";
  const counted = ready.broker === null ? "" : `RabbitMQ counts ${formatCount(ready.broker)} ready. `;
  const gone = unseen > 0 ? "" : ` that ${ghosts.count === 1 ? "is" : "are"} not here`; // where RabbitMQ counts some besides, they may be those
  const seen = `The log saw ${formatCount(ghosts.count)} more come in${gone}`;
  return `${counted}${seen}${ghosts.why ? `: ${ghosts.why}.` : "."}`;
}

/** @param {QueueCard} queue */
function unseenIn({ ghosts, unseen, ready, unacknowledged }) {
  const { log, broker } = unacknowledged;
  const twice = ready.log + unseen + log - (ready.broker ?? 0) - (broker ?? 0); // what was delivered since is not
  const back = Math.min(unseen, Math.max(0, Math.min(log - (broker ?? log), twice)));
  const told = [];
  if (back > 0)
    told.push(`RabbitMQ counts ${formatCount(back)} as ready again; who took it has not heard of that yet.`);
  const whose = ghosts.count > 0 ? "beside those that wait here" : "that nobody here has seen";
  if (unseen > back) told.push(`RabbitMQ counts ${plural(unseen - back, "message")} ${whose}.`);
  return told.join(" ");
}
