// @ts-check

import { setAttribute, setHidden, setText } from "./dom.js";
import { formatCount } from "./words.js";

/** @import { Ui } from "./ui.js" */

const MOST_DRAWN = 4;

/**
 * Free slots, dashed; open-ended where there is no limit. Before them, how many messages are not drawn.
 * @param {Ui} ui
 * @param {HTMLElement} parent
 */
export function freeSlots({ h }, parent) {
  /** @type {HTMLElement[]} */
  const boxes = [];
  const moreCount = h("span");
  const more = h(
    "li",
    { class: "workq-slots-more", hidden: true },
    moreCount,
    h("span", { class: "workq-what" }, " more"),
  );
  const rest = h("li", { class: "workq-slot-text", hidden: true });
  parent.append(more, rest);

  /** @param {number} wanted */
  const keep = (wanted) => {
    for (const box of boxes.splice(wanted)) box.remove();
    while (boxes.length < wanted) {
      const box = h("li", { class: "workq-slot" });
      boxes.push(box);
      parent.insertBefore(box, rest);
    }
  };

  return {
    /**
     * @param {number | null} free
     * @param {number} undrawn
     * @param {boolean} ended
     */
    draw(free, undrawn, ended) {
      const drawn = free === null ? 1 : Math.min(free, MOST_DRAWN);
      keep(ended ? 0 : drawn);
      for (const box of boxes) {
        setAttribute(box, "data-open", free === null);
        setText(box, free === null ? "no limit" : "free");
      }
      setHidden(more, undrawn === 0);
      setText(moreCount, `+ ${formatCount(undrawn)}`);
      const undrawnFree = ended || free === null ? 0 : free - drawn;
      setHidden(rest, undrawnFree === 0);
      setText(rest, `+ ${formatCount(undrawnFree)} free`);
    },
  };
}
