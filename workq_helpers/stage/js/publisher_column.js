// @ts-check

import { heading, hint, reasons } from "./controls.js";
import { setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { manyForm, sendForm } from "./send_forms.js";
import { andMore, formatCount } from "./words.js";

/** @import { Frame, PublisherColumn, PublisherLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {("published" | "confirmed" | "refused" | "returned")[]} */
const COUNTED = ["published", "confirmed", "refused", "returned"];

/**
 * The forms that send tasks, and what publishers did.
 * @param {Ui} ui
 */
export function publisherColumn(ui) {
  const { h } = ui;
  const send = sendForm(ui);
  const many = h(
    "details",
    { class: "workq-many", "data-control": "many" },
    h("summary", {}, "Many…"),
    manyForm(ui, send.options),
  );
  const why = reasons(ui, ["send", "five", "many"]);
  const numbers = publisherNumbers(ui);
  const active = h("ul", { class: "workq-publishers", "aria-label": "Publishers at work" });
  const rows = new KeyedList(
    active,
    (/** @type {PublisherLine} */ one) => one.name,
    () => publisherRow(ui),
  );
  const more = hint(ui);
  return {
    element: h(
      "section",
      { role: "group", class: "workq-column workq-publisher", "aria-label": "Publisher" },
      heading(ui, "P", "Publisher"),
      send.element,
      many,
      why.element,
      numbers.element,
      active,
      more.element,
    ),
    send,
    /** @param {Frame} frame */
    draw(frame) {
      send.draw(frame);
      numbers.draw(frame.publishers);
      rows.draw(frame.publishers.active);
      more.draw(andMore(frame.publishers.more, "publisher"));
      why.draw(frame);
    },
  };
}

/** @param {Ui} ui */
function publisherNumbers({ h }) {
  const rows = COUNTED.map((name) => {
    const value = h("dd", { "data-count": name });
    return { name, value, row: h("div", {}, h("dt", {}, name), value) };
  });
  return {
    element: h("dl", { class: "workq-numbers" }, ...rows.map(({ row }) => row)),
    /** @param {PublisherColumn} publishers */
    draw(publishers) {
      for (const { name, value, row } of rows) {
        setText(value, formatCount(publishers[name]));
        setHidden(row, name !== "published" && publishers[name] === 0);
      }
    },
  };
}

/** @param {Ui} ui */
function publisherRow({ h }) {
  const name = h("span", { class: "workq-publisher-name" });
  const said = h("span");
  return {
    element: h("li", {}, name, " ", said),
    /** @param {PublisherLine} one */
    draw(one) {
      setText(name, one.name);
      setText(said, `${one.state}, ${formatCount(one.published)} published`);
    },
  };
}
