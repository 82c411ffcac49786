// @ts-check

import { setAttribute, setHidden, setText } from "./dom.js";
import { EndingCard } from "./ending_card.js";
import { formatCount, isolated } from "./words.js";
import { workerActions } from "./worker_actions.js";
import { workerConsole } from "./worker_console.js";
import { hands } from "./worker_hands.js";
import { hasEnded, STATE_ICONS } from "./worker_states.js";

/** @import { Frame, WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** One worker: its state and settings, what it holds, what it printed, and what can be done to it. */
export class WorkerCardView {
  /** @type {boolean | null} */
  #ended = null;

  /**
   * @param {Ui} ui
   * @param {string} name
   */
  constructor(ui, name) {
    const { h } = ui;
    this.ui = ui;
    this.name = name;
    this.icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
    this.word = h("span");
    this.state = h("span", { class: "workq-state" }, this.icon, this.word);
    this.done = h("span", { "data-count": "done" });
    this.settings = h("span", { class: "workq-settings" });
    this.room = h("span", { class: "workq-room" }); // what small cards say instead of drawing free slots
    this.dropped = h("p", { class: "workq-dropped", hidden: true });
    this.hands = hands(ui, name);
    this.actions = workerActions(ui, name);
    this.console = workerConsole(ui, name);
    this.element = h(
      "article",
      { class: "workq-worker", "data-worker": name, tabindex: "-1" },
      h(
        "div",
        { class: "workq-worker-head" },
        h("span", { class: "workq-name", title: name }, name),
        this.state,
        h("span", { class: "workq-done" }, "done ", this.done),
      ),
      this.room,
      this.hands.element,
      h("div", { class: "workq-worker-foot" }, this.settings, this.actions.element),
      this.dropped,
      this.console.element,
    );
    this.ending = new EndingCard(ui, this.element);
  }

  clear() {
    this.hands.clear();
  }

  /** @param {WorkerCard} worker */
  draw(worker) {
    const ended = hasEnded(worker);
    if (ended && this.#ended === false) {
      this.ui.saveFocus(this.actions.element, this.element);
      this.ending.begin();
    }
    if (!ended) this.ending.over();
    this.#ended = ended;
    this.#drawHead(worker, ended);
    this.hands.draw(worker, ended);
    this.actions.draw(worker, ended);
    this.console.draw(worker, ended);
  }

  /**
   * @param {WorkerCard} worker
   * @param {boolean} ended
   */
  #drawHead(worker, ended) {
    setAttribute(this.element, "data-state", worker.state);
    setAttribute(this.element, "aria-label", takesItself(worker) ? this.name : `${this.name}, ${worker.state}`);
    setHidden(this.state, takesItself(worker));
    setAttribute(this.element, "data-ended", ended);
    setText(this.icon, STATE_ICONS[worker.state]);
    setText(this.word, worker.state);
    setText(this.done, formatCount(worker.done));
    const settings = settingsOf(worker, /** @type {Frame} */ (this.ui.frame));
    setText(this.settings, settings);
    setAttribute(this.settings, "title", settings);
    const free = worker.free === null ? "no limit" : `${formatCount(worker.free)} free`;
    setText(this.room, ended ? "" : free);
    setText(this.dropped, worker.dropped);
    setHidden(this.dropped, worker.dropped === "");
  }
}

/**
 * Whether it is no worker: a cell took it, with basic_get or a consumer of its own, and what it does nobody sees.
 * @param {WorkerCard} worker
 */
const takesItself = ({ program, queue }) => program === "" && queue === "";

/**
 * How the worker consumes; from which queue only where there are several.
 * @param {WorkerCard} worker
 * @param {Frame} frame
 */
function settingsOf(worker, frame) {
  if (takesItself(worker)) return "taken by its own code";
  const { ack, prefetch_count, queue } = worker;
  const settings = [`${ack} ack`, prefetch_count ? `prefetch ${prefetch_count}` : "no limit"];
  if (frame.queues.length > 1 || frame.more_queues > 0) settings.push(`from ${isolated(queue)}`);
  return settings.join(" · ");
}
