// @ts-check

import { ON_CHANGE } from "./behavior.js";
import { KeyedList } from "./keyed_list.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * Which queue the forms act on; on the page only where there is a choice.
 * @param {Ui} ui
 */
export function queueSelect(ui) {
  const { h } = ui;
  const select = h("select", { class: "workq-input", "data-field": "queue" });
  const label = h("label", { class: "workq-field" }, h("span", {}, "to queue"), select);
  const element = h("div", { class: "workq-target" });
  const options = new KeyedList(
    select,
    (/** @type {string} */ name) => name,
    (name) => ({ element: h("option", { value: name }, name), draw() {} }),
  );
  const hasFocus = () => label.contains(ui.document.activeElement);
  select[ON_CHANGE] = () => {
    ui.chosenQueue = select.value;
  };
  return {
    element,
    /** @param {Frame} frame */
    draw(frame) {
      const names = frame.queues.filter((queue) => !queue.gone && queue.name).map((queue) => queue.name);
      if (ui.chosenQueue !== null && !names.includes(ui.chosenQueue)) ui.chosenQueue = null;
      const shown = label.parentNode === element;
      if (names.length > 1) {
        options.draw(names);
        if (!shown) element.append(label);
        if (!hasFocus() && select.value !== ui.queue()) select.value = ui.queue();
      } else if (shown && !hasFocus()) label.remove();
    },
  };
}
