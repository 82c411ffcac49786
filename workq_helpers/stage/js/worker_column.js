// @ts-check

import { addWorkerForm } from "./add_worker_form.js";
import { heading, hint, reasons } from "./controls.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { andMore, formatCount } from "./words.js";
import { WorkerCardView } from "./worker_card.js";
import { hasEnded } from "./worker_states.js";

/** @import { Frame, WorkerCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * What to press where there is no worker yet, and what will happen; a run that is played has nothing to press.
 * @param {Frame} frame
 */
function invitation({ queues, publishers, controls }) {
  if (controls.includes("player")) return "No worker yet.";
  const waiting = queues.reduce((sum, queue) => sum + queue.ready.log, 0);
  if (waiting > 0) return "No worker yet. Press “Add worker”, and it takes what waits in the queue.";
  if (publishers.published > 0) return "No worker yet. Press “Add worker”, and it takes the next task that is sent.";
  return "Nothing has happened yet. Press “Send”: a task goes into the queue. Then press “Add worker”: it takes the task.";
}

/** The workers, and the form that adds one. */
export class WorkerColumn {
  /** @param {Ui} ui */
  constructor(ui) {
    const { h } = ui;
    this.why = reasons(ui, ["add_worker", "stop", "kill", "freeze", "thaw"]);
    this.count = h("span", { class: "workq-workers-count" });
    this.none = h("p", { class: "workq-empty" });
    this.add = addWorkerForm(ui);
    this.more = hint(ui);
    const list = h("div", { class: "workq-workers" });
    this.element = h(
      "section",
      { role: "group", class: "workq-column workq-worker-column", "aria-label": "Workers", tabindex: "-1" },
      h(
        "div",
        { class: "workq-worker-top" },
        heading(ui, "C", "Workers", this.count),
        this.add.element,
        this.why.element,
      ),
      this.none,
      list,
      this.more.element,
    );
    this.cards = new KeyedList(
      list,
      (/** @type {WorkerCard} */ worker) => worker.name,
      (worker) => new WorkerCardView(ui, worker.name),
      (card) => {
        card.clear();
        ui.saveFocus(card.element, this.element);
        ui.buttons.forget(card.element);
      },
    );
  }

  /** @param {Frame} frame */
  draw(frame) {
    const { workers, more_workers } = frame;
    this.cards.draw(workers);
    this.#drawLine(workers);
    setHidden(this.none, workers.length > 0);
    setText(this.none, invitation(frame));
    this.more.draw(andMore(more_workers, "worker"));
    const consumers = workers.filter((worker) => worker.queue); // who fetches is none
    const running = formatCount(consumers.filter((worker) => !hasEnded(worker)).length);
    setText(this.count, workers.length > 0 ? `${running}${more_workers ? "+" : ""} running` : "");
    this.add.draw(frame);
    this.why.draw(frame);
  }

  /**
   * The line from the queue to the last worker that may get something from it.
   * @param {WorkerCard[]} workers
   */
  #drawLine(workers) {
    const last = workers.findLastIndex((worker) => !hasEnded(worker));
    workers.forEach((worker, index) => {
      const line = index < last ? "on" : index === last && "last";
      setAttribute(/** @type {WorkerCardView} */ (this.cards.parts.get(worker.name)).element, "data-line", line);
    });
    setAttribute(this.element, "data-line", last >= 0);
  }
}
