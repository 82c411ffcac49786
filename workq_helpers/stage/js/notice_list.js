// @ts-check

import { ON_CLICK } from "./behavior.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";

/** @import { Frame, Notice } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */
/** @typedef {Omit<Notice, "number"> & {number: number | string}} Shown A notice of Python's, or one of this view's own. */

const MOST_SHOWN = 5;

/** Sentences for the learner, the newest first: Python's, and this view's own. */
export class NoticeList {
  /** @type {Notice[]} */
  #fromFrame = [];
  /** @type {Shown[]} */
  #own = [];
  /** @type {Set<number | string>} */
  #dismissed = new Set();
  #open = false;
  #serial = 0;

  /** @param {Ui} ui */
  constructor(ui) {
    this.ui = ui;
    const list = ui.h("ul", { class: "workq-notices-list" });
    this.older = ui.h("button", {
      type: "button",
      class: "workq-button workq-older",
      "aria-expanded": "false",
      hidden: true,
    });
    this.older[ON_CLICK] = () => {
      this.#open = !this.#open;
      this.#drawList();
    };
    const attributes = { role: "group", class: "workq-notices", "aria-label": "Notices", tabindex: "-1", hidden: true };
    this.element = ui.h("section", attributes, list, this.older);
    this.rows = new KeyedList(
      list,
      (/** @type {Shown} */ notice) => notice.number,
      (notice) => noticeRow(ui, notice, () => this.#dismiss(notice)),
      (row) => ui.saveFocus(row.element, this.element),
    );
  }

  /** @param {Frame} frame */
  draw({ notices }) {
    const unchanged =
      notices.length === this.#fromFrame.length && notices.at(-1)?.number === this.#fromFrame.at(-1)?.number;
    if (unchanged) return;
    const numbers = new Set(notices.map((one) => one.number));
    for (const number of this.#dismissed) {
      if (typeof number === "number" && !numbers.has(number)) this.#dismissed.delete(number);
    }
    const texts = new Set(notices.map((one) => one.text));
    this.#own = this.#own.filter((one) => !texts.has(one.text));
    this.#fromFrame = notices;
    this.#drawList();
  }

  /**
   * Says why a command of this view was refused, unless Python says so in a notice.
   * @param {string} text
   */
  refuse(text) {
    if (this.#fromFrame.some((one) => one.text === text && !this.#dismissed.has(one.number))) return;
    this.#add("error", text);
  }

  /**
   * Says something of this view's own, until it is no longer so.
   * @param {string} text
   */
  tell(text) {
    this.withdraw(text);
    this.#add("info", text);
  }

  /** @param {string} text */
  withdraw(text) {
    if (!this.#own.some((one) => one.text === text)) return;
    this.#own = this.#own.filter((one) => one.text !== text);
    this.#drawList();
  }

  /**
   * @param {Notice["level"]} level
   * @param {string} text
   */
  #add(level, text) {
    this.#serial += 1;
    this.#own = [...this.#own.slice(1 - MOST_SHOWN), { number: `own ${this.#serial}`, level, text }];
    this.#drawList();
  }

  /** @param {Shown} notice */
  #dismiss({ number }) {
    this.#dismissed.add(number);
    this.#own = this.#own.filter((one) => one.number !== number);
    this.#drawList();
  }

  #drawList() {
    const shown = [...this.#fromFrame, ...this.#own]
      .filter((one) => !this.#dismissed.has(one.number))
      .slice(-MOST_SHOWN)
      .reverse();
    this.rows.draw(shown);
    if (shown.length > 0) setHidden(this.element, false); // once there was one, its room stays: nothing jumps
    setAttribute(this.element, "data-open", this.#open);
    setHidden(this.older, shown.length < 2);
    setText(this.older, this.#open ? "Only the newest" : `${shown.length - 1} earlier`);
    setAttribute(this.older, "aria-expanded", String(this.#open));
  }
}

/**
 * @param {Ui} ui
 * @param {Shown} notice
 * @param {() => void} dismiss
 */
function noticeRow({ h }, { level }, dismiss) {
  const text = h("span", { class: "workq-notice-text" });
  const close = h(
    "button",
    { type: "button", class: "workq-dismiss", "aria-label": "Dismiss this notice", title: "Dismiss" },
    "✕",
  );
  close[ON_CLICK] = dismiss;
  const error = level === "error";
  const element = h(
    "li",
    { class: "workq-notice", "data-level": level },
    h("span", { class: "workq-icon", "aria-hidden": "true" }, error ? "⚠\uFE0E" : "ℹ\uFE0E"),
    h(
      "span",
      error ? { role: "alert", class: "workq-notice-body" } : { class: "workq-notice-body" },
      h("span", { class: "workq-notice-level" }, error ? "Problem: " : ""),
      text,
    ),
    close,
  );
  return {
    element,
    /**
     * @param {Shown} notice
     * @param {number} index
     */
    draw(notice, index) {
      setText(text, notice.text);
      setAttribute(element, "data-older", index > 0);
    },
  };
}
