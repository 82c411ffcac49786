// @ts-check

import { ChipList } from "./chip_list.js";
import { hint } from "./controls.js";
import { setHidden, setText } from "./dom.js";
import { ENDS } from "./ends.js";
import { formatCount } from "./words.js";

/** @import { EndList, Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * What became of the messages.
 * @param {Ui} ui
 */
export function endColumn(ui) {
  const lists = ENDS.map((end) => ({ name: end.name, list: endList(ui, end) }));
  return {
    element: ui.h(
      "section",
      { role: "group", class: "workq-column workq-ends", "aria-label": "What became of the messages" },
      ...lists.map(({ list }) => list.element),
    ),
    /** @param {Frame} frame */
    draw(frame) {
      for (const { name, list } of lists) list.draw(frame.ends[name]);
    },
  };
}

/**
 * @param {Ui} ui
 * @param {typeof ENDS[number]} end
 */
function endList(ui, { name, icon, title, note, one }) {
  const { h } = ui;
  const count = h("span", { class: "workq-end-count", "data-count": name });
  const list = h("ol", { class: "workq-end-list", "aria-label": `${title}, newest first` });
  const chips = new ChipList(ui, list, `end ${name}`);
  const what = hint(ui);
  const more = hint(ui);
  const sign = h("span", { class: "workq-icon", "aria-hidden": "true" }, icon);
  const element = h(
    "section",
    { role: "group", class: "workq-end", "data-end": name, "aria-label": title },
    h("h3", { class: "workq-title" }, sign, title, count),
    what.element,
    list,
    more.element,
  );
  return {
    element,
    /** @param {EndList} end */
    draw(end) {
      setText(count, formatCount(end.count));
      setHidden(element, name !== "done" && end.count === 0);
      what.draw(end.count === 1 ? one : note);
      chips.draw(end.recent, () => name);
      const undrawn = end.count - end.recent.length;
      more.draw(undrawn > 0 ? `+ ${formatCount(undrawn)} more` : "");
    },
  };
}
