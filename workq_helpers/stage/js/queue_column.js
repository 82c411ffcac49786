// @ts-check

import { hint, reasons } from "./controls.js";
import { declareForm } from "./declare_form.js";
import { setHidden } from "./dom.js";
import { exchangeList } from "./exchange_list.js";
import { KeyedList } from "./keyed_list.js";
import { QueueCardView } from "./queue_card.js";
import { andMore } from "./words.js";

/** @import { Frame, QueueCard } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @param {Ui} ui */
export function queueColumn(ui) {
  const list = ui.h("div", { class: "workq-queues" });
  const cards = new KeyedList(
    list,
    (/** @type {QueueCard} */ queue) => queue.name,
    (queue) => new QueueCardView(ui, queue.name),
    (card) => card.clear(),
  );
  const more = hint(ui);
  const exchanges = exchangeList(ui);
  const declare = declareForm(ui);
  const why = reasons(ui, ["declare"]);
  return {
    element: ui.h(
      "section",
      { role: "group", class: "workq-column workq-queue-column", "aria-label": "Queues", tabindex: "-1" },
      exchanges.element,
      list,
      declare.element,
      more.element,
      why.element,
    ),
    /** @param {Frame} frame */
    draw(frame) {
      exchanges.draw(frame);
      cards.draw(frame.queues);
      setHidden(list, frame.queues.length === 0);
      more.draw(andMore(frame.more_queues, "queue"));
      declare.draw(frame);
      why.draw(frame);
    },
  };
}
